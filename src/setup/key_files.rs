//! The two files that a new AccessKey is written to. Its secret goes nowhere else: not to the terminal, not into the log.
//!
//! Before the key is made, a third file records that one is being made. A run that is interrupted between the key and its files
//! leaves a key whose secret nobody has; the next run says so, and deletes nothing. No file is ever overwritten, and none is
//! removed that a run did not write.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use appserver_domain::{AccessKey, AccessKeyId};

const ID: &str = "access-key-id";
const SECRET: &str = "access-key-secret";
/// The note of a key that is being made.
const NOTE: &str = ".access-key.pending";

/// A directory for the two files.
#[derive(Clone, Debug)]
pub(crate) struct KeyFiles {
    directory: PathBuf,
}

/// What the directory holds.
#[derive(Debug, Default)]
pub(crate) struct FoundKey {
    /// The id, if both files are there, or the run that was interrupted between them has written both.
    pub(crate) id: Option<AccessKeyId>,
    /// What an interrupted run noted before it made a key.
    note: Option<Note>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Note {
    user: String,
    at: DateTime<Utc>,
}

/// Keeps other runs from the directory until it is dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error("{0} is not a directory: name one, or one that does not exist yet, with --key-dir")]
    NotADirectory(PathBuf),
    #[error(
        "{0} cannot be made, because the directory above it does not exist: make that one, or name another directory with \
         --key-dir"
    )]
    NoParent(PathBuf),
    #[error("{0} may be read by others: `chmod 700 {0}`, or name another directory with --key-dir")]
    ReadableByOthers(PathBuf),
    #[error(
        "{0} exists and its counterpart does not: move it away, or name another directory with --key-dir; it is not \
         overwritten"
    )]
    CounterpartMissing(PathBuf),
    #[error(
        "{0} does not hold an AccessKey's id: if it holds the secret, exchange the two files; otherwise move both away, or \
         name another directory with --key-dir"
    )]
    NotAnId(PathBuf),
    #[error(
        "another `setup apply` is using {0}: wait until it has ended, and run the command again"
    )]
    Locked(PathBuf),
    #[error("{path} cannot be {what}: correct the cause, or name another directory with --key-dir")]
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

    /// The files of id and secret.
    pub(crate) fn paths(&self) -> [PathBuf; 2] {
        [self.path(ID), self.path(SECRET)]
    }

    /// Whether these are the same two files, which need not exist.
    pub(crate) fn are(&self, others: [&Path; 2]) -> bool {
        self.paths().iter().zip(others).all(|(own, other)| resolved(own) == resolved(other))
    }

    /// Locks the directory, if it exists.
    pub(crate) fn lock(&self) -> Result<Option<DirectoryLock>, KeyFileError> {
        let directory = &self.directory;
        let file = match File::open(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed(directory, "read"))?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(DirectoryLock(file))),
            Err(TryLockError::WouldBlock) => Err(KeyFileError::Locked(directory.clone())),
            Err(TryLockError::Error(cause)) => Err(failed(directory, "locked")(cause)),
        }
    }

    /// Makes the directory, unless it exists.
    pub(crate) fn make(&self) -> Result<(), KeyFileError> {
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(KeyFileError::NoParent(self.directory.clone()))
            }
            made => made.map_err(failed(&self.directory, "made")),
        }
    }

    /// Whether files can be made in the directory.
    pub(crate) fn probe(&self) -> Result<(), KeyFileError> {
        let name = temporary("probe");
        self.remove(&name)?;
        self.create(&name)?;
        self.remove(&name)
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
            (true, true) => Some(self.read_id(ID)?),
            (false, false) => None,
            (false, true) if self.is_half_published() => Some(self.read_id(&temporary(ID))?),
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
        now: DateTime<Utc>,
    ) -> Result<PreparedFiles<'_>, KeyFileError> {
        self.make()?;
        self.found()?;
        self.remove_unfinished()?;
        let files = PreparedFiles {
            id: self.create(&temporary(ID))?,
            secret: self.create(&temporary(SECRET))?,
            at: self,
        };
        let note = Note { user: user.to_owned(), at: now };
        let note = serde_json::to_vec(&note).expect("texts are always JSON");
        self.write(self.create(NOTE)?, NOTE, &note)?;
        self.sync()?;
        Ok(files)
    }

    /// Completes or removes what an interrupted run left.
    pub(crate) fn tidy(&self) -> Result<(), KeyFileError> {
        if self.is_half_published() && !self.path(ID).exists() {
            self.publish(ID)?;
        }
        self.finish()
    }

    /// Removes the note and what is unfinished.
    pub(super) fn finish(&self) -> Result<(), KeyFileError> {
        self.remove_unfinished()?;
        self.sync()
    }

    fn remove_unfinished(&self) -> Result<(), KeyFileError> {
        let unfinished = [temporary(ID), temporary(SECRET), NOTE.into()];
        unfinished.iter().try_for_each(|name| self.remove(name))
    }

    /// Whether a run has put the secret in its place and was interrupted before it did so with the id: the file is still
    /// linked from its temporary name. Both were written before.
    fn is_half_published(&self) -> bool {
        let file = |name: &str| {
            let metadata = fs::symlink_metadata(self.path(name)).ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        file(SECRET).is_some() && file(SECRET) == file(&temporary(SECRET))
    }

    fn read_id(&self, name: &str) -> Result<AccessKeyId, KeyFileError> {
        let path = self.path(name);
        let text = fs::read_to_string(&path).map_err(failed(&path, "read"))?;
        text.trim().parse().map_err(|_| KeyFileError::NotAnId(path))
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
    /// When an interrupted run was about to make a key for the user, whose files are not there.
    pub(super) fn interrupted_at(&self, user: &str) -> Option<DateTime<Utc>> {
        let note = self.note.as_ref().filter(|note| note.user == user && self.id.is_none());
        note.map(|note| note.at)
    }

    /// Whether an interrupted run has left something to tidy.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.note.is_some()
    }
}

/// The path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = |ancestor: &Path| {
        let rest = absolute.strip_prefix(ancestor).ok()?;
        Some(ancestor.canonicalize().ok()?.join(rest))
    };
    absolute.ancestors().find_map(existing).unwrap_or_else(|| absolute.clone())
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
        files.prepare("appserver", now()).unwrap().keep(&key()).unwrap();
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
        let prepared = files.prepare("appserver", now()).unwrap();
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

    /// The process can end after each step of writing.
    #[test]
    fn what_an_interrupted_run_left_is_completed_or_replaced() {
        for published in [&[][..], &[SECRET], &[SECRET, ID]] {
            let folder = tempfile::tempdir().unwrap();
            let directory = folder.path().join("keys");
            let files = KeyFiles::at(directory.clone());
            let PreparedFiles { id, secret, .. } = files.prepare("appserver", now()).unwrap();
            if !published.is_empty() {
                files.write(secret, SECRET, b"canary-old-secret").unwrap();
                files.write(id, ID, b"LTAI0").unwrap();
                for name in published {
                    files.publish(name).unwrap();
                }
            }
            let found = files.found().unwrap();
            assert!(found.is_interrupted());
            assert_eq!(found.id.is_some(), !published.is_empty(), "{published:?}");
            assert_eq!(found.interrupted_at("appserver").is_some(), published.is_empty());
            assert_eq!(found.interrupted_at("another"), None);
            if found.id.is_none() {
                files.prepare("appserver", now()).unwrap().keep(&key()).unwrap();
            } else {
                files.tidy().unwrap();
                assert_eq!(files.found().unwrap().id.unwrap().as_str(), "LTAI0");
            }
            assert_eq!(names(&directory), [ID, SECRET], "{published:?}");
        }
    }

    /// A note is older than the file: the operator put the secret there by hand.
    #[test]
    fn a_file_that_no_run_wrote_is_refused_and_kept_despite_a_note() {
        for name in [ID, SECRET] {
            let folder = tempfile::tempdir().unwrap();
            let directory = folder.path().join("keys");
            let files = KeyFiles::at(directory.clone());
            files.prepare("appserver", now()).unwrap();
            fs::write(directory.join(name), "mine").unwrap();
            let half = files.found().unwrap_err();
            assert!(matches!(half, KeyFileError::CounterpartMissing(_)), "{half:?}");
            files.prepare("appserver", now()).unwrap_err();
            files.tidy().unwrap();
            assert_eq!(fs::read_to_string(directory.join(name)).unwrap(), "mine");
        }
    }

    #[test]
    fn a_directory_is_locked_by_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeyFiles::at(folder.path().join("keys"));
        assert!(files.lock().unwrap().is_none());
        files.make().unwrap();
        files.probe().unwrap();
        let lock = files.lock().unwrap().unwrap();
        let error = files.lock().unwrap_err();
        assert!(matches!(error, KeyFileError::Locked(_)), "{error:?}");
        drop(lock);
        assert!(files.lock().unwrap().is_some());
    }
}
