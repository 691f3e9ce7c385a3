//! The store's operations on Redis, one script for each.
//!
//! Scripts use the server's clock, so that the clocks of replicas need not agree. An operation returns `None` if its
//! call fails. Other writers to Redis are not trusted: the scripts replace values that they did not write, and their
//! results are limited to what the configuration can produce.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretSlice;
use tokio::time::sleep;

use super::StoreError;
use super::budget::{BudgetAction, BudgetTerms, Reservation};
use super::connector::Connector;
use super::lease::Lease;
use super::name::{Name, Names};
use super::record;
use super::redis_connection::{Probe, RedisConnection};
use super::scripts::Scripts;
use super::settings::RedisSettings;
use super::shared_state::{LeaseState, Shared, SharedState};
use crate::seal::Seal;
use crate::telemetry::{StoreMetrics, StoreOperation};
use appserver_domain::clock::Clock;
use appserver_domain::{AccountId, Credentials};

/// A Redis that replicas share.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(super) connection: Arc<RedisConnection>,
    pub(super) names: Names,
    pub(super) seal: Seal,
    pub(super) scripts: Scripts,
    /// This replica's id in the shared budget and among the readers of revocations; new at each start.
    pub(super) replica: String,
    /// Names by each of the keys that decrypt here, that which encrypts first.
    pub(super) names_by_key: Vec<Names>,
    lease: Duration,
    expected_replicas: NonZeroU32,
    clock: Clock,
    metrics: StoreMetrics,
}

/// The result of a call to STS, to be shared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallResult<'a> {
    /// Credentials and their remaining lifetime.
    Token(&'a Credentials, Duration),
    /// The `Code` of a refusal that STS would repeat, and how long it is cached.
    Refusal(&'a str, Duration),
    NotShared,
}

/// The result of `read.lua`: token, refusal and lease, each with its milliseconds left; and the number of foreign values.
type RawState = (Option<Vec<u8>>, i64, Option<Vec<u8>>, i64, String, i64, i64);

/// The longest session of any role.
const MAX_TOKEN_LIFETIME: Duration = Duration::from_hours(12);
/// The longest time for which refusals can be configured to be cached.
const MAX_REFUSAL_LIFETIME: Duration = Duration::from_mins(1);

impl Redis {
    pub(super) async fn open(
        settings: RedisSettings,
        clock: Clock,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        let connector = Connector::new(&settings)?;
        // The oldest key: while a new one is rolled out in front of it, all replicas still have this one last.
        let oldest = settings.seal_keys.last().expect("settings hold a key");
        let names_of = |key| Names::new(settings.key_prefix.clone(), key);
        let names_by_key = settings.seal_keys.iter().map(names_of).collect();
        let names = Names::new(settings.key_prefix.clone(), oldest);
        let scripts = Scripts::new();
        let probe = Probe {
            script: scripts.probe.clone(),
            keys: [names.common("probe"), names.common("probe-2")],
        };
        Ok(Self {
            connection: RedisConnection::open(connector, settings.timeout, probe, metrics.clone())
                .await,
            names,
            seal: Seal::new("appserver store seal 1", &settings.seal_keys),
            scripts,
            replica: Lease::new_id(),
            names_by_key,
            lease: settings.lease,
            expected_replicas: settings.expected_replicas,
            clock,
            metrics,
        })
    }

    pub(super) fn is_up(&self) -> bool {
        self.connection.is_up()
    }

    pub(super) fn refusal(&self) -> Option<String> {
        self.connection.refusal()
    }

    pub(super) fn expected_replicas(&self) -> NonZeroU32 {
        self.expected_replicas
    }

    /// The number of the present connection: results obtained on another connection are no longer valid.
    pub(crate) fn connection_number(&self) -> u64 {
        self.connection.number()
    }

    /// Resolves when the connection is lost or a new one opened after this call, even before the first poll.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + use<> {
        self.connection.changed()
    }

    /// The Redis keys of the session, client or user that these parts identify.
    pub(crate) fn name(&self, parts: &[impl AsRef<str>]) -> Name {
        self.names.of(parts)
    }

    /// Reads a session's shared state.
    pub(crate) async fn look(&self, name: &Name) -> Option<SharedState> {
        self.read(name, "look", String::new()).await
    }

    /// Reads a session's shared state, and takes the lease if it is free.
    pub(crate) async fn take_lease(&self, name: &Name) -> Option<SharedState> {
        self.read(name, "take", Lease::new_id()).await
    }

    pub(super) async fn read(&self, name: &Name, action: &str, id: String) -> Option<SharedState> {
        let Name { token, refusal, lease: lease_name, .. } = name;
        let mut script = self.scripts.read.key(token);
        script.key(refusal).key(lease_name).arg(action).arg(&id).arg(millis(self.lease));
        script.arg(millis(MAX_TOKEN_LIFETIME)).arg(millis(MAX_REFUSAL_LIFETIME));
        let raw: RawState = self.connection.run(StoreOperation::Read, &script).await?;
        let (sealed_token, token_left, sealed_refusal, refusal_left, holder, lease_left, foreign) =
            raw;
        self.report_replaced(StoreOperation::Read, foreign);
        let token = self.decrypt(token, sealed_token, record::read);
        let refusal = self.decrypt(refusal, sealed_refusal, record::read_refusal);
        Some(SharedState {
            token: token.and_then(|token| self.unexpired(token_left, token.expiration(), token)),
            refusal: refusal.and_then(|(code, until)| self.unexpired(refusal_left, until, code)),
            lease: match holder.as_str() {
                "ours" => LeaseState::Ours(Lease { name: name.clone(), id }),
                "other" => LeaseState::OtherReplica(left(lease_left).min(self.lease)),
                _ => LeaseState::Free,
            },
        })
    }

    /// Decrypts and parses a value. One that cannot be decrypted counts as absent; the next result replaces it.
    pub(super) fn decrypt<T>(
        &self,
        name: &str,
        sealed: Option<Vec<u8>>,
        read: impl FnOnce(&SecretSlice<u8>) -> Option<T>,
    ) -> Option<T> {
        let value = self.seal.open(name, &sealed?).and_then(|plain| read(&plain));
        if value.is_none() {
            self.metrics.decrypt_failed();
            tracing::warn!(
                store.value = name,
                "a value in Redis cannot be decrypted with the configured keys; ignoring it"
            );
        }
        value
    }

    /// The value, if it has not expired. The encrypted expiry `until` overrides the lifetime that Redis reports: somebody
    /// who writes to Redis can restore or keep an expired value, which still decrypts. A local clock that is fast costs
    /// calls to STS; one that is slow changes nothing.
    fn unexpired<T>(&self, millis_left: i64, until: DateTime<Utc>, value: T) -> Option<Shared<T>> {
        let by_our_clock = (until - self.clock.now()).to_std().ok()?;
        let left = left(millis_left).min(by_our_clock);
        (!left.is_zero()).then_some(Shared { value, left })
    }

    /// Counts and logs foreign values that a script has replaced.
    pub(super) fn report_replaced(&self, operation: StoreOperation, foreign: i64) {
        if let Ok(values @ 1..) = u64::try_from(foreign) {
            self.metrics.replaced(operation, values);
            tracing::warn!(
                store.values = values,
                store.operation = operation.label(),
                "replaced values in Redis that AppServer did not write; another program writes to its keys"
            );
        }
    }

    /// Renews the lease at intervals until the future is dropped.
    pub(crate) async fn keep_renewed(&self, lease: &Lease) -> Infallible {
        loop {
            sleep(self.lease / 3).await;
            self.renew(lease).await;
        }
    }

    /// Renews the lease once, if it is still held.
    pub(super) async fn renew(&self, lease: &Lease) {
        let mut script = self.scripts.renew.key(&lease.name.lease);
        script.arg(&lease.id).arg(millis(self.lease));
        // The call to STS continues even if the lease is lost: at worst another replica makes the same call.
        let foreign = self.connection.run(StoreOperation::Renew, &script).await;
        self.report_replaced(StoreOperation::Renew, foreign.unwrap_or(0));
    }

    /// Deletes a session's token and refusal.
    pub(crate) async fn forget(&self, name: &Name) {
        let mut script = self.scripts.forget.key(&name.token);
        script.key(&name.refusal);
        let _: Option<i64> = self.connection.run(StoreOperation::Forget, &script).await;
    }

    /// Shares the result of a call with all replicas, and releases its lease.
    pub(crate) async fn complete(&self, lease: Lease, result: CallResult<'_>) {
        let Name { token, refusal, lease: lease_name, .. } = &lease.name;
        let (kind, value, life) = match result {
            CallResult::Token(credentials, left) => {
                let left = left.min(MAX_TOKEN_LIFETIME);
                ("token", self.seal.seal(token, &record::write(credentials)), left)
            }
            CallResult::Refusal(code, left) => {
                let left = left.min(MAX_REFUSAL_LIFETIME);
                let until = self.clock.now() + left;
                let plain = record::write_refusal(code, until);
                ("refusal", self.seal.seal(refusal, &plain), left)
            }
            CallResult::NotShared => ("nothing", Vec::new(), Duration::ZERO),
        };
        let kind = if life < Duration::from_millis(1) { "nothing" } else { kind };
        let mut script = self.scripts.complete.key(token);
        script.key(refusal).key(lease_name).arg(&lease.id).arg(kind).arg(value).arg(millis(life));
        let foreign = self.connection.run(StoreOperation::Complete, &script).await;
        self.report_replaced(StoreOperation::Complete, foreign.unwrap_or(0));
    }

    /// Reserves calls in the shared budget of the account.
    pub(crate) async fn reserve(
        &self,
        account: Option<&AccountId>,
        terms: &BudgetTerms,
        calls: u32,
    ) -> Option<Reservation> {
        let reserved = self.budget(account, terms, BudgetAction::Reserve(calls)).await;
        reserved.map(|(_, reservation)| reservation)
    }

    /// Takes one call for a refresh ahead of expiry, if the budget's share for refreshes and its level allow it.
    pub(crate) async fn try_take_for_refresh(
        &self,
        account: Option<&AccountId>,
        terms: &BudgetTerms,
    ) -> Option<bool> {
        self.budget(account, terms, BudgetAction::TakeForRefresh).await.map(|(done, _)| done)
    }

    /// Reduces the shared budget after STS throttled a call.
    pub(crate) async fn cut(&self, account: Option<&AccountId>, terms: &BudgetTerms) {
        self.budget(account, terms, BudgetAction::Cut).await;
    }

    /// Takes requests out of the shared limit of the client or user that these parts identify.
    ///
    /// Returns how many were granted, at most `requested`; and if none, the time until the next one is available, at most
    /// the interval of one request.
    pub(crate) async fn take_requests(
        &self,
        parts: &[&str],
        per_second: f64,
        burst: u32,
        requested: u32,
    ) -> Option<(u32, Duration)> {
        let mut script = self.scripts.limit.key(self.names.of(parts).limit);
        script.arg(per_second).arg(burst).arg(requested);
        let raw: (i64, i64, i64) = self.connection.run(StoreOperation::Limit, &script).await?;
        let (granted, micros, foreign) = raw;
        self.report_replaced(StoreOperation::Limit, foreign);
        let granted = u32::try_from(granted).unwrap_or(0).min(requested);
        let longest = Duration::try_from_secs_f64(per_second.recip()).unwrap_or(Duration::ZERO);
        Some((granted, Duration::from_micros(micros.try_into().unwrap_or(0)).min(longest)))
    }

    async fn budget(
        &self,
        account: Option<&AccountId>,
        terms: &BudgetTerms,
        action: BudgetAction,
    ) -> Option<(bool, Reservation)> {
        let (action, calls) = action.arguments();
        let name = self.names.budget(account);
        let mut script = self.scripts.budget.key(name.level);
        script.key(name.waiting).arg(action).arg(calls).arg(&self.replica);
        for term in [
            terms.per_second,
            terms.burst,
            terms.refresh_per_second,
            terms.refresh_burst,
            terms.cut,
            terms.floor,
            terms.recovery,
            terms.cut_pause.as_secs_f64(),
        ] {
            script.arg(term);
        }
        let max_replicas = BudgetTerms::max_replicas(self.expected_replicas);
        script.arg(max_replicas).arg(terms.max_reserved_calls(max_replicas));
        let raw: (bool, i64, i64, i64, i64) =
            self.connection.run(StoreOperation::Budget, &script).await?;
        let (done, micros, thousandths, replicas, foreign) = raw;
        self.report_replaced(StoreOperation::Budget, foreign);
        Some((done, Reservation::clamped(terms, max_replicas, micros, thousandths, replicas)))
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// A remaining lifetime in the milliseconds of Redis; a negative number is zero.
fn left(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or(0))
}
