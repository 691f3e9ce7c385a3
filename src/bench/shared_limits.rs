//! A client's limit that is shared by replicas, against a real Redis.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::time::Duration;

use crate::limit::{ClientLimits, Limit, LimitMode, LimitTerms, Limits, Per};
use crate::seal::SealKey;
use crate::store::{RedisSettings, RedisTopology, Store, StoreSettings};
use crate::telemetry::{Metrics, ThrottleMetrics};
use appserver_domain::ClientId;
use appserver_domain::clock::Clock;

/// Two clients whose limits are never reached.
#[derive(Debug)]
pub struct SharedLimits {
    limits: Limits,
    counts: ThrottleMetrics,
    busy: ClientId,
    rare: ClientId,
    /// With a thread of its own for the connection, as the server has.
    runtime: Runtime,
}

impl SharedLimits {
    /// Connects to the Redis at this address.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn new(redis: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("the system gives us a runtime");
        let settings = RedisSettings {
            topology: RedisTopology::Single(redis.to_owned().try_into().expect("it is an address")),
            username: None,
            password: None,
            sentinel_password: None,
            key_prefix: "bench".to_owned().try_into().expect("it is a prefix"),
            seal_keys: vec![SealKey::demo()],
            expected_replicas: NonZeroU32::MIN,
            timeout: Duration::from_secs(5),
            lease: Duration::from_secs(3),
        };
        let metrics = Metrics::new();
        let settings = StoreSettings::Redis(Box::new(settings));
        let store = runtime.block_on(Store::open(settings, Clock::system(), metrics.store));
        let store = store.expect("Redis can be spoken to");
        assert!(!store.is_degraded(), "Redis does not answer");
        // A twentieth of a second's requests is reserved at once: 50 of one client, 1 of the other.
        let [busy, rare] = [("busy", 1_000), ("rare", 20)].map(|(client, requests)| {
            let terms = LimitTerms {
                requests: NonZeroU32::new(requests).expect("it is not zero"),
                per: Per::Second,
                burst: NonZeroU32::new(1_000_000_000).expect("it is not zero"),
            };
            let whole = Some(Limit { terms, mode: LimitMode::Enforce });
            let client: ClientId = client.parse().expect("it is an id");
            (client, ClientLimits { whole, subject: None })
        });
        Self {
            busy: busy.0.clone(),
            rare: rare.0.clone(),
            limits: Limits::new(HashMap::from([busy, rare]), Arc::new(store), None),
            counts: metrics.throttled,
            runtime,
        }
    }

    /// A request of a client with 50 requests reserved at a time; returns whether it is within the limit.
    pub fn reserved(&self) -> bool {
        self.admits(&self.busy)
    }

    /// A request of a client with one request reserved at a time, which is a call for each.
    pub fn one_by_one(&self) -> bool {
        self.admits(&self.rare)
    }

    fn admits(&self, client: &ClientId) -> bool {
        self.runtime.block_on(self.limits.admit(client, None, &self.counts)).is_ok()
    }
}
