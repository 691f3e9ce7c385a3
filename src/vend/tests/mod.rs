//! The engine in virtual time, against an STS that counts.

mod budget;
mod budget_schedules;
mod capacity;
mod clocks;
mod fleets;
mod grant_sessions;
mod invalidation;
mod outages;
mod refreshing;
mod replicas;
mod sharing;
mod upstreams;

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep, sleep_until};

use super::*;
use crate::sts::{
    CallerIdentity, IdentityKind, Reason, Refusal, StsError, grant_policy_for, policy_for,
};
use crate::telemetry::{Lookup, Refresh};
use appserver_domain::{AssumedRoleUser, Credentials, Fingerprint, MaxSessionDuration};
use appserver_policy::SessionPolicy;

/// How long STS takes.
const LATENCY: Duration = Duration::from_millis(100);

/// How STS answers calls.
#[derive(Clone, Copy, Debug)]
enum StsBehavior {
    Healthy,
    /// Answers `ServiceUnavailable`.
    Unavailable,
    /// Does not answer within the attempt's time of 5 s.
    Silent,
    Throttling,
    Refusing(Reason),
    /// A bug of ours.
    Panicking,
}

/// An STS that counts its calls, throttles beyond its quota as the real one does, and fails on request.
#[derive(Clone, Debug)]
struct FakeSts(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    behavior: StsBehavior,
    /// Whether there are credentials to sign with.
    can_sign: bool,
    /// Calls a second.
    quota: usize,
    /// The lifetime of tokens, if it is not the requested one.
    life: Option<TimeDelta>,
    /// When each call arrived, and its session name.
    calls: Vec<(Instant, String)>,
    /// Those of the last second, which the quota counts.
    recent: VecDeque<Instant>,
    throttled: usize,
    start: Instant,
}

impl FakeSts {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            behavior: StsBehavior::Healthy,
            can_sign: true,
            quota: 100,
            life: None,
            calls: vec![],
            recent: VecDeque::new(),
            throttled: 0,
            start: Instant::now(),
        })))
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().calls.len()
    }

    fn throttled(&self) -> usize {
        self.0.lock().unwrap().throttled
    }

    /// The session names of the calls, in order.
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().calls.iter().map(|(_, name)| name.clone()).collect()
    }

    /// Seconds since the start at which it was called.
    fn times(&self) -> Vec<f64> {
        let state = self.0.lock().unwrap();
        state.calls.iter().map(|(at, _)| (*at - state.start).as_secs_f64()).collect()
    }

    /// Records a call, and returns whether it is beyond the quota.
    fn note(&self, session: &RoleSession) -> (StsBehavior, bool) {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap();
        state.calls.push((now, session.name.as_str().to_owned()));
        while state.recent.front().is_some_and(|at| now - *at >= Duration::from_secs(1)) {
            state.recent.pop_front();
        }
        state.recent.push_back(now);
        let beyond = state.recent.len() > state.quota;
        state.throttled += usize::from(beyond);
        (state.behavior, beyond)
    }

    fn mint(&self, session: &RoleSession) -> Credentials {
        let state = self.0.lock().unwrap();
        let epoch: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        let issued_at = epoch + TimeDelta::from_std(state.start.elapsed()).unwrap();
        let life = state.life.unwrap_or(TimeDelta::seconds(session.duration.as_secs().into()));
        Credentials::new(
            format!("STS.{}", state.calls.len()),
            "canary-secret".into(),
            "canary-token".into(),
            issued_at,
            issued_at + life,
            AssumedRoleUser { arn: String::new(), id: session.name.as_str().into() },
        )
        .unwrap()
    }
}

impl AssumeRole for FakeSts {
    async fn assume_role(
        &self,
        session: &RoleSession,
        _attempt: u32,
        deadline: Instant,
    ) -> Result<Credentials, StsError> {
        let (behavior, beyond) = self.note(session);
        if let StsBehavior::Silent = behavior {
            sleep_until(deadline.min(Instant::now() + Duration::from_secs(5))).await;
            return Err(StsError::TimedOut);
        }
        sleep(LATENCY).await;
        let throttled = || Err(StsError::Throttled { retry_after: None, request_id: None });
        if beyond {
            return throttled();
        }
        match behavior {
            StsBehavior::Healthy => Ok(self.mint(session)),
            StsBehavior::Unavailable | StsBehavior::Silent => {
                Err(StsError::Unavailable { status: 503, request_id: None })
            }
            StsBehavior::Throttling => throttled(),
            StsBehavior::Panicking => panic!("a bug, as the test intends"),
            StsBehavior::Refusing(reason) => {
                let refusal = Refusal::new(reason, "Code".parse().unwrap());
                Err(StsError::Refused { refusal, request_id: None })
            }
        }
    }

    fn can_sign(&self) -> bool {
        self.0.lock().unwrap().can_sign
    }
}

/// A client with a grant.
pub(super) fn holder(client: &str) -> GrantHolder {
    GrantHolder { client: client.parse().unwrap(), grant: Fingerprint::of([]), user: None }
}

/// A vendor with a verified key, its STS and its metrics.
#[derive(Clone)]
struct Harness {
    vendor: Arc<Vendor<FakeSts>>,
    sts: FakeSts,
    metrics: VendMetrics,
    /// The wall clock, which does not move by itself; the monotonic clock is tokio's.
    clock: Clock,
}

fn harness() -> Harness {
    harness_with(|_| {})
}

fn harness_with(change: impl FnOnce(&mut VendSettings)) -> Harness {
    let harness = unverified_harness(change);
    harness.vendor.open(verified_key());
    harness
}

fn verified_key() -> VerifiedKey {
    let identity = CallerIdentity {
        kind: IdentityKind::RamUser,
        account: "11223344".parse().unwrap(),
        arn: "acs:ram::11223344:user/appserver".into(),
    };
    VerifiedKey::admit(identity, []).unwrap()
}

fn unverified_harness(change: impl FnOnce(&mut VendSettings)) -> Harness {
    let mut settings = VendSettings::for_tests();
    change(&mut settings);
    let (sts, metrics) = (FakeSts::new(), VendMetrics::new());
    let clock = Clock::manual("2016-01-13T14:02:37Z".parse().unwrap());
    let store = Arc::new(Store::Memory);
    let vendor = Vendor::only(sts.clone(), store, settings, &metrics, clock.clone());
    Harness { vendor: Arc::new(vendor), sts, metrics, clock }
}

impl Harness {
    /// A request for the session of `name`, within the server's default time-out.
    async fn vend(&self, client: &str, name: &str) -> Result<Vended, VendError> {
        self.vend_within(client, &session(name), Duration::from_secs(15)).await
    }

    async fn vend_within(
        &self,
        client: &str,
        session: &CallerSession,
        timeout: Duration,
    ) -> Result<Vended, VendError> {
        self.vendor.vend(&holder(client), session, Instant::now() + timeout).await
    }

    /// The same on a task of its own.
    fn spawn(
        &self,
        client: &str,
        name: &str,
        timeout: Duration,
    ) -> tokio::task::JoinHandle<Result<Vended, VendError>> {
        let (harness, client, name) = (self.clone(), client.to_owned(), name.to_owned());
        tokio::spawn(async move { harness.vend_within(&client, &session(&name), timeout).await })
    }

    fn remaining(&self, vended: &Vended) -> Duration {
        vended.token.remaining(self.clock.moment())
    }

    fn given(&self, outcome: Lookup) -> u64 {
        self.metrics.given(outcome)
    }
}

impl Vended {
    fn id(&self) -> &str {
        self.token.credentials().access_key_id()
    }
}

/// One hour of `oss-readonly` under a name.
pub(super) fn session(name: &str) -> CallerSession {
    // Rendered once: some tests have sessions by the thousand.
    static POLICY: LazyLock<SessionPolicy> = LazyLock::new(|| policy_for("2015/*"));
    CallerSession::new(
        "acs:ram::11223344:role/oss-readonly".to_owned().try_into().unwrap(),
        name.parse().unwrap(),
        POLICY.clone(),
        MaxSessionDuration::DEFAULT.admit(3600).unwrap(),
        None,
        None,
    )
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
