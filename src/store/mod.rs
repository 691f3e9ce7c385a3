//! State that replicas share through Redis: tokens, refusals, the lease to call STS, the budget and the limits.
//!
//! Vending never depends on it: without Redis, or while it does not answer, each replica works alone.

mod budget;
mod check;
mod connector;
mod deliveries;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_records;
mod lease;
mod name;
mod once;
mod record;
mod redis;
mod redis_connection;
mod revocations;
mod scripts;
mod settings;
mod shared_state;
#[cfg(test)]
mod tests;
mod topology;

use std::num::NonZeroU32;

use crate::telemetry::StoreMetrics;
use appserver_domain::clock::Clock;

pub(crate) use self::redis::{CallResult, Redis};
pub(crate) use budget::{BudgetTerms, Reservation};
pub(crate) use check::{RedisCheck, RedisCheckError};
pub(crate) use deliveries::KeepOutcome;
pub(crate) use lease::Lease;
pub(crate) use name::{KeyPrefix, Name};
pub(crate) use once::{Once, OnceClaim};
pub(crate) use revocations::{
    KnownRevocation, ReaderMark, ReplaceOutcome, RevocationPage, RevocationReader, RevocationValue,
};
pub(crate) use settings::{RedisSettings, StoreSettings};
pub(crate) use shared_state::{LeaseState, Shared, SharedState};
pub(crate) use topology::{MasterName, NodeAddress, RedisAddress, RedisTopology, SentinelSettings};

/// Where replicas keep shared state.
#[derive(Debug)]
pub(crate) enum Store {
    /// Nothing is shared: this is the only replica.
    Memory,
    Redis(Box<Redis>),
}

/// Why the store could not be opened or checked.
#[derive(Debug, thiserror::Error)]
#[error("Redis cannot be used")]
pub(crate) struct StoreError(#[from] ::redis::RedisError);

impl Store {
    /// Opens the store. If Redis does not answer, the store starts degraded and reconnects in the background.
    pub(crate) async fn open(
        settings: StoreSettings,
        clock: Clock,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        Ok(match settings {
            StoreSettings::Memory => Self::Memory,
            StoreSettings::Redis(settings) => {
                Self::Redis(Box::new(Redis::open(*settings, clock, metrics).await?))
            }
        })
    }

    /// Redis, if one is configured and answers.
    pub(crate) fn shared(&self) -> Option<&Redis> {
        match self {
            Self::Memory => None,
            Self::Redis(redis) => redis.is_up().then_some(&**redis),
        }
    }

    /// Whether Redis is configured but does not answer.
    pub(crate) fn is_degraded(&self) -> bool {
        match self {
            Self::Memory => false,
            Self::Redis(redis) => !redis.is_up(),
        }
    }

    /// Why Redis refuses this user, if that is why the store is degraded.
    pub(crate) fn refusal(&self) -> Option<String> {
        match self {
            Self::Memory => None,
            Self::Redis(redis) => redis.refusal(),
        }
    }

    /// This replica's id in Redis; `None` where nothing is shared.
    pub(crate) fn replica(&self) -> Option<&str> {
        match self {
            Self::Memory => None,
            Self::Redis(redis) => Some(redis.replica()),
        }
    }

    /// The number of replicas that divide the budget among themselves while nothing is shared.
    pub(crate) fn expected_replicas(&self) -> NonZeroU32 {
        match self {
            Self::Memory => NonZeroU32::MIN,
            Self::Redis(redis) => redis.expected_replicas(),
        }
    }
}
