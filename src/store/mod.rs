//! What replicas share, so that any number of them behave as one: tokens, who fetches one, the budget, refusals.
//!
//! Nothing here is needed to vend. Without Redis, or while it does not answer, every question is answered with
//! nothing, and the replica goes on by itself.

mod budget;
mod check;
mod lease;
mod name;
mod record;
mod redis;
mod redis_connection;
mod settings;
mod view;

use std::num::NonZeroU32;

use crate::telemetry::StoreMetrics;
use appserver_domain::clock::Clock;

pub(crate) use self::redis::{CallResult, Redis};
pub(crate) use budget::{BudgetTerms, Reserved};
pub(crate) use check::RedisCheck;
pub(crate) use lease::Lease;
pub(crate) use name::KeyPrefix;
pub(crate) use settings::{RedisAddress, RedisSettings, StoreSettings};
pub(crate) use view::{LeaseState, Shared, SharedState};

/// Where what replicas share is kept.
#[derive(Debug)]
pub(crate) enum Store {
    /// Nowhere: this is the only replica.
    Memory,
    Redis(Box<Redis>),
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
#[error("Redis cannot be spoken to")]
pub(crate) struct StoreError(#[from] ::redis::RedisError);

impl Store {
    /// The store, connected if it answers at once. If not it is tried again until it does.
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

    /// What can be asked now: nothing where there is no Redis, or while it does not answer.
    pub(crate) fn shared(&self) -> Option<&Redis> {
        match self {
            Self::Memory => None,
            Self::Redis(redis) => redis.is_up().then_some(&**redis),
        }
    }

    /// Whether there is a Redis and it does not answer.
    pub(crate) fn is_degraded(&self) -> bool {
        match self {
            Self::Memory => false,
            Self::Redis(redis) => !redis.is_up(),
        }
    }

    /// Among how many the budget is divided while nothing is shared.
    pub(crate) fn expected_replicas(&self) -> NonZeroU32 {
        match self {
            Self::Memory => NonZeroU32::MIN,
            Self::Redis(redis) => redis.expected_replicas(),
        }
    }
}
