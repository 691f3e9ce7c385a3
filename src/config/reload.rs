//! `[reload]`, resolved.

use std::time::Duration;

use super::problems::Problems;
use super::raw::RawReload;
use super::resolve::number;

/// How often the files are looked at; never, where it is 0.
pub(super) fn resolve(raw: RawReload, problems: &mut Problems) -> Option<Option<Duration>> {
    let key = "reload.watch_interval_ms";
    let millis = number(problems, key, raw.watch_interval_ms, 0, 600_000, "milliseconds")?;
    Some((millis > 0).then(|| Duration::from_millis(millis)))
}
