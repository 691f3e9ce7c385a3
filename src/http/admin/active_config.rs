//! The active configuration, as `/version` reports it.

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use serde::Serialize;

use appserver_domain::clock::{Clock, Stamp};

/// Identifies the active configuration.
#[derive(Debug)]
pub(crate) struct ActiveConfig {
    loaded: ArcSwap<Loaded>,
    clock: Clock,
}

#[derive(Debug)]
struct Loaded {
    hash: String,
    at: DateTime<Utc>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Version {
    version: &'static str,
    /// SHA-256 of the merged configuration without its secrets: equal on replicas that are configured alike.
    config_hash: String,
    config_loaded_at: String,
    config_age_seconds: i64,
}

impl ActiveConfig {
    /// A configuration that was loaded just now.
    pub(crate) fn new(hash: String, clock: Clock) -> Self {
        let at = clock.now();
        Self { loaded: ArcSwap::from_pointee(Loaded { hash, at }), clock }
    }

    /// Replaces it by one that was loaded just now.
    pub(crate) fn replace(&self, hash: String) {
        self.loaded.store(Loaded { hash, at: self.clock.now() }.into());
    }

    pub(crate) fn since(&self) -> DateTime<Utc> {
        self.loaded.load().at
    }

    pub(crate) fn version(&self) -> Version {
        let loaded = self.loaded.load();
        Version {
            version: env!("CARGO_PKG_VERSION"),
            config_hash: loaded.hash.clone(),
            config_loaded_at: Stamp::of(loaded.at).as_str().to_owned(),
            config_age_seconds: (self.clock.now() - loaded.at).num_seconds().max(0),
        }
    }
}
