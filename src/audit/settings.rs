//! The audit's resolved settings.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;

#[cfg(feature = "emulator")]
use crate::telemetry::RecentLines;

/// Settings of an enabled audit.
#[derive(Clone, Debug)]
pub(crate) struct AuditSettings {
    pub(crate) sink: SinkSettings,
    pub(crate) on_failure: OnFailure,
    pub(crate) durability: Durability,
    /// Lines that may wait for the sink.
    pub(crate) buffer_lines: usize,
    /// Beyond this rate refusals are counted and reported together.
    pub(crate) refusals_per_second: NonZeroU32,
    /// The name of this replica in each line; empty for none.
    pub(crate) instance: String,
}

/// Where the lines go.
#[derive(Clone, Debug)]
pub(crate) enum SinkSettings {
    Stdout,
    File(FileSettings),
    /// Memory, for the page of `appserver dev`.
    #[cfg(feature = "emulator")]
    Recent(RecentLines),
}

#[cfg(feature = "emulator")]
impl AuditSettings {
    /// An audit in memory: nothing waits for it, and a stop loses it.
    pub(crate) fn recent(lines: RecentLines) -> Self {
        Self {
            sink: SinkSettings::Recent(lines),
            on_failure: OnFailure::Continue,
            durability: Durability::Queue,
            buffer_lines: 10_000,
            refusals_per_second: NonZeroU32::MAX,
            instance: String::new(),
        }
    }
}

/// Two files that are rotated by size and age: one of tokens and tickets, and one of refused and failed requests, so that
/// unauthenticated requests never rotate a token's line away.
#[derive(Clone, Debug)]
pub(crate) struct FileSettings {
    pub(crate) path: PathBuf,
    pub(crate) max_bytes: u64,
    /// Of the first line of a file.
    pub(crate) max_age: Option<TimeDelta>,
    /// Rotated files that are kept.
    pub(crate) max_files: u32,
    /// Rotated files of refusals that are kept.
    pub(crate) max_refused_files: u32,
    /// Of the last line of a rotated file, which is then deleted.
    pub(crate) max_rotated_age: Option<TimeDelta>,
    /// Whether rotated files are compressed.
    pub(crate) compress: bool,
}

/// The file of refusals beside the audit's own.
pub(crate) fn refusals_file(path: &Path) -> PathBuf {
    let mut beside = OsString::from(path);
    beside.push(".refused");
    beside.into()
}

/// What happens while lines cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OnFailure {
    /// No token is returned without its line.
    Refuse,
    /// Tokens are returned; lines that do not fit into the queue are lost and counted.
    Continue,
}

/// Where a token's line is when the token is returned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durability {
    /// In the queue.
    Queue,
    /// With the operating system: it survives this process.
    Process,
    /// On the disk: it survives the machine.
    Disk,
}
