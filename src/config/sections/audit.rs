//! `[audit]`: one line for each decision about a token.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::audit::{
    AuditSettings, Durability, FileSettings, NameHash, OnFailure, SinkSettings, UserNames,
    refusals_file,
};
use crate::config::bounds::{Bounded, Bytes, FileCount, Lines, Secs};
use crate::config::field::{Clearable, Field};
use crate::config::layers::NamedFile;
use crate::config::problems::{Problem, Problems};
use crate::config::secret_file::read_secret;
use crate::config::secret_reads::SecretReads;
use crate::seal::SealKey;

#[derive(Debug, Deserialize)]
pub(crate) struct RawAudit {
    /// `stdout` (default), `file` or `off`.
    sink: Field<RawSink>,
    /// Required for `file`. Created with mode 0600 in an existing folder.
    file: Field<Clearable<PathBuf>>,
    /// Default 100 MiB. Before a file grows longer it is rotated.
    max_file_bytes: Field<Bounded<Bytes, 4_096, { 1 << 40 }>>,
    /// Default 0, which is no limit. A file is rotated when its first line is that old.
    max_file_age_secs: Field<Secs<0, YEAR>>,
    /// Default 0, which is no limit. A rotated file whose last line is that old is deleted; needs `max_file_age_secs`.
    keep_secs: Field<Secs<0, { 10 * YEAR }>>,
    /// Default true. Rotated files but the newest are compressed.
    compress: Field<bool>,
    /// Default 10 rotated files. Beyond it the oldest is deleted.
    max_files: Field<Bounded<FileCount, 1, 1_000>>,
    /// Default 2. The same for refusals, which have a file of their own.
    max_refused_files: Field<Bounded<FileCount, 1, 1_000>>,
    /// Default 10, with a burst of ten seconds' worth. Beyond it refusals are counted and summarised.
    refusals_per_second: Field<Bounded<Lines, 1, { u32::MAX as u64 }>>,
    /// `queue`, `process` (default) or `disk`: where a token's line is before the token leaves.
    durability: Field<RawDurability>,
    /// `refuse` (default) or `continue`.
    on_failure: Field<RawOnFailure>,
    /// Default 10000. Beyond it a request waits for room, and then `on_failure` decides.
    buffer_lines: Field<Bounded<Lines, 10, 1_000_000>>,
    /// Default false. Subjects, session names and keys of objects are keyed hashes, and policies are left out.
    hash_subjects: Field<bool>,
    /// Required for `hash_subjects`. Holds the key of the hashes. White space at its end is trimmed.
    subject_key_file: Field<Clearable<PathBuf>>,
    /// Default: the machine's host name. Part of each line.
    instance: Field<InstanceName>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawSink {
    Stdout,
    File,
    Off,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum RawDurability {
    Queue,
    Process,
    Disk,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawOnFailure {
    Refuse,
    Continue,
}

/// At most 64 characters, none of them a control character; empty for the host name.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct InstanceName(String);

impl TryFrom<String> for InstanceName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.chars().count() <= 64 && !name.chars().any(char::is_control) {
            return Ok(Self(name));
        }
        Err("it is at most 64 characters long, and none of them is a control character")
    }
}

/// Seconds.
const YEAR: u64 = 366 * 86_400;

const FILE: &str = "audit.file";
const SUBJECT_KEY_FILE: &str = "audit.subject_key_file";

/// Where Linux has the name of the machine or the container.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// How the audit names users; the file of the key is not read yet.
#[derive(Clone, Debug)]
pub(crate) struct UserNamesSource(Option<PathBuf>);

impl UserNamesSource {
    /// Reads the key.
    pub(crate) fn read(&self) -> Result<UserNames, Problems> {
        let Some(path) = &self.0 else { return Ok(UserNames::Plain) };
        let text = read_secret(SUBJECT_KEY_FILE, path)?;
        let key = SealKey::from_base64(text.expose_secret())
            .map_err(|invalid| Problems::one(SUBJECT_KEY_FILE, invalid))?;
        let key = key.derived("appserver audit names 1");
        Ok(UserNames::Hashed(NameHash::new(key.as_slice())))
    }
}

/// The audit, `None` inside where it is off, and how it names users.
pub(crate) fn resolve(
    mut raw: RawAudit,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> (Option<Option<AuditSettings>>, Option<UserNamesSource>) {
    let names = resolve_names(&mut raw, problems, secret_reads);
    (resolve_sink(raw, problems, secret_reads), names)
}

fn resolve_names(
    raw: &mut RawAudit,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<UserNamesSource> {
    let key_file = std::mem::take(&mut raw.subject_key_file);
    let is_invalid = key_file.is_invalid();
    let key_file = problems.take_set(key_file);
    let is_hashed = problems.require(std::mem::take(&mut raw.hash_subjects))?;
    if is_hashed && key_file.is_none() {
        if !is_invalid {
            problems.add_absence(
                SUBJECT_KEY_FILE,
                "hashed subjects need a key: name a file that holds one; `openssl rand -base64 32` makes one",
            );
        }
        return None;
    }
    if !is_hashed && key_file.is_some() {
        problems.add(
            "audit.hash_subjects",
            "there is a key for hashed subjects: set this to `true`, or remove `subject_key_file`",
        );
    }
    let source = UserNamesSource(key_file);
    let names = source.clone();
    secret_reads.add(move || names.read());
    Some(source)
}

/// `None` inside where it is off.
fn resolve_sink(
    raw: RawAudit,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<Option<AuditSettings>> {
    let sink = problems.require(raw.sink);
    let is_invalid = raw.file.is_invalid();
    let file = problems.take_set(raw.file);
    if let (Some(RawSink::File), Some(file)) = (sink, file.clone()) {
        secret_reads.add(move || match unwritable(&file) {
            Some(problem) => Err(Problems::one(FILE, problem)),
            None => Ok(()),
        });
    }
    let max_bytes = problems.require(raw.max_file_bytes);
    let max_age = problems.require(raw.max_file_age_secs).map(limit);
    let max_rotated_age = problems.require(raw.keep_secs).map(limit);
    if let (Some(None), Some(Some(_))) = (max_age, max_rotated_age) {
        problems.add(
            "audit.keep_secs",
            "a file that is never rotated is never deleted: set `max_file_age_secs`, too",
        );
    }
    let compress = problems.require(raw.compress);
    let max_files = problems.require(raw.max_files);
    let max_refused_files = problems.require(raw.max_refused_files);
    let refusals_per_second = problems.require(raw.refusals_per_second);
    let durability = problems.require(raw.durability);
    let on_failure = problems.require(raw.on_failure);
    let buffer_lines = problems.require(raw.buffer_lines);
    let instance = problems.require(raw.instance);
    let sink = match sink? {
        RawSink::Off => return Some(None),
        RawSink::Stdout => {
            if durability == Some(RawDurability::Disk) {
                problems.add(
                    "audit.durability",
                    "`disk` needs the sink `file`: only its reader decides where standard output is stored",
                );
                return None;
            }
            SinkSettings::Stdout
        }
        RawSink::File => {
            if file.is_none() && !is_invalid {
                problems.add_absence(FILE, "it is missing: the sink `file` needs a path");
            }
            SinkSettings::File(FileSettings {
                path: file?,
                max_bytes: max_bytes?.get(),
                max_age: max_age?,
                max_files: max_files?.get(),
                max_refused_files: max_refused_files?.get(),
                max_rotated_age: max_rotated_age?,
                compress: compress?,
            })
        }
    };
    let on_failure = match on_failure? {
        RawOnFailure::Refuse => OnFailure::Refuse,
        RawOnFailure::Continue => OnFailure::Continue,
    };
    let InstanceName(instance) = instance?;
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
        buffer_lines: buffer_lines?.get(),
        refusals_per_second: refusals_per_second?.non_zero(),
        instance,
    }))
}

/// Whether rotated files are deleted by their number before they are as old as `keep_secs` says.
pub(crate) fn warning(audit: &AuditSettings) -> Option<Problem> {
    let SinkSettings::File(file) = &audit.sink else { return None };
    let (age, kept) = (file.max_age?.num_seconds(), file.max_rotated_age?.num_seconds());
    let needed = kept.div_euclid(age) + i64::from(kept % age > 0);
    (needed > i64::from(file.max_files)).then(|| Problem {
        path: "audit.keep_secs".to_owned(),
        message: format!(
            "a busy replica deletes its oldest file before it is that old: it makes one each `max_file_age_secs`, and keeps \
             {}; set `max_files` to at least {needed}",
            file.max_files
        ),
    })
}

/// `None` for 0, which is no limit.
fn limit<const MAX: u64>(secs: Secs<0, MAX>) -> Option<TimeDelta> {
    let secs = secs.get();
    (secs > 0).then(|| TimeDelta::seconds(secs))
}

/// Why the audit's files cannot be written on this machine. Nothing is written to them, and a pipe or a device is not opened:
/// opening could wait for its reader.
pub(crate) fn unwritable(path: &Path) -> Option<String> {
    // A pipe or a device gets all lines; only a file has one of refusals beside it.
    let has_refusals = fs::metadata(path).map_or(true, |there| there.is_file());
    let of_refusals = || {
        let problem = unwritable_file(&refusals_file(path)).filter(|_| has_refusals)?;
        Some(format!("the file of refusals beside it: {problem}"))
    };
    unwritable_file(path).or_else(of_refusals)
}

fn unwritable_file(path: &Path) -> Option<String> {
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
            // A link may point to a file that does not exist yet.
            let target = fs::read_link(path).map(|target| folder_of(path).join(target));
            let target = target.unwrap_or_else(|_| path.to_owned());
            let folder = folder_of(&target);
            if !folder.is_dir() {
                let folder = folder.display();
                return Some(format!(
                    "the directory `{folder}` does not exist: create it, or name a file in another"
                ));
            }
            creatable(&target).err().map(refused)
        }
        Err(error) => Some(refused(error)),
    }
}

/// Whether a file can be created beside this one. Leaves nothing behind.
fn creatable(path: &Path) -> io::Result<()> {
    let probe = folder_of(path).join(format!(".appserver-check-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Another file of the configuration that the audit would write into.
pub(crate) fn collision(settings: &AuditSettings, named: &[NamedFile]) -> Option<String> {
    let SinkSettings::File(FileSettings { path, .. }) = &settings.sink else { return None };
    // A link to the other file is the other file.
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let written = [path.clone(), refusals_file(path)].map(|path| real(&path));
    let other = named.iter().find(|named| written.contains(&real(&named.path)))?;
    let (path, key) = (other.path.display(), &other.key);
    Some(format!(
        "the audit would write into `{path}`, the file of `{key}`: name a file of its own"
    ))
}

/// Empty where the system does not provide it.
fn host_name() -> String {
    let name = fs::read_to_string(Path::new(HOST_NAME)).unwrap_or_default();
    name.trim().to_owned()
}
