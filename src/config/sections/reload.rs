//! `[reload]`, resolved.

use std::time::Duration;

use serde::Deserialize;

use crate::config::bounds::number;
use crate::config::field::Field;
use crate::config::problems::Problems;

/// When the configuration is read again.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawReload {
    /// Milliseconds, default 2000; 0 is never. SIGHUP has it read in any case.
    pub(crate) watch_interval_ms: Field<u64>,
}

/// How often the files are looked at; never, where it is 0.
pub(crate) fn resolve(raw: RawReload, problems: &mut Problems) -> Option<Option<Duration>> {
    let key = "reload.watch_interval_ms";
    let millis = number(problems, key, raw.watch_interval_ms, 0, 600_000, "milliseconds")?;
    Some((millis > 0).then(|| Duration::from_millis(millis)))
}
