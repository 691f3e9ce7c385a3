//! Which callers share a token, a call and an error.

use proptest::prelude::*;

use super::*;
use crate::sts::InlinePolicy;
use crate::vend::cache::KeyHashing;
use quick_cache::Equivalent;

#[tokio::test(start_paused = true)]
async fn a_cold_key_with_2000_callers_costs_one_sts_call() {
    let harness = harness();
    let begun = Instant::now();
    let callers: Vec<_> = (0..2000).map(|_| harness.spawn("app-one", "device", secs(15))).collect();
    for device in callers {
        assert_eq!(device.await.unwrap().unwrap().id(), "STS.1");
    }
    assert_eq!((harness.sts.calls(), begun.elapsed().as_millis()), (1, 100));
    assert_eq!((harness.given(Lookup::Miss), harness.given(Lookup::Hit)), (2000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hit_waits_for_nothing_and_costs_no_call() {
    let harness = harness();
    let first = harness.vend("app-one", "device").await.unwrap();
    let begun = Instant::now();
    let second = harness.vend("app-two", "device").await.unwrap();
    assert!(Arc::ptr_eq(&first.token, &second.token), "clients share what STS cannot tell apart");
    assert_eq!((harness.sts.calls(), begun.elapsed()), (1, Duration::ZERO));
    assert_eq!(harness.given(Lookup::Hit), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_first_caller_leaves_its_call_serves_all_others() {
    let harness = harness();
    let leader = harness.spawn("app-one", "device", secs(15));
    sleep(LATENCY / 4).await;
    let others: Vec<_> = (0..50).map(|_| harness.spawn("app-one", "device", secs(15))).collect();
    sleep(LATENCY / 4).await;
    leader.abort();
    for other in others {
        assert_eq!(other.await.unwrap().unwrap().id(), "STS.1");
    }
    assert_eq!(harness.sts.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_when_all_callers_have_left_and_the_next_caller_finds_its_token() {
    let harness = harness();
    let only = harness.spawn("app-one", "device", secs(15));
    sleep(LATENCY / 2).await;
    only.abort();
    sleep(LATENCY).await;
    assert_eq!(harness.vend("app-one", "device").await.unwrap().id(), "STS.1");
    assert_eq!(harness.sts.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_waiter_has_its_own_deadline() {
    let harness = harness();
    let patient = harness.spawn("app-one", "device", secs(15));
    let begun = Instant::now();
    let device = session("device");
    let impatient = harness.vend_within("app-one", &device, LATENCY / 2).await;
    assert!(matches!(impatient, Err(VendError::TimedOut)), "{impatient:?}");
    assert_eq!(begun.elapsed(), LATENCY / 2);
    assert_eq!(patient.await.unwrap().unwrap().id(), "STS.1");
}

#[tokio::test(start_paused = true)]
async fn all_waiters_share_the_error_of_one_call() {
    let harness = harness();
    harness.sts.set(|sts| sts.behavior = StsBehavior::Refusing(Reason::Unknown));
    let callers: Vec<_> = (0..200).map(|_| harness.spawn("app-one", "device", secs(15))).collect();
    let begun = Instant::now();
    for device in callers {
        let error = device.await.unwrap().unwrap_err();
        assert!(matches!(error, VendError::Sts(_)), "{error:?}");
    }
    assert_eq!((harness.sts.calls(), begun.elapsed()), (1, LATENCY));
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_session_are_cached_for_a_minute_and_other_errors_are_not() {
    use Reason::*;
    let behaviors = [
        (StsBehavior::Refusing(NoPermission), true),
        (StsBehavior::Refusing(NoSuchRole), true),
        (StsBehavior::Refusing(Policy), true),
        (StsBehavior::Refusing(Parameter), true),
        (StsBehavior::Refusing(KeyUnknown), false),
        (StsBehavior::Refusing(KeyDisabled), false),
        (StsBehavior::Refusing(WrongSecret), false),
        (StsBehavior::Refusing(SigningBug), false),
        (StsBehavior::Refusing(Signature), false),
        (StsBehavior::Refusing(Unknown), false),
        (StsBehavior::Unavailable, false),
        (StsBehavior::Silent, false),
        (StsBehavior::Throttling, false),
    ];
    for (behavior, remembered) in behaviors {
        let harness = harness();
        harness.sts.set(|sts| sts.behavior = behavior);
        harness.vend("app-one", "device").await.unwrap_err();
        // Beyond the end of the call, which may be later than the caller's deadline.
        sleep(secs(1)).await;
        harness.sts.set(|sts| sts.behavior = StsBehavior::Healthy);
        assert_eq!(harness.vend("app-one", "device").await.is_err(), remembered, "{behavior:?}");
        assert!(harness.vend("app-one", "another").await.is_ok(), "{behavior:?}");
        sleep(secs(61)).await;
        assert!(harness.vend("app-one", "device").await.is_ok(), "{behavior:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_access_key_gets_no_cached_refusals_of_the_previous_one() {
    let harness = harness();
    harness.sts.set(|sts| sts.behavior = StsBehavior::Refusing(Reason::NoPermission));
    harness.vend("app-one", "device").await.unwrap_err();
    harness.sts.set(|sts| sts.behavior = StsBehavior::Healthy);
    harness.vend("app-one", "device").await.unwrap_err();
    assert_eq!(harness.sts.calls(), 1, "the refusal is remembered");
    harness.vendor.open(verified_key());
    assert_eq!(harness.vend("app-one", "device").await.unwrap().id(), "STS.2");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_fails_its_waiters_at_once_and_frees_its_key() {
    let harness = harness();
    harness.sts.set(|sts| sts.behavior = StsBehavior::Panicking);
    let begun = Instant::now();
    let callers: Vec<_> = (0..10).map(|_| harness.spawn("app-one", "device", secs(15))).collect();
    for device in callers {
        assert!(matches!(device.await.unwrap(), Err(VendError::CallLost)));
    }
    assert_eq!((harness.sts.calls(), begun.elapsed()), (1, LATENCY));
    harness.sts.set(|sts| sts.behavior = StsBehavior::Healthy);
    assert_eq!(harness.vend("app-one", "device").await.unwrap().id(), "STS.2");
    assert_eq!(begun.elapsed(), 2 * LATENCY);
}

#[tokio::test(start_paused = true)]
async fn a_tokens_lifetime_is_what_sts_answered_and_not_what_was_requested() {
    let harness = harness();
    harness.sts.set(|sts| sts.life = Some(TimeDelta::seconds(1200)));
    harness.vend("app-one", "device").await.unwrap();
    // Its age counts from its call.
    sleep(secs(600).checked_sub(LATENCY).unwrap()).await;
    let last = harness.vend("app-one", "device").await.unwrap();
    assert_eq!((last.id(), harness.remaining(&last)), ("STS.1", secs(600)));
    sleep(secs(1)).await;
    assert_eq!(harness.vend("app-one", "device").await.unwrap().id(), "STS.2");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_vended_before_sts_has_verified_the_key() {
    let harness = unverified_harness(|_| {});
    let refused = harness.vend("app-one", "device").await;
    assert!(matches!(refused, Err(VendError::NotReady)), "{refused:?}");
    assert_eq!(harness.sts.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_tokens_are_cached_than_the_limit() {
    let harness = harness_with(|settings| {
        settings.max_cached_tokens = 500;
        settings.budget.per_second = 10_000;
    });
    harness.sts.set(|sts| sts.quota = usize::MAX);
    for number in 0..2000 {
        harness.vend("app-one", &format!("device-{number}")).await.unwrap();
    }
    let kept = harness.vendor.engine.cache.len();
    // The cap is shared out among a few shards, rounded up.
    assert!((400..=532).contains(&kept), "{kept}");
    assert_eq!(harness.vend("app-one", "device-1999").await.unwrap().id(), "STS.2000");
    assert_eq!(harness.sts.calls(), 2000, "the newest is among those that are kept");
}

/// Sessions that are often equal, and otherwise differ in some fields.
fn sessions() -> impl Strategy<Value = RoleSession> {
    let id = || proptest::option::of(prop_oneof!["aa", "bb"]);
    let (role, name) = ("role-[ab]", "name-[ab]");
    let policy = ("[ab]/x", any::<bool>()).prop_map(|(keys, is_callers)| {
        if is_callers {
            InlinePolicy::Caller(policy_for(&keys))
        } else {
            InlinePolicy::Grant(grant_policy_for(&keys))
        }
    });
    (role, name, policy, prop_oneof![Just(900), Just(3600)], id(), id()).prop_map(
        |(role, name, policy, duration, external_id, source_identity)| RoleSession {
            role: format!("acs:ram::11223344:role/{role}").try_into().unwrap(),
            name: name.parse().unwrap(),
            policy,
            duration: MaxSessionDuration::DEFAULT.admit(duration).unwrap(),
            external_id: external_id.map(|id| id.parse().unwrap()),
            source_identity: source_identity.map(|id| id.parse().unwrap()),
        },
    )
}

/// What STS sees of a session, read from its fields one by one, and whose it is.
fn seen(session: &RoleSession) -> [String; 7] {
    let id = |text: Option<&str>| format!("{text:?}");
    [
        session.role.as_str().into(),
        session.name.as_str().into(),
        session.policy.as_str().into(),
        match session.policy {
            InlinePolicy::Caller(_) => "of a caller".into(),
            InlinePolicy::Grant(_) => "of a grant".into(),
        },
        session.duration.as_secs().to_string(),
        id(session.external_id.as_ref().map(appserver_domain::ExternalId::as_str)),
        id(session.source_identity.as_ref().map(appserver_domain::SourceIdentity::as_str)),
    ]
}

proptest! {
    #[test]
    fn two_sessions_have_one_key_exactly_if_sts_sees_no_difference(a in sessions(), b in sessions()) {
        let hashing = KeyHashing::default();
        let (one, other) = (holder("app-one"), holder("app-two"));
        let (lookup_key, kept) = (hashing.key_of(&a, &one), hashing.key_of(&b, &other).to_key());
        prop_assert_eq!(lookup_key.equivalent(&kept), seen(&a) == seen(&b));
        prop_assert_eq!(lookup_key.to_key() == kept, seen(&a) == seen(&b));
        // The names by which replicas share agree, though their secrets differ.
        prop_assert_eq!(lookup_key.to_key().parts() == kept.parts(), seen(&a) == seen(&b));
    }
}
