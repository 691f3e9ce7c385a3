//! The grant decision and the vending after it, together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep};

use crate::auth::Caller;
use crate::config::{self, Environment, Mode};
use crate::grant::{Refusal, TokenParams};
use crate::store::Store;
use crate::sts::{AssumeRole, CallerIdentity, IdentityKind, RoleSession, StsError};
use crate::telemetry::VendMetrics;
use crate::vend::{GrantHolder, VendSettings, Vendor, VerifiedKey};
use appserver_domain::clock::Clock;
use appserver_domain::{AssumedRoleUser, Credentials};

/// A slow STS that issues at the end of its delay and counts its calls.
#[derive(Clone, Debug)]
struct Slow {
    begun: Instant,
    latency: Arc<Mutex<Duration>>,
    calls: Arc<AtomicUsize>,
}

impl Slow {
    /// By the shared virtual clock.
    fn now(&self) -> DateTime<Utc> {
        let start: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        start + TimeDelta::from_std(self.begun.elapsed()).unwrap()
    }
}

impl AssumeRole for Slow {
    async fn assume_role(
        &self,
        session: &RoleSession,
        _: u32,
        _: Instant,
    ) -> Result<Credentials, StsError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let latency = *self.latency.lock().unwrap();
        sleep(latency).await;
        let issued_at = self.now();
        let credentials = Credentials::new(
            format!("STS.{number}"),
            "secret".into(),
            "token".into(),
            issued_at,
            issued_at + TimeDelta::seconds(session.duration.as_secs().into()),
            AssumedRoleUser { arn: String::new(), id: String::new() },
        );
        Ok(credentials.unwrap())
    }
}

/// Logins that end at different times share tokens, and none gets a token that outlives it: neither a new one, even if it
/// is issued as late as a request may take, nor one that was cached or refreshed ahead.
#[tokio::test(start_paused = true)]
async fn shared_tokens_do_not_outlive_the_login_of_anyone_who_gets_them() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dev.toml");
    let settings = config::load(&[demo], &Environment::new(), Mode::Demo).unwrap();
    let sts = Slow { begun: Instant::now(), latency: Arc::default(), calls: Arc::default() };
    let vendor = Vendor::only(
        sts.clone(),
        Arc::new(Store::Memory),
        VendSettings::for_tests(),
        &VendMetrics::new(),
        Clock::manual(sts.now()),
    );
    let identity = CallerIdentity {
        kind: IdentityKind::RamUser,
        account: "11223344".parse().unwrap(),
        arn: "acs:ram::11223344:user/appserver".into(),
    };
    vendor.open(VerifiedKey::admit(identity, []).unwrap());
    let user = |name: &str, life_secs: i64| {
        let end = sts.now() + TimeDelta::seconds(life_secs);
        let subject = Some(name.parse().unwrap());
        let caller = Caller::simulated("photo-app".parse().unwrap(), subject, BTreeMap::new());
        (end, caller.logged_in_until(end))
    };
    // The user's devices signed in one after the other.
    let devices = [4_000, 5_777, 7_301].map(|life_secs| user("alice", life_secs));
    let (mut given, mut closest) = (0, TimeDelta::MAX);
    for round in 0..600_u64 {
        *sts.latency.lock().unwrap() = Duration::from_millis(round % 15 * 1_000 + 900);
        // A new user, whose login lasts exactly as long as needed.
        let newcomer = user(&format!("user-{round}"), 915);
        for (end, caller) in devices.iter().chain([&newcomer]) {
            let deadline = Instant::now() + settings.rules.request_timeout;
            let decided = settings.rules.grants.decide(caller, &TokenParams::default(), sts.now());
            let grant = match decided {
                Ok(grant) => grant,
                Err(refusal) => {
                    assert_eq!(refusal, Refusal::LoginEndsSoon);
                    assert!(*end - sts.now() < TimeDelta::seconds(900 + 15), "too early");
                    continue;
                }
            };
            let holder = GrantHolder {
                client: caller.client().clone(),
                grant: grant.fingerprint(),
                user: None,
            };
            let session = grant.into_caller_session();
            // A token that arrives too late for its request is cached for the next one.
            if let Ok(vended) = vendor.vend(&holder, &session, deadline).await {
                let left = *end - vended.token.credentials().expiration();
                assert!(left >= TimeDelta::zero(), "round {round}: by {left}");
                closest = closest.min(left);
                given += 1;
            }
        }
        sleep(Duration::from_millis(7_000 + round * 37 % 5_000)).await;
    }
    assert!(given > 1_000, "{given} were given");
    assert!(closest < TimeDelta::seconds(5), "it was never close: {closest}");
    let calls = sts.calls.load(Ordering::Relaxed) - 600;
    assert!(calls < 50, "{calls} calls for the devices");
}
