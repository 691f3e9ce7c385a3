//! The two files that a new AccessKey is written to. Its secret goes nowhere else: not to the terminal, not into the log.
//!
//! Before the key is made, a third file records which keys the user has. A run that is interrupted between the key and its files
//! leaves a key whose secret nobody has; the next run finds it by comparing the user's keys with that file, and deletes it. No file is ever overwritten.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::ram::KeyEntry;
use appserver_domain::{AccessKey, AccessKeyId};

const ID: &str = "access-key-id";
const SECRET: &str = "access-key-secret";
/// The note of a key that is being made.
const NOTE: &str = ".access-key.pending";
/// A key that was made longer than this after the note, or before it, is not ours: RAM's clock is not this machine's.
const LATEST: TimeDelta = TimeDelta::minutes(5);

/// A directory for the two files.
#[derive(Clone, Debug)]
pub(crate) struct KeyFiles {
    directory: PathBuf,
}

/// What the directory holds.
#[derive(Debug, Default)]
pub(crate) struct FoundKey {
    /// The id, if both files are there.
    pub(crate) id: Option<AccessKeyId>,
    /// What an interrupted run noted before it made a key.
    note: Option<Note>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Note {
    user: String,
    /// The AccessKeys that the user had.
    before: Vec<AccessKeyText>,
    at: DateTime<Utc>,
}

type AccessKeyText = String;

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error("{0} is not a directory: name one, or one that does not exist yet, with --key-dir")]
    NotADirectory(PathBuf),
    #[error("{0} may be read by others: `chmod 700 {0}`, or name another directory with --key-dir")]
    ReadableByOthers(PathBuf),
    #[error(
        "{0} exists and its counterpart does not: move it away, or name another directory with --key-dir; it is not \
         overwritten"
    )]
    CounterpartMissing(PathBuf),
    #[error("{0} is not an AccessKey's id: move it away, or name another directory with --key-dir")]
    NotAnId(PathBuf),
    #[error("{path} cannot be {what}")]
    Io {
        path: PathBuf,
        what: &'static str,
        #[source]
        cause: io::Error,
    },
}

impl KeyFiles {
    pub(crate) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// What is there. Nothing is changed.
    pub(crate) fn found(&self) -> Result<FoundKey, KeyFileError> {
        let directory = &self.directory;
        let metadata = match fs::metadata(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FoundKey::default()),
            found => found.map_err(failed(directory, "read"))?,
        };
        if !metadata.is_dir() {
            return Err(KeyFileError::NotADirectory(directory.clone()));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(KeyFileError::ReadableByOthers(directory.clone()));
        }
        let note = match fs::read(self.path(NOTE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&self.path(NOTE), "read")(error)),
            // One that was cut off says that nothing was made yet.
            Ok(text) => serde_json::from_slice(&text).ok(),
        };
        let (id_file, secret_file) = (self.path(ID), self.path(SECRET));
        let id = match (id_file.exists(), secret_file.exists()) {
            (true, true) => {
                let text = fs::read_to_string(&id_file).map_err(failed(&id_file, "read"))?;
                Some(text.trim().parse().map_err(|_| KeyFileError::NotAnId(id_file))?)
            }
            (false, false) => None,
            _ if note.is_some() => None,
            (true, false) => return Err(KeyFileError::CounterpartMissing(id_file)),
            (false, true) => return Err(KeyFileError::CounterpartMissing(secret_file)),
        };
        Ok(FoundKey { id, note })
    }

    /// Gets everything ready, so that nothing but the key is still to come: the directory, both files under other names,
    /// and the note.
    pub(super) fn prepare(
        &self,
        user: &str,
        before: &[KeyEntry],
        now: DateTime<Utc>,
    ) -> Result<PreparedFiles<'_>, KeyFileError> {
        let directory = &self.directory;
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(failed(directory, "made"))?,
        }
        if self.found()?.note.is_some() {
            // An interrupted run may have put one of the files in its place. Its key is gone or about to be.
            [ID, SECRET].iter().try_for_each(|name| self.remove(name))?;
        }
        [temporary(ID), temporary(SECRET), NOTE.into()]
            .iter()
            .try_for_each(|name| self.remove(name))?;
        let files = PreparedFiles {
            id: self.create(&temporary(ID))?,
            secret: self.create(&temporary(SECRET))?,
            at: self,
        };
        let before = before.iter().map(|key| key.id.as_str().to_owned()).collect();
        let note = Note { user: user.to_owned(), before, at: now };
        let note = serde_json::to_vec(&note).expect("texts are always JSON");
        self.write(self.create(NOTE)?, NOTE, &note)?;
        self.sync()?;
        Ok(files)
    }

    /// Removes what an interrupted run left after its key's files were complete, or before it made a key.
    pub(crate) fn tidy(&self) -> Result<(), KeyFileError> {
        if self.found()?.id.is_none() {
            [ID, SECRET].iter().try_for_each(|name| self.remove(name))?;
        }
        self.finish()
    }

    /// Removes the note and what is unfinished.
    pub(super) fn finish(&self) -> Result<(), KeyFileError> {
        [temporary(ID), temporary(SECRET), NOTE.into()]
            .iter()
            .try_for_each(|name| self.remove(name))?;
        self.sync()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn create(&self, name: &str) -> Result<File, KeyFileError> {
        let path = self.path(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(failed(&path, "made"))
    }

    fn write(&self, mut file: File, name: &str, text: &[u8]) -> Result<(), KeyFileError> {
        let written = file.write_all(text).and_then(|()| file.sync_all());
        written.map_err(failed(&self.path(name), "written"))
    }

    fn remove(&self, name: &str) -> Result<(), KeyFileError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(failed(&path, "removed")),
        }
    }

    /// Puts a written file in its place, unless there is one: a link, unlike a rename, never replaces.
    fn publish(&self, name: &str) -> Result<(), KeyFileError> {
        let (from, to) = (self.path(&temporary(name)), self.path(name));
        fs::hard_link(from, &to).map_err(failed(&to, "made"))
    }

    fn sync(&self) -> Result<(), KeyFileError> {
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(failed(&self.directory, "written"))
    }
}

/// Both files, made and empty.
#[derive(Debug)]
pub(super) struct PreparedFiles<'a> {
    id: File,
    secret: File,
    at: &'a KeyFiles,
}

impl PreparedFiles<'_> {
    /// Writes the key. If it fails, none of it is left.
    pub(super) fn keep(self, key: &AccessKey) -> Result<(), KeyFileError> {
        let Self { id, secret, at } = self;
        let kept = (|| {
            at.write(secret, SECRET, key.secret.expose_secret().as_bytes())?;
            at.write(id, ID, key.id.as_str().as_bytes())?;
            at.publish(SECRET)?;
            if let Err(error) = at.publish(ID) {
                at.remove(SECRET)?;
                return Err(error);
            }
            at.sync()
        })();
        let finished = at.finish();
        kept.and(finished)
    }
}

impl FoundKey {
    /// The keys that an interrupted run made for the user and whose secrets nobody has.
    pub(super) fn lost<'a>(&self, user: &str, keys: &'a [KeyEntry]) -> Vec<&'a KeyEntry> {
        let Some(note) = self.note.as_ref().filter(|note| note.user == user && self.id.is_none())
        else {
            return Vec::new();
        };
        let is_lost = |key: &&KeyEntry| {
            let created = key.created.parse::<DateTime<Utc>>();
            let is_near = created.is_ok_and(|created| (created - note.at).abs() <= LATEST);
            is_near && !note.before.iter().any(|id| id == key.id.as_str())
        };
        keys.iter().filter(is_lost).collect()
    }

    /// Whether an interrupted run has left something to tidy.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.note.is_some()
    }
}

fn temporary(name: &str) -> String {
    format!(".{name}.new")
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |cause| KeyFileError::Io { path, what, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2016-01-13T14:02:37Z";

    fn now() -> DateTime<Utc> {
        NOW.parse().unwrap()
    }

    fn key() -> AccessKey {
        AccessKey { id: "LTAI1".parse().unwrap(), secret: "canary-new-secret".into() }
    }

    fn entry(id: &str, created: &str) -> KeyEntry {
        KeyEntry { id: id.parse().unwrap(), is_active: true, created: created.into() }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_key_is_two_files_that_only_their_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("keys");
        let files = KeyFiles::at(directory.clone());
        files.prepare("appserver", &[], now()).unwrap().keep(&key()).unwrap();
        assert_eq!(names(&directory), [ID, SECRET]);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        for (name, text) in [(ID, "LTAI1"), (SECRET, "canary-new-secret")] {
            let path = directory.join(name);
            assert_eq!(mode(&path), 0o600, "{name}");
            assert_eq!(fs::read_to_string(path).unwrap(), text);
        }
        assert_eq!(files.found().unwrap().id.unwrap().as_str(), "LTAI1");
    }

    #[test]
    fn no_file_is_overwritten_and_nothing_of_the_new_key_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("keys");
        let files = KeyFiles::at(directory.clone());
        let prepared = files.prepare("appserver", &[], now()).unwrap();
        fs::write(directory.join(ID), "mine").unwrap();
        let error = prepared.keep(&key()).unwrap_err();
        assert!(matches!(error, KeyFileError::Io { what: "made", .. }), "{error:?}");
        assert_eq!(names(&directory), [ID]);
        assert_eq!(fs::read_to_string(directory.join(ID)).unwrap(), "mine");
        let half = files.found().unwrap_err();
        assert!(matches!(half, KeyFileError::CounterpartMissing(_)), "{half:?}");
    }

    #[test]
    fn a_directory_that_others_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("keys");
        DirBuilder::new().mode(0o750).create(&directory).unwrap();
        let error = KeyFiles::at(directory).found().unwrap_err();
        assert!(error.to_string().contains("chmod 700"), "{error}");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = KeyFiles::at(file).found().unwrap_err();
        assert!(matches!(error, KeyFileError::NotADirectory(_)), "{error:?}");
    }

    #[test]
    fn only_a_key_that_an_interrupted_run_can_have_made_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeyFiles::at(folder.path().join("keys"));
        let earlier = entry("LTAI0", NOW);
        files.prepare("appserver", std::slice::from_ref(&earlier), now()).unwrap();
        let found = files.found().unwrap();
        let keys = [
            earlier,
            entry("LTAI1", "2016-01-13T14:03:00Z"),
            entry("LTAI2", "2016-01-13T15:00:00Z"),
            entry("LTAI3", "someday"),
        ];
        let lost: Vec<_> =
            found.lost("appserver", &keys).iter().map(|key| key.id.as_str()).collect();
        assert_eq!(lost, ["LTAI1"]);
        assert!(found.lost("another", &keys).is_empty());
    }

    /// The process can end after each step of writing.
    #[test]
    fn what_an_interrupted_run_left_is_replaced() {
        for left in [&[][..], &[SECRET], &[SECRET, ID]] {
            let folder = tempfile::tempdir().unwrap();
            let directory = folder.path().join("keys");
            let files = KeyFiles::at(directory.clone());
            files.prepare("appserver", &[], now()).unwrap();
            for name in left {
                fs::write(directory.join(name), "LTAI0").unwrap();
            }
            let found = files.found().unwrap();
            assert_eq!(found.id.is_some(), left.len() == 2, "{left:?}");
            if found.id.is_none() {
                files.prepare("appserver", &[], now()).unwrap().keep(&key()).unwrap();
            } else {
                files.finish().unwrap();
            }
            assert_eq!(names(&directory), [ID, SECRET], "{left:?}");
        }
    }
}
