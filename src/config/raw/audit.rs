//! The audit, key by key.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::field::Field;

/// One line for each decision about a token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawAudit {
    /// `stdout` (default), `file` or `off`.
    pub(in crate::config) sink: Field<RawSink>,
    /// Required for `file`. Made with mode 0600; its folder must be there.
    pub(in crate::config) file: Field<PathBuf>,
    /// Bytes, default 100 MiB. Then a new file is begun.
    pub(in crate::config) max_file_bytes: Field<u64>,
    /// Default 10, so many besides the one that is written. The oldest is deleted.
    pub(in crate::config) max_files: Field<u32>,
    /// Default 2, the same of refusals, which have a file of their own.
    pub(in crate::config) max_refused_files: Field<u32>,
    /// Default 10, of which ten seconds' worth may come at once. Beyond it refusals are counted and told together.
    pub(in crate::config) refusals_per_second: Field<NonZeroU32>,
    /// `queue`, `process` (default) or `disk`: where a token's line is before the token leaves.
    pub(in crate::config) durability: Field<RawDurability>,
    /// `refuse` (default) or `continue`.
    pub(in crate::config) on_failure: Field<RawOnFailure>,
    /// Default 10000. Beyond it a request waits 250 ms for room, and then `on_failure` decides.
    pub(in crate::config) buffer_lines: Field<usize>,
    /// Default: the machine's host name. Up to 64 characters; stands in each line.
    pub(in crate::config) instance: Field<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) enum RawSink {
    Stdout,
    File,
    Off,
}

impl TryFrom<String> for RawSink {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "stdout" => Ok(Self::Stdout),
            "file" => Ok(Self::File),
            "off" => Ok(Self::Off),
            _ => Err("it must be `stdout`, `file` or `off`"),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(in crate::config) enum RawDurability {
    Queue,
    Process,
    Disk,
}

impl TryFrom<String> for RawDurability {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "queue" => Ok(Self::Queue),
            "process" => Ok(Self::Process),
            "disk" => Ok(Self::Disk),
            _ => Err("it must be `queue`, `process` or `disk`"),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) enum RawOnFailure {
    Refuse,
    Continue,
}

impl TryFrom<String> for RawOnFailure {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "refuse" => Ok(Self::Refuse),
            "continue" => Ok(Self::Continue),
            _ => Err("it must be `refuse` or `continue`"),
        }
    }
}
