//! The rotated files of the audit: `audit.jsonl` becomes `audit.jsonl.1`, that one `audit.jsonl.2`, and so on. A compressed one
//! is `audit.jsonl.2.gz`.
//!
//! The writer renames files while another thread compresses and deletes them, so each change of names holds one lock, and a
//! file is found again by its inode and not by its number.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

/// Numbers from here on are compressed. The newest rotated file stays as it is, so that a program that ships lines can read
/// it to its end.
const FIRST_COMPRESSED: u32 = 2;

/// One file and its rotated ones.
#[derive(Debug)]
pub(super) struct RotatedFiles {
    path: PathBuf,
    /// Rotated files that are kept, at least 1.
    max_files: u32,
    /// Held while files are renamed or removed, never while one is read or written.
    names: Mutex<()>,
}

/// Device and inode: the same file under any name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FileIdentity(u64, u64);

/// A rotated file that is not compressed yet.
#[derive(Debug)]
pub(super) struct PlainFile {
    pub(super) file: File,
    pub(super) identity: FileIdentity,
    pub(super) metadata: Metadata,
    /// Its compressed copy, where a crash left both.
    pub(super) copy: Option<File>,
}

impl FileIdentity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

impl RotatedFiles {
    pub(super) fn new(path: PathBuf, max_files: u32) -> Self {
        Self { path, max_files, names: Mutex::default() }
    }

    /// The file that is written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the file to `.1`, and deletes the oldest one if all numbers are taken.
    ///
    /// Each step is one rename, from the oldest on: an interrupted rotation loses no file but the oldest and leaves one
    /// number free. The next rotation moves only the files below the first free number.
    pub(super) fn rotate(&self) -> io::Result<()> {
        let _held = self.names.lock();
        let free = (1..=self.max_files).find(|&number| !self.is_taken(number));
        if free.is_none() {
            self.remove(self.max_files)?;
        }
        for number in (1..free.unwrap_or(self.max_files)).rev() {
            for (from, to) in self.forms(number).iter().zip(self.forms(number + 1)) {
                if exists(from) {
                    fs::rename(from, to)?;
                }
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    /// The oldest file that is to be compressed, other than these.
    pub(super) fn next_plain(&self, except: &[FileIdentity]) -> io::Result<Option<PlainFile>> {
        let _held = self.names.lock();
        for number in (FIRST_COMPRESSED..=self.max_files).rev() {
            let [plain, compressed] = self.forms(number);
            // A link is somebody else's.
            let Some(identity) = identity_at(&plain) else { continue };
            if except.contains(&identity) {
                continue;
            }
            let file = File::open(&plain)?;
            let metadata = file.metadata()?;
            let copy = exists(&compressed).then(|| File::open(compressed)).transpose()?;
            return Ok(Some(PlainFile { file, identity, metadata, copy }));
        }
        Ok(None)
    }

    /// Gives the compressed copy its name beside the plain file; false if that one is deleted by now.
    pub(super) fn add_copy(&self, of: FileIdentity, temporary: &Path) -> io::Result<bool> {
        let _held = self.names.lock();
        let Some(number) = self.number_of(of) else { return Ok(false) };
        let [_, compressed] = self.forms(number);
        fs::rename(temporary, compressed)?;
        Ok(true)
    }

    /// Removes the plain file, which has a compressed copy.
    pub(super) fn remove_plain(&self, plain: FileIdentity) -> io::Result<()> {
        let _held = self.names.lock();
        self.number_of(plain).map_or(Ok(()), |number| fs::remove_file(self.numbered(number)))
    }

    /// Removes the rotated files whose last line is older, also those that are left of a larger `max_files`.
    pub(super) fn remove_older(&self, than: DateTime<Utc>) -> io::Result<()> {
        let _held = self.names.lock();
        let numbers = (1..).take_while(|&number| number <= self.max_files || self.is_taken(number));
        for path in numbers.flat_map(|number| self.forms(number)) {
            let Ok(there) = path.symlink_metadata() else { continue };
            if there.is_file() && DateTime::<Utc>::from(there.modified()?) < than {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Where a file is compressed to before it gets its name. Hidden, so that a pattern such as `audit.jsonl*` never has an
    /// incomplete file.
    pub(super) fn temporary(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".gz.tmp");
        self.path.with_file_name(name)
    }

    /// Makes the names in the folder survive a crash of the machine.
    pub(super) fn sync_folder(&self) -> io::Result<()> {
        File::open(folder_of(&self.path))?.sync_all()
    }

    fn number_of(&self, identity: FileIdentity) -> Option<u32> {
        (1..=self.max_files).find(|&number| identity_at(&self.numbered(number)) == Some(identity))
    }

    fn is_taken(&self, number: u32) -> bool {
        self.forms(number).iter().any(|path| exists(path))
    }

    fn remove(&self, number: u32) -> io::Result<()> {
        self.forms(number).iter().filter(|path| exists(path)).try_for_each(fs::remove_file)
    }

    /// The plain file of this number, and the compressed one.
    fn forms(&self, number: u32) -> [PathBuf; 2] {
        let plain = self.numbered(number);
        let mut compressed = OsString::from(&plain);
        compressed.push(".gz");
        [plain, compressed.into()]
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

/// The folder of a file that is named without one is the current one.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Of a regular file; of no link.
fn identity_at(path: &Path) -> Option<FileIdentity> {
    let there = path.symlink_metadata().ok()?;
    there.is_file().then(|| FileIdentity::of(&there))
}

/// Also true for a dangling link.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of each number, plain or, with a `z`, under the name of a compressed file.
    fn texts(files: &RotatedFiles) -> Vec<String> {
        let text = |number| {
            let [plain, compressed] = files.forms(number).map(fs::read_to_string);
            plain.unwrap_or_default()
                + &compressed.map(|text| format!("z{text}")).unwrap_or_default()
        };
        (1..=files.max_files + 1).map(text).collect()
    }

    fn rotated(files: &RotatedFiles, text: &str) -> Vec<String> {
        fs::write(&files.path, text).unwrap();
        files.rotate().unwrap();
        texts(files)
    }

    /// As if it were compressed.
    fn compress(files: &RotatedFiles, number: u32) {
        let [plain, compressed] = files.forms(number);
        fs::rename(plain, compressed).unwrap();
    }

    #[test]
    fn the_oldest_file_is_deleted_only_when_all_numbers_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let files = RotatedFiles::new(folder.path().join("audit.jsonl"), 3);
        assert_eq!(rotated(&files, "a"), ["a", "", "", ""]);
        assert_eq!(rotated(&files, "b"), ["b", "a", "", ""]);
        assert_eq!(rotated(&files, "c"), ["c", "b", "a", ""]);
        assert_eq!(rotated(&files, "d"), ["d", "c", "b", ""]);
        // As an interrupted rotation leaves it.
        fs::remove_file(files.numbered(1)).unwrap();
        assert_eq!(rotated(&files, "e"), ["e", "c", "b", ""]);
    }

    #[test]
    fn compressed_files_are_moved_and_deleted_as_plain_ones_are() {
        let folder = tempfile::tempdir().unwrap();
        let files = RotatedFiles::new(folder.path().join("audit.jsonl"), 3);
        rotated(&files, "a");
        rotated(&files, "b");
        compress(&files, 2);
        assert_eq!(rotated(&files, "c"), ["c", "b", "za", ""]);
        // The oldest is compressed, and the one that takes its number is not.
        assert_eq!(rotated(&files, "d"), ["d", "c", "b", ""]);
        compress(&files, 2);
        assert_eq!(rotated(&files, "e"), ["e", "d", "zc", ""]);
        assert_eq!(rotated(&files, "f"), ["f", "e", "d", ""]);
    }

    /// The writer rotates while a file is compressed.
    #[test]
    fn a_compressed_copy_gets_the_number_that_its_file_has_by_then() {
        let folder = tempfile::tempdir().unwrap();
        let files = RotatedFiles::new(folder.path().join("audit.jsonl"), 3);
        rotated(&files, "a");
        assert!(files.next_plain(&[]).unwrap().is_none(), "the newest stays plain");
        rotated(&files, "b");
        let plain = files.next_plain(&[]).unwrap().unwrap();
        assert!(files.next_plain(&[plain.identity]).unwrap().is_none());
        rotated(&files, "c");
        fs::write(files.temporary(), "A").unwrap();
        assert!(files.add_copy(plain.identity, &files.temporary()).unwrap());
        assert_eq!(texts(&files), ["c", "b", "azA", ""]);
        files.remove_plain(plain.identity).unwrap();
        assert_eq!(texts(&files), ["c", "b", "zA", ""]);
        // Deleted in the meantime.
        let plain = files.next_plain(&[]).unwrap().unwrap();
        rotated(&files, "d");
        rotated(&files, "e");
        rotated(&files, "f");
        fs::write(files.temporary(), "B").unwrap();
        assert!(!files.add_copy(plain.identity, &files.temporary()).unwrap());
        assert_eq!(texts(&files), ["f", "e", "d", ""]);
    }

    #[test]
    fn rotated_files_whose_last_line_is_too_old_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let files = RotatedFiles::new(folder.path().join("audit.jsonl"), 4);
        for text in ["a", "b", "c"] {
            rotated(&files, text);
        }
        compress(&files, 3);
        fs::write(&files.path, "d").unwrap();
        let at = |time: &str| time.parse::<DateTime<Utc>>().unwrap();
        let [_, oldest] = files.forms(3);
        for (path, time) in [
            (oldest, "2016-01-11T00:00:00Z"),
            (files.numbered(2), "2016-01-12T00:00:00Z"),
            (files.numbered(1), "2016-01-13T00:00:00Z"),
            (files.path.clone(), "2016-01-10T00:00:00Z"),
        ] {
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(at(time).into()).unwrap();
        }
        files.remove_older(at("2016-01-12T12:00:00Z")).unwrap();
        assert_eq!(texts(&files), ["c", "", "", "", ""]);
        assert!(files.path.exists(), "the file that is written stays");
    }

    #[test]
    fn files_beyond_a_number_that_was_lowered_are_deleted_by_age_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let before = RotatedFiles::new(path.clone(), 6);
        for text in ["a", "b", "c", "d"] {
            rotated(&before, text);
        }
        let files = RotatedFiles::new(path, 2);
        files.remove_older("9999-01-01T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(texts(&before)[..4], ["", "", "", ""]);
    }
}
