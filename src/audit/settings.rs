//! What the audit is to be.

use std::num::NonZeroU32;
use std::path::PathBuf;

/// An audit that is written.
#[derive(Clone, Debug)]
pub(crate) struct AuditSettings {
    pub(crate) sink: SinkSettings,
    pub(crate) on_failure: OnFailure,
    pub(crate) durability: Durability,
    /// Lines that may wait for the sink.
    pub(crate) buffer_lines: usize,
    /// Beyond it refusals are counted and told together.
    pub(crate) refusals_per_second: NonZeroU32,
    /// What each line calls this replica; empty: nothing.
    pub(crate) instance: String,
}

/// Where the lines go.
#[derive(Clone, Debug)]
pub(crate) enum SinkSettings {
    Stdout,
    File(FileSettings),
}

/// Two files that are rotated by size: one of what was handed out, and beside it one of what was refused or failed, so
/// that what strangers cause never rotates a token's line away.
#[derive(Clone, Debug)]
pub(crate) struct FileSettings {
    pub(crate) path: PathBuf,
    pub(crate) max_bytes: u64,
    /// Kept beside the one that is written.
    pub(crate) max_files: u32,
    /// The same of refusals.
    pub(crate) max_refused_files: u32,
}

/// What happens while lines cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OnFailure {
    /// No token leaves without its line.
    Refuse,
    /// Tokens leave, and lines that find no room are lost, and counted.
    Continue,
}

/// Where a token's line is when the token leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durability {
    /// In the queue.
    Queue,
    /// With the operating system: it is written, and outlives this process.
    Process,
    /// On the disk: it outlives the machine.
    Disk,
}
