//! An append-only file that is rotated by size and age and reopened when its path leads to another file.
//!
//! Crates for it (`file-rotate`, `tracing-appender`) do not report failures, and the audit must know whether a line was
//! written.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use tokio::time::Instant;

use super::rotation::{FileIdentity, RotatedFiles, folder_of};
use appserver_domain::clock::Clock;

/// After a failed rotation; until then the file grows.
const RETRY_ROTATION_AFTER: Duration = Duration::from_mins(1);

/// The longest first line that is read for its time.
const MAX_LINE_BYTES: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct AuditFile {
    files: Arc<RotatedFiles>,
    limits: FileLimits,
    clock: Clock,
    /// Reports a rotation.
    rotated: SyncSender<()>,
    /// Whether lines must be on the disk.
    synced: bool,
    /// The last file was left without a successful sync.
    unconfirmed_sync: bool,
    open: Option<Open>,
    /// No rotation is tried before.
    rotate_after: Option<Instant>,
}

/// When a file is rotated.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileLimits {
    pub(super) max_bytes: u64,
    /// Of its first line.
    pub(super) max_age: Option<TimeDelta>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// To notice that the path leads to another file.
    identity: FileIdentity,
    size: u64,
    /// The time of the first line; none while it is empty.
    begins: Option<DateTime<Utc>>,
    /// A pipe or a device is not rotated.
    regular: bool,
}

impl AuditFile {
    pub(super) fn new(
        files: Arc<RotatedFiles>,
        limits: FileLimits,
        synced: bool,
        clock: Clock,
        rotated: SyncSender<()>,
    ) -> Self {
        let (unconfirmed_sync, open, rotate_after) = (false, None, None);
        Self { files, limits, clock, rotated, synced, unconfirmed_sync, open, rotate_after }
    }

    /// Opens, reopens or rotates the file so that it has space for this many bytes: none for the rest of a line that has begun.
    /// Returns whether it is another file than before.
    pub(super) fn ready(&mut self, coming: u64) -> io::Result<bool> {
        let path = self.files.path();
        let there = std::fs::metadata(path).ok().map(|there| FileIdentity::of(&there));
        if let Some(open) = &self.open
            && there == Some(open.identity)
        {
            let full = open.size.saturating_add(coming) > self.limits.max_bytes;
            let due = open.regular && open.size > 0 && (full || coming > 0 && self.is_old());
            let may = self.rotate_after.is_none_or(|after| Instant::now() >= after);
            if !(due && may) {
                return Ok(false);
            }
            if let Err(error) = self.files.rotate() {
                // A file that is too long is better than lost lines.
                let path = path.display();
                tracing::error!(error.message = %error, "audit file {path} cannot be rotated; continuing with the current file");
                self.rotate_after = Some(Instant::now() + RETRY_ROTATION_AFTER);
                return Ok(false);
            }
            // A report that waits already is enough, and without a receiver there is nobody to report to.
            let _ = self.rotated.try_send(());
        }
        if let Some(left) = self.open.take()
            && self.synced
        {
            // After a failure here the next sync fails, and its lines are written again.
            self.unconfirmed_sync |= left.sync().is_err();
        }
        self.open = Some(Open::at(self.files.path(), self.synced, self.limits.max_age.is_some())?);
        Ok(true)
    }

    /// Rotates the file if it is too old, although no line comes. Returns whether it is another file than before.
    pub(super) fn rotate_if_old(&mut self) -> io::Result<bool> {
        if self.is_old() { self.ready(1) } else { Ok(false) }
    }

    fn is_old(&self) -> bool {
        let begins = self.open.as_ref().and_then(|open| open.begins);
        let age = begins.map(|begins| self.clock.now() - begins);
        age.zip(self.limits.max_age).is_some_and(|(age, max_age)| age >= max_age)
    }

    /// Syncs the file to the disk. After a failure the lines must be written again, even if a later sync succeeds: the
    /// kernel drops pages that it could not write.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.unconfirmed_sync) {
            self.open = None;
            return Err(io::Error::other("the previous file could not be synced"));
        }
        let synced = self.open.as_ref().map_or(Ok(()), Open::sync);
        if synced.is_err() {
            self.open = None;
        }
        synced
    }

    pub(super) fn path(&self) -> &Path {
        self.files.path()
    }

    /// Whether it is a regular file, not a pipe or a device.
    pub(super) fn is_regular(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.regular)
    }

    /// The most bytes to write at once: more would not fit into one file.
    pub(super) fn max_write(&self) -> usize {
        usize::try_from(self.limits.max_bytes).unwrap_or(usize::MAX)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(open) = &mut self.open else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let written = open.file.write(bytes)?;
        open.size += written as u64;
        if open.begins.is_none() && self.limits.max_age.is_some() {
            open.begins = Some(self.clock.now());
        }
        Ok(written)
    }

    /// Closes a pipe or a device after a failed write. A regular file stays open: its disk may have space later, and the
    /// line continues where it broke off.
    pub(super) fn write_failed(&mut self) {
        self.open.take_if(|open| !open.regular);
    }
}

impl Open {
    fn at(path: &Path, synced: bool, with_age: bool) -> io::Result<Self> {
        // Operators may widen the mode; a new file is readable by its owner only.
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let metadata = file.metadata()?;
        let (regular, mut size) = (metadata.is_file(), metadata.len());
        if synced && regular {
            // The directory entry must be on the disk, too.
            File::open(folder_of(path))?.sync_all()?;
        }
        if regular && size > 0 && !ends_with_newline(path)? {
            // An incomplete line of a crashed process must not merge with the next line.
            size += file.write(b"\n")? as u64;
        }
        let begins = if with_age && regular && size > 0 {
            // Of a file that begins with something else, the last change is the only time there is.
            Some(first_time(path)?.map_or_else(|| metadata.modified().map(Into::into), Ok)?)
        } else {
            None
        };
        Ok(Self { file, identity: FileIdentity::of(&metadata), size, begins, regular })
    }

    /// A pipe or a device has nothing to sync.
    fn sync(&self) -> io::Result<()> {
        if self.regular { self.file.sync_data() } else { Ok(()) }
    }
}

fn ends_with_newline(path: &Path) -> io::Result<bool> {
    let (mut file, mut last) = (File::open(path)?, [0]);
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The time of the first line.
fn first_time(path: &Path) -> io::Result<Option<DateTime<Utc>>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct When {
        time: DateTime<Utc>,
    }
    let mut line = Vec::new();
    BufReader::new(File::open(path)?.take(MAX_LINE_BYTES)).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line).ok().map(|When { time }| time))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn a_file(path: &Path) -> AuditFile {
        an_aging_file(path, None, &Clock::system())
    }

    fn an_aging_file(path: &Path, max_age: Option<TimeDelta>, clock: &Clock) -> AuditFile {
        let limits = FileLimits { max_bytes: if max_age.is_some() { 1000 } else { 10 }, max_age };
        let (rotated, _) = std::sync::mpsc::sync_channel(1);
        let files = Arc::new(RotatedFiles::new(path.into(), 2));
        AuditFile::new(files, limits, true, clock.clone(), rotated)
    }

    fn put(file: &mut AuditFile, line: &[u8]) -> bool {
        let fresh = file.ready(line.len() as u64).unwrap();
        assert_eq!(file.write(line).unwrap(), line.len());
        file.sync().unwrap();
        fresh
    }

    #[test]
    fn a_line_that_does_not_fit_begins_the_next_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let mut file = a_file(&path);
        let fresh = [b"1234\n", b"5678\n", b"abcd\n"].map(|line| put(&mut file, line));
        assert_eq!(fresh, [true, false, true]);
        let texts = ["audit.1", "audit"].map(|name| folder.path().join(name));
        assert_eq!(
            texts.map(|path| std::fs::read(path).unwrap()),
            [&b"1234\n5678\n"[..], b"abcd\n"]
        );
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_moved_or_deleted_file_is_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let mut file = a_file(&path);
        put(&mut file, b"a\n");
        std::fs::rename(&path, folder.path().join("away")).unwrap();
        assert!(put(&mut file, b"b\n"));
        std::fs::remove_file(&path).unwrap();
        assert!(put(&mut file, b"c\n"));
        assert_eq!(std::fs::read(&path).unwrap(), b"c\n");
    }

    #[test]
    fn a_broken_line_at_the_end_of_a_file_is_terminated_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        std::fs::write(&path, "a\nbrok").unwrap();
        put(&mut a_file(&path), b"c\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"a\nbrok\nc\n");
    }

    /// The age is that of the first line, also after a restart, and the rest of a line stays with its beginning.
    #[test]
    fn a_file_is_rotated_when_its_first_line_is_too_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let clock = Clock::manual("2016-01-13T14:00:00Z".parse().unwrap());
        let hours = |hours| clock.advance(TimeDelta::hours(hours));
        let mut file = an_aging_file(&path, Some(TimeDelta::hours(24)), &clock);
        assert!(!file.rotate_if_old().unwrap(), "it is not open yet");
        hours(30);
        assert!(file.ready(0).unwrap() && !file.rotate_if_old().unwrap(), "it is empty");
        put(&mut file, b"{\"Time\":\"2016-01-14T20:00:00Z\"}\n");
        hours(23);
        assert!(!put(&mut file, b"{}\n"));
        // Another process.
        let mut file = an_aging_file(&path, Some(TimeDelta::hours(24)), &clock);
        assert!(put(&mut file, b"{}\n") && !file.rotate_if_old().unwrap());
        hours(1);
        assert!(!file.ready(0).unwrap(), "a line has begun");
        assert!(file.rotate_if_old().unwrap());
        assert!(!put(&mut file, b"{}\n"));
        hours(24);
        assert!(put(&mut file, b"{}\n"));
        let lines = ["audit.2", "audit.1", "audit"]
            .map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap().lines().count());
        assert_eq!(lines, [3, 1, 1]);
    }

    #[test]
    fn the_age_of_a_file_that_begins_with_no_line_is_that_of_its_last_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        std::fs::write(&path, "no line\n").unwrap();
        let clock = Clock::system();
        let mut file = an_aging_file(&path, Some(TimeDelta::hours(1)), &clock);
        assert!(file.ready(1).unwrap() && !file.rotate_if_old().unwrap());
        let hours = (clock.now() - TimeDelta::hours(2)).into();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(hours).unwrap();
        let mut file = an_aging_file(&path, Some(TimeDelta::hours(1)), &clock);
        assert!(file.ready(1).unwrap() && file.rotate_if_old().unwrap());
    }
}
