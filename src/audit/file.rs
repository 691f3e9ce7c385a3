//! An append-only file that is rotated by size and reopened when its path leads to another file.
//!
//! Crates for it (`file-rotate`, `tracing-appender`) do not report failures, and the audit must know whether a line was
//! written.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::rotation::rotate;

/// After a failed rotation; until then the file grows.
const RETRY_ROTATION_AFTER: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    max_bytes: u64,
    max_files: u32,
    /// Whether lines must be on the disk.
    synced: bool,
    /// The last file was left without a successful sync.
    unconfirmed_sync: bool,
    open: Option<Open>,
    /// No rotation is tried before.
    rotate_after: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode, to notice that the path leads to another file.
    identity: (u64, u64),
    size: u64,
    /// A pipe or a device is not rotated.
    regular: bool,
}

impl AuditFile {
    pub(super) fn new(path: PathBuf, max_bytes: u64, max_files: u32, synced: bool) -> Self {
        let (unconfirmed_sync, open, rotate_after) = (false, None, None);
        Self { path, max_bytes, max_files, synced, unconfirmed_sync, open, rotate_after }
    }

    /// Opens, reopens or rotates the file so that it has space for this many bytes. Returns whether it is another file than
    /// before.
    pub(super) fn ready(&mut self, coming: u64) -> io::Result<bool> {
        let path = &self.path;
        let there = std::fs::metadata(path).ok().map(|there| (there.dev(), there.ino()));
        if let Some(open) = &self.open
            && there == Some(open.identity)
        {
            let full = open.regular && open.size > 0;
            let full = full && open.size.saturating_add(coming) > self.max_bytes;
            let may = self.rotate_after.is_none_or(|after| Instant::now() >= after);
            if !(full && may) {
                return Ok(false);
            }
            if let Err(error) = rotate(path, self.max_files) {
                // A file that is too long is better than lost lines.
                let path = path.display();
                tracing::error!(error.message = %error, "audit file {path} cannot be rotated; continuing with the current file");
                self.rotate_after = Some(Instant::now() + RETRY_ROTATION_AFTER);
                return Ok(false);
            }
        }
        if let Some(left) = self.open.take()
            && self.synced
        {
            // After a failure here the next sync fails, and its lines are written again.
            self.unconfirmed_sync |= left.sync().is_err();
        }
        self.open = Some(Open::at(path, self.synced)?);
        Ok(true)
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
        &self.path
    }

    /// Whether it is a regular file, not a pipe or a device.
    pub(super) fn is_regular(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.regular)
    }

    /// The most bytes to write at once: more would not fit into one file.
    pub(super) fn max_write(&self) -> usize {
        usize::try_from(self.max_bytes).unwrap_or(usize::MAX)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(open) = &mut self.open else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let written = open.file.write(bytes)?;
        open.size += written as u64;
        Ok(written)
    }

    /// Closes a pipe or a device after a failed write. A regular file stays open: its disk may have space later, and the
    /// line continues where it broke off.
    pub(super) fn write_failed(&mut self) {
        self.open.take_if(|open| !open.regular);
    }
}

impl Open {
    fn at(path: &Path, synced: bool) -> io::Result<Self> {
        // Operators may widen the mode; a new file is readable by its owner only.
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let metadata = file.metadata()?;
        let (regular, mut size) = (metadata.is_file(), metadata.len());
        if synced && regular {
            // The directory entry must be on the disk, too.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        if regular && size > 0 && !ends_with_newline(path)? {
            // An incomplete line of a crashed process must not merge with the next line.
            size += file.write(b"\n")? as u64;
        }
        Ok(Self { file, identity: (metadata.dev(), metadata.ino()), size, regular })
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn a_file(path: &Path) -> AuditFile {
        AuditFile::new(path.into(), 10, 2, true)
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
}
