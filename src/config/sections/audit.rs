//! `[audit]`, resolved.

use std::fs::{self, OpenOptions};
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::audit::{AuditSettings, Durability, FileSettings, OnFailure, SinkSettings};
use crate::config::bounds::number;
use crate::config::field::Field;
use crate::config::problems::Problems;

/// One line for each decision about a token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawAudit {
    /// `stdout` (default), `file` or `off`.
    pub(crate) sink: Field<RawSink>,
    /// Required for `file`. Made with mode 0600; its folder must be there.
    pub(crate) file: Field<PathBuf>,
    /// Bytes, default 100 MiB. Then a new file is begun.
    pub(crate) max_file_bytes: Field<u64>,
    /// Default 10, so many besides the one that is written. The oldest is deleted.
    pub(crate) max_files: Field<u32>,
    /// Default 2, the same of refusals, which have a file of their own.
    pub(crate) max_refused_files: Field<u32>,
    /// Default 10, of which ten seconds' worth may come at once. Beyond it refusals are counted and told together.
    pub(crate) refusals_per_second: Field<NonZeroU32>,
    /// `queue`, `process` (default) or `disk`: where a token's line is before the token leaves.
    pub(crate) durability: Field<RawDurability>,
    /// `refuse` (default) or `continue`.
    pub(crate) on_failure: Field<RawOnFailure>,
    /// Default 10000. Beyond it a request waits 250 ms for room, and then `on_failure` decides.
    pub(crate) buffer_lines: Field<usize>,
    /// Default: the machine's host name. Up to 64 characters; stands in each line.
    pub(crate) instance: Field<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum RawSink {
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
pub(crate) enum RawDurability {
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
pub(crate) enum RawOnFailure {
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

/// What an instance's name may have.
const LONGEST_INSTANCE: usize = 64;
/// Where Linux says what the machine, or the container, is called.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The audit, or none where it is off; nothing at all if something is wrong.
pub(crate) fn resolve(raw: RawAudit, problems: &mut Problems) -> Option<Option<AuditSettings>> {
    let sink = problems.require("audit.sink", raw.sink);
    let is_invalid = raw.file.is_invalid();
    let file = problems.take("audit.file", raw.file);
    // Empty is how a later layer takes back what an earlier one set.
    let file = file.filter(|path: &PathBuf| !path.as_os_str().is_empty());
    let max_bytes =
        number(problems, "audit.max_file_bytes", raw.max_file_bytes, 4096, 1 << 40, "bytes");
    let max_files = number(problems, "audit.max_files", raw.max_files, 1, 1000, "files");
    let refused = raw.max_refused_files;
    let max_refused_files = number(problems, "audit.max_refused_files", refused, 1, 1000, "files");
    let rate = problems.require("audit.refusals_per_second", raw.refusals_per_second);
    let durability = problems.require("audit.durability", raw.durability);
    let on_failure = problems.require("audit.on_failure", raw.on_failure);
    let lines = raw.buffer_lines;
    let buffer_lines = number(problems, "audit.buffer_lines", lines, 10, 1_000_000, "lines");
    let instance = problems.require("audit.instance", raw.instance);
    let is_name = |name: &String| {
        name.chars().count() <= LONGEST_INSTANCE && !name.chars().any(char::is_control)
    };
    if !instance.as_ref().is_none_or(is_name) {
        problems.add(
            "audit.instance",
            "it is at most 64 characters long, and none of them is a control character",
        );
    }
    let sink = match sink? {
        RawSink::Off => return Some(None),
        RawSink::Stdout => {
            if durability == Some(RawDurability::Disk) {
                problems.add(
                    "audit.durability",
                    "`disk` needs the sink `file`: what becomes of standard output is its reader's business",
                );
                return None;
            }
            SinkSettings::Stdout
        }
        RawSink::File => {
            if file.is_none() && !is_invalid {
                problems.add_absence("audit.file", "it is missing: the sink `file` needs a path");
            }
            SinkSettings::File(FileSettings {
                path: file?,
                max_bytes: max_bytes?,
                max_files: max_files?,
                max_refused_files: max_refused_files?,
            })
        }
    };
    let on_failure = match on_failure? {
        RawOnFailure::Refuse => OnFailure::Refuse,
        RawOnFailure::Continue => OnFailure::Continue,
    };
    let instance = instance.filter(is_name)?;
    let instance = if instance.is_empty() { host_name() } else { instance };
    let durability = match durability? {
        RawDurability::Queue => Durability::Queue,
        RawDurability::Process => Durability::Process,
        RawDurability::Disk => Durability::Disk,
    };
    Some(Some(AuditSettings {
        sink,
        on_failure,
        durability,
        buffer_lines: buffer_lines?,
        refusals_per_second: rate?,
        instance,
    }))
}

/// What keeps the audit's file from being written on this machine. Nothing is written to the file, and a pipe or device is
/// not opened: that may wait for its reader.
pub(crate) fn unwritable(settings: &AuditSettings) -> Option<String> {
    let SinkSettings::File(FileSettings { path, .. }) = &settings.sink else { return None };
    let shown = path.display();
    let refused = |error: io::Error| {
        format!(
            "`{shown}` cannot be written: {error}; let the user that the service runs as write there, or name another file"
        )
    };
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => Some(format!("`{shown}` is a directory: name a file in it")),
        Ok(there) if there.is_file() => {
            OpenOptions::new().append(true).open(path).err().map(refused)
        }
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = |path: &Path| match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
                Some(_) | None => PathBuf::from("."),
            };
            // A link may lead to a file that is still to be made.
            let target = fs::read_link(path).map(|target| folder(path).join(target));
            let folder = folder(&target.unwrap_or_else(|_| path.clone()));
            if !folder.is_dir() {
                let folder = folder.display();
                return Some(format!(
                    "the directory `{folder}` does not exist: create it, or name a file in another"
                ));
            }
            let probe = folder.join(format!(".appserver-check-{}", std::process::id()));
            let made = OpenOptions::new().write(true).create_new(true).open(&probe);
            made.and_then(|_| fs::remove_file(&probe)).err().map(refused)
        }
        Err(error) => Some(refused(error)),
    }
}

/// Empty where the system does not say.
fn host_name() -> String {
    let name = fs::read_to_string(Path::new(HOST_NAME)).unwrap_or_default();
    name.trim().to_owned()
}
