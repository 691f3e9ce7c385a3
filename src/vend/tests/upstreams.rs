//! Several upstreams: separate where they are separate accounts, and one budget where they are one.

use super::*;
use appserver_domain::Upstreams;

/// The vendors of `[sts]` and of `partner`.
struct Pair {
    vendors: Vendors<FakeSts>,
    of_sts: FakeSts,
    of_partner: FakeSts,
}

fn partner() -> UpstreamName {
    "partner".parse().unwrap()
}

fn key_of(account: &str) -> VerifiedKey {
    let identity = CallerIdentity {
        kind: IdentityKind::RamUser,
        account: account.parse().unwrap(),
        arn: format!("acs:ram::{account}:user/appserver"),
    };
    VerifiedKey::admit(identity, []).unwrap()
}

impl Pair {
    /// Not verified yet.
    fn new(rates: [u32; 2], sts: [FakeSts; 2]) -> Self {
        let metrics = VendMetrics::new();
        let store = Arc::new(Store::Memory);
        let budgets = Arc::new(Budgets::new(store, true, metrics.clone()));
        let clock = Clock::manual("2016-01-13T14:02:37Z".parse().unwrap());
        let vendor = |name, sts: &FakeSts, per_second| {
            let mut settings = VendSettings::for_tests();
            settings.budget.per_second = per_second;
            let (budgets, clock) = (Arc::clone(&budgets), clock.clone());
            Arc::new(Vendor::new(name, sts.clone(), budgets, settings, &metrics, clock))
        };
        let [of_sts, of_partner] = sts;
        let default = vendor(UpstreamName::default(), &of_sts, rates[0]);
        let named = [(partner(), vendor(partner(), &of_partner, rates[1]))];
        let vendors = Vendors::new(Upstreams::new(default, named), metrics);
        Self { vendors, of_sts, of_partner }
    }

    fn open(self, accounts: [&str; 2]) -> Self {
        for (name, account) in [UpstreamName::default(), partner()].iter().zip(accounts) {
            self.vendors.get(name).unwrap().open(key_of(account));
        }
        self
    }

    async fn vend(&self, upstream: &UpstreamName, name: &str) -> Result<Vended, VendError> {
        let deadline = Instant::now() + secs(15);
        self.vendors.vend(upstream, &holder("app-one"), &session(name), deadline).await
    }

    /// How long it takes to vend so many different tokens from each upstream at once.
    async fn time_of(self, each: usize) -> Duration {
        let pair = Arc::new(self);
        let begun = Instant::now();
        let calls = (0..2 * each).map(|n| {
            let pair = Arc::clone(&pair);
            let upstream = if n % 2 == 0 { UpstreamName::default() } else { partner() };
            tokio::spawn(async move { pair.vend(&upstream, &format!("device-{n}")).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap();
        }
        begun.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_fails_or_throttles_leaves_the_others_untouched() {
    for behavior in [StsBehavior::Unavailable, StsBehavior::Throttling, StsBehavior::Silent] {
        let pair = Pair::new([90, 90], [FakeSts::new(), FakeSts::new()]);
        let pair = Arc::new(pair.open(["11223344", "55667788"]));
        pair.of_partner.set(|sts| sts.behavior = behavior);
        let failing: Vec<_> = (0..500)
            .map(|n| {
                let pair = Arc::clone(&pair);
                tokio::spawn(async move { pair.vend(&partner(), &format!("gone-{n}")).await })
            })
            .collect();
        sleep(secs(20)).await;
        let begun = Instant::now();
        for n in 0..20 {
            let default = UpstreamName::default();
            pair.vend(&default, &format!("device-{n}")).await.unwrap();
        }
        // One after the other, and none of them waits for anything but STS.
        assert_eq!(begun.elapsed(), LATENCY * 20, "{behavior:?}");
        assert_eq!(pair.of_sts.calls(), 20, "{behavior:?}");
        for failing in failing {
            failing.await.unwrap().unwrap_err();
        }
        let rate = |upstream: &UpstreamName| {
            pair.vendors.get(upstream).unwrap().engine.sts_calls.budget().measure().0
        };
        assert_eq!(rate(&UpstreamName::default()), 90.0, "{behavior:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn upstreams_of_one_account_share_one_budget() {
    // One quota, too.
    let sts = FakeSts::new();
    let pair = Pair::new([90, 90], [sts.clone(), sts.clone()]).open(["11223344"; 2]);
    let took = pair.time_of(450).await;
    assert_eq!((sts.calls(), sts.throttled()), (900, 0));
    assert!((9.5..10.5).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn upstreams_of_different_accounts_have_their_own_budgets() {
    let sts = [FakeSts::new(), FakeSts::new()];
    let pair = Pair::new([90, 90], sts).open(["11223344", "55667788"]);
    let took = pair.time_of(450).await;
    assert!((4.5..5.5).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn of_different_budgets_of_one_account_the_smaller_applies_to_all() {
    for rates in [[90, 10], [10, 90]] {
        let sts = FakeSts::new();
        let pair = Pair::new(rates, [sts.clone(), sts]).open(["11223344"; 2]);
        let took = pair.time_of(50).await;
        assert!((8.5..10.5).contains(&took.as_secs_f64()), "{rates:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_session_is_another_token_for_each_upstream() {
    let pair = Pair::new([90, 90], [FakeSts::new(), FakeSts::new()]);
    let pair = pair.open(["11223344", "55667788"]);
    for _ in 0..2 {
        for upstream in [UpstreamName::default(), partner()] {
            pair.vend(&upstream, "device").await.unwrap();
        }
    }
    assert_eq!((pair.of_sts.calls(), pair.of_partner.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_not_verified_refuses_its_grants_and_no_others() {
    let pair = Pair::new([90, 90], [FakeSts::new(), FakeSts::new()]);
    let default = UpstreamName::default();
    pair.vendors.get(&default).unwrap().open(key_of("11223344"));
    assert!(!pair.vendors.are_open());
    pair.vend(&default, "device").await.unwrap();
    for closed in [partner(), "unknown".parse().unwrap()] {
        let refused = pair.vend(&closed, "device").await.unwrap_err();
        assert!(matches!(refused, VendError::NotReady), "{refused:?}");
    }
    pair.vendors.get(&partner()).unwrap().open(key_of("55667788"));
    assert!(pair.vendors.are_open());
    // One without credentials to sign with is no reason to send all callers to another replica.
    pair.of_partner.set(|sts| sts.can_sign = false);
    assert!(pair.vendors.can_any_sign());
    pair.of_sts.set(|sts| sts.can_sign = false);
    assert!(!pair.vendors.can_any_sign());
}
