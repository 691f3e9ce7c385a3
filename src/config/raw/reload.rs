//! Changing the configuration of a running server, key by key.

use serde::Deserialize;

use crate::config::field::Field;

/// When the configuration is read again.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawReload {
    /// Milliseconds, default 2000; 0 is never. SIGHUP has it read in any case.
    pub(in crate::config) watch_interval_ms: Field<u64>,
}
