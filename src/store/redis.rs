//! What is asked of Redis, one script for each question.
//!
//! Scripts go by the server's clock, so that replicas need not agree about the time. Nothing is answered (`None`)
//! when Redis is lost over a question. Who else writes to Redis is not trusted: the scripts replace what none of them
//! wrote, and what they answer is held to what the configuration can produce.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Client, ProtocolVersion, RedisConnectionInfo, RedisError, Script};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretSlice};
use tokio::time::sleep;

use super::StoreError;
use super::budget::{Ask, BudgetTerms, Reserved};
use super::lease::Lease;
use super::name::{Name, Names};
use super::record;
use super::redis_connection::{Probe, RedisConnection};
use super::settings::RedisSettings;
use super::view::{LeaseState, Shared, SharedState};
use crate::seal::Seal;
use crate::telemetry::{StoreMetrics, StoreOperation};
use appserver_domain::Credentials;
use appserver_domain::clock::Clock;

/// A Redis that replicas share.
#[derive(Debug)]
pub(crate) struct Redis {
    link: Arc<RedisConnection>,
    names: Names,
    seal: Seal,
    scripts: Scripts,
    /// Who asks for the budget; another at each start.
    replica: String,
    lease: Duration,
    expected_replicas: NonZeroU32,
    clock: Clock,
    metrics: StoreMetrics,
}

#[derive(Debug)]
struct Scripts {
    view: Script,
    renew: Script,
    land: Script,
    budget: Script,
    limit: Script,
    forget: Script,
}

/// What a flight brought.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallResult<'a> {
    /// Credentials, and what is left of their life.
    Token(&'a Credentials, Duration),
    /// The `Code` of a refusal that STS would repeat, and how long it is taken for the answer.
    Refusal(&'a str, Duration),
    NotShared,
}

/// What `view.lua` answers: token, refusal and lease, each with its milliseconds left; and how much was not ours.
type RawView = (Option<Vec<u8>>, i64, Option<Vec<u8>>, i64, String, i64, i64);

/// No token lives longer: the longest session of any role.
const LONGEST_TOKEN: Duration = Duration::from_hours(12);
/// No refusal is remembered longer, the most that can be configured.
const LONGEST_REFUSAL: Duration = Duration::from_mins(1);

/// A script that tells what is ours by the functions of `ours.lua`.
macro_rules! reading {
    ($file:literal) => {
        Script::new(concat!(include_str!("scripts/ours.lua"), include_str!($file)))
    };
}

impl Redis {
    pub(super) async fn open(
        settings: RedisSettings,
        clock: Clock,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        let client = client(&settings)?;
        // The oldest key: while a new one is rolled out in front of it, all replicas still agree on it.
        let oldest = settings.seal_keys.last().expect("settings hold a key");
        let names = Names::new(settings.key_prefix, oldest);
        let probe = Probe {
            script: Script::new(include_str!("scripts/probe.lua")),
            key: names.common("probe"),
        };
        Ok(Self {
            link: RedisConnection::open(client, settings.timeout, probe, metrics.clone()).await,
            names,
            seal: Seal::new("appserver store seal 1", &settings.seal_keys),
            scripts: Scripts {
                view: reading!("scripts/view.lua"),
                renew: reading!("scripts/renew.lua"),
                land: reading!("scripts/land.lua"),
                budget: reading!("scripts/budget.lua"),
                limit: reading!("scripts/limit.lua"),
                forget: Script::new(include_str!("scripts/forget.lua")),
            },
            replica: Lease::new_id(),
            lease: settings.lease,
            expected_replicas: settings.expected_replicas,
            clock,
            metrics,
        })
    }

    pub(super) fn is_up(&self) -> bool {
        self.link.is_up()
    }

    pub(super) fn expected_replicas(&self) -> NonZeroU32 {
        self.expected_replicas
    }

    /// Which connection it is: what was promised on another one is void.
    pub(crate) fn connection_number(&self) -> u64 {
        self.link.number()
    }

    /// Comes when the connection goes or a new one comes, from the call on and not only from the first poll.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + use<> {
        self.link.changed()
    }

    /// What is shared of whatever these parts identify is called so.
    pub(crate) fn name(&self, parts: &[impl AsRef<str>]) -> Name {
        self.names.of(parts)
    }

    /// What is known of a session.
    pub(crate) async fn look(&self, name: &Name) -> Option<SharedState> {
        self.view(name, "look", String::new()).await
    }

    /// The same, and the lease if nobody else has it.
    pub(crate) async fn take_lease(&self, name: &Name) -> Option<SharedState> {
        self.view(name, "take", Lease::new_id()).await
    }

    async fn view(&self, name: &Name, action: &str, id: String) -> Option<SharedState> {
        let Name { token, refusal, lease: lease_name, .. } = name;
        let mut script = self.scripts.view.key(token);
        script.key(refusal).key(lease_name).arg(action).arg(&id).arg(millis(self.lease));
        script.arg(millis(LONGEST_TOKEN)).arg(millis(LONGEST_REFUSAL));
        let raw: RawView = self.link.run(StoreOperation::View, &script).await?;
        let (sealed_token, token_left, sealed_refusal, refusal_left, whose, lease_left, foreign) =
            raw;
        self.replaced(StoreOperation::View, foreign);
        let token = self.opened(token, sealed_token, record::read);
        let refusal = self.opened(refusal, sealed_refusal, record::read_refusal);
        Some(SharedState {
            token: token.and_then(|token| self.alive(token_left, token.expiration(), token)),
            refusal: refusal.and_then(|(code, until)| self.alive(refusal_left, until, code)),
            lease: match whose.as_str() {
                "ours" => LeaseState::Ours(Lease { name: name.clone(), id }),
                "theirs" => LeaseState::OtherReplica(left(lease_left).min(self.lease)),
                _ => LeaseState::Free,
            },
        })
    }

    /// Opens a sealed value. One that does not open is no value: it will be replaced.
    fn opened<T>(
        &self,
        name: &str,
        sealed: Option<Vec<u8>>,
        read: impl FnOnce(&SecretSlice<u8>) -> Option<T>,
    ) -> Option<T> {
        let opened = self.seal.open(name, &sealed?).and_then(|plain| read(&plain));
        if opened.is_none() {
            self.metrics.decrypt_failed();
            tracing::warn!(
                store.value = name,
                "a value in Redis was not sealed by a key of ours, and is ignored"
            );
        }
        opened
    }

    /// What ends at `until` by what is sealed, whatever Redis says is left of it: a value that was put back after its
    /// time, or kept beyond it, is sealed as it should be. A clock of ours that runs fast costs calls; one that is slow
    /// changes nothing.
    fn alive<T>(&self, millis_left: i64, until: DateTime<Utc>, value: T) -> Option<Shared<T>> {
        let by_our_clock = (until - self.clock.now()).to_std().ok()?;
        let left = left(millis_left).min(by_our_clock);
        (!left.is_zero()).then_some(Shared { value, left })
    }

    /// Counts what a script found that none of ours wrote, and has replaced.
    fn replaced(&self, operation: StoreOperation, foreign: i64) {
        if let Ok(values @ 1..) = u64::try_from(foreign) {
            self.metrics.replaced(operation, values);
            tracing::warn!(
                store.values = values,
                store.operation = operation.label(),
                "values in Redis that AppServer does not write were replaced: somebody else writes to its keys"
            );
        }
    }

    /// Prolongs the lease for as long as this is awaited.
    pub(crate) async fn hold(&self, lease: &Lease) -> Infallible {
        loop {
            sleep(self.lease / 3).await;
            let mut script = self.scripts.renew.key(&lease.name.lease);
            script.arg(&lease.id).arg(millis(self.lease));
            // Lost or not, the flight goes on: at worst another replica makes the same call.
            let foreign = self.link.run(StoreOperation::Renew, &script).await;
            self.replaced(StoreOperation::Renew, foreign.unwrap_or(0));
        }
    }

    /// Drops what is known of a session.
    pub(crate) async fn forget(&self, name: &Name) {
        let mut script = self.scripts.forget.key(&name.token);
        script.key(&name.refusal);
        let _: Option<i64> = self.link.run(StoreOperation::Forget, &script).await;
    }

    /// Ends a flight for all replicas.
    pub(crate) async fn complete(&self, lease: Lease, landed: CallResult<'_>) {
        let Name { token, refusal, lease: lease_name, .. } = &lease.name;
        let (kind, value, life) = match landed {
            CallResult::Token(credentials, left) => {
                let left = left.min(LONGEST_TOKEN);
                ("token", self.seal.seal(token, &record::write(credentials)), left)
            }
            CallResult::Refusal(code, left) => {
                let left = left.min(LONGEST_REFUSAL);
                let until = self.clock.now() + left;
                let plain = record::write_refusal(code, until);
                ("refusal", self.seal.seal(refusal, &plain), left)
            }
            CallResult::NotShared => ("nothing", Vec::new(), Duration::ZERO),
        };
        let kind = if life < Duration::from_millis(1) { "nothing" } else { kind };
        let mut script = self.scripts.land.key(token);
        script.key(refusal).key(lease_name).arg(&lease.id).arg(kind).arg(value).arg(millis(life));
        let foreign = self.link.run(StoreOperation::Land, &script).await;
        self.replaced(StoreOperation::Land, foreign.unwrap_or(0));
    }

    /// Reserves calls out of the one budget.
    pub(crate) async fn reserve(&self, terms: &BudgetTerms, calls: u32) -> Option<Reserved> {
        self.budget(terms, Ask::Reserve(calls)).await.map(|(_, reserved)| reserved)
    }

    /// Takes a call for refreshing ahead, if the budget can spare it.
    pub(crate) async fn try_take_for_refresh(&self, terms: &BudgetTerms) -> Option<bool> {
        self.budget(terms, Ask::Spare).await.map(|(done, _)| done)
    }

    /// STS has throttled: the budget shrinks for all.
    pub(crate) async fn cut(&self, terms: &BudgetTerms) {
        self.budget(terms, Ask::Cut).await;
    }

    /// Takes requests out of the one limit of whomever these parts name, a client or a user of its: how many were
    /// given, at most what was wanted, or else when there is another, after the time of one at the latest.
    pub(crate) async fn take_requests(
        &self,
        whose: &[&str],
        per_second: f64,
        burst: u32,
        wanted: u32,
    ) -> Option<(u32, Duration)> {
        let mut script = self.scripts.limit.key(self.names.of(whose).limit);
        script.arg(per_second).arg(burst).arg(wanted);
        let raw: (i64, i64, i64) = self.link.run(StoreOperation::Limit, &script).await?;
        let (given, micros, foreign) = raw;
        self.replaced(StoreOperation::Limit, foreign);
        let given = u32::try_from(given).unwrap_or(0).min(wanted);
        let longest = Duration::try_from_secs_f64(per_second.recip()).unwrap_or(Duration::ZERO);
        Some((given, Duration::from_micros(micros.try_into().unwrap_or(0)).min(longest)))
    }

    async fn budget(&self, terms: &BudgetTerms, ask: Ask) -> Option<(bool, Reserved)> {
        let (action, calls) = ask.told();
        let mut script = self.scripts.budget.key(self.names.common("budget"));
        script.key(self.names.common("waiting")).arg(action).arg(calls).arg(&self.replica);
        for term in [
            terms.per_second,
            terms.burst,
            terms.spare_per_second,
            terms.spare_burst,
            terms.cut,
            terms.floor,
            terms.regain,
            terms.cut_pause.as_secs_f64(),
        ] {
            script.arg(term);
        }
        let most_replicas = BudgetTerms::most_replicas(self.expected_replicas);
        script.arg(most_replicas).arg(terms.most_ahead(most_replicas));
        let raw: (bool, i64, i64, i64, i64) =
            self.link.run(StoreOperation::Budget, &script).await?;
        let (done, micros, thousandths, replicas, foreign) = raw;
        self.replaced(StoreOperation::Budget, foreign);
        Some((done, Reserved::clamped(terms, most_replicas, micros, thousandths, replicas)))
    }
}

/// Connects as the settings say.
pub(super) fn client(settings: &RedisSettings) -> Result<Client, RedisError> {
    // Redis 5 knows no other.
    let mut login = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP2)
        .set_skip_set_lib_name()
        .set_db(settings.address.database());
    if let Some(username) = &settings.username {
        login = login.set_username(username);
    }
    if let Some(password) = &settings.password {
        login = login.set_password(password.expose_secret());
    }
    Client::open(settings.address.clone().with(login))
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// What is left of something, as Redis counts it; negative is nothing.
fn left(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or(0))
}
