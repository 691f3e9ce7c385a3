//! What the audit is to be.

use std::path::PathBuf;

/// An audit that is written.
#[derive(Clone, Debug)]
pub(crate) struct AuditSettings {
    pub(crate) sink: SinkSettings,
    pub(crate) on_failure: OnFailure,
    /// Lines that may wait for the sink.
    pub(crate) buffer_lines: usize,
    /// What each line calls this replica; empty: nothing.
    pub(crate) instance: String,
}

/// Where the lines go.
#[derive(Clone, Debug)]
pub(crate) enum SinkSettings {
    Stdout,
    File(FileSettings),
}

/// A file that is rotated by size.
#[derive(Clone, Debug)]
pub(crate) struct FileSettings {
    pub(crate) path: PathBuf,
    pub(crate) max_bytes: u64,
    /// Kept beside the one that is written.
    pub(crate) max_files: u32,
}

/// What happens while lines cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OnFailure {
    /// No token leaves without its line.
    Refuse,
    /// Tokens leave, and lines that find no room are lost, and counted.
    Continue,
}
