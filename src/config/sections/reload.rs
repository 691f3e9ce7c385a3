//! `[reload]`: when the configuration is read again.

use std::time::Duration;

use serde::Deserialize;

use crate::config::bounds::Millis;
use crate::config::field::Field;
use crate::config::problems::Problems;

#[derive(Debug, Deserialize)]
pub(crate) struct RawReload {
    /// Default 2000; 0 is never. SIGHUP reloads in any case.
    watch_interval_ms: Field<Millis<0, 600_000>>,
}

/// How often the files are compared; `None` inside where they are not.
pub(crate) fn resolve(raw: RawReload, problems: &mut Problems) -> Option<Option<Duration>> {
    let interval = Duration::from(problems.require(raw.watch_interval_ms)?);
    Some((!interval.is_zero()).then_some(interval))
}
