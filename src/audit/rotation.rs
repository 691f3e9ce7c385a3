//! Rotates numbered files: `audit.jsonl` becomes `audit.jsonl.1`, that one `audit.jsonl.2`, and so on.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Moves the file to `.1` and keeps at most `max_files - 1` older ones.
///
/// Each step is one rename, from the oldest on: an interrupted rotation loses no file and leaves one number free. The
/// next rotation moves only the files below the first free number.
pub(super) fn rotate(path: &Path, max_files: u32) -> io::Result<()> {
    let free = (1..max_files).find(|&number| !exists(&numbered(path, number))).unwrap_or(max_files);
    for number in (1..free).rev() {
        std::fs::rename(numbered(path, number), numbered(path, number + 1))?;
    }
    std::fs::rename(path, numbered(path, 1))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

/// Also true for a dangling link.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_file_is_overwritten_only_when_all_numbers_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let rotated = |text: &str| {
            std::fs::write(&path, text).unwrap();
            rotate(&path, 3).unwrap();
            let read = |number| std::fs::read_to_string(numbered(&path, number)).ok();
            [1, 2, 3, 4].map(|number| read(number).unwrap_or_default())
        };
        assert_eq!(rotated("a"), ["a", "", "", ""]);
        assert_eq!(rotated("b"), ["b", "a", "", ""]);
        assert_eq!(rotated("c"), ["c", "b", "a", ""]);
        assert_eq!(rotated("d"), ["d", "c", "b", ""]);
        // As an interrupted rotation leaves it.
        std::fs::remove_file(numbered(&path, 1)).unwrap();
        assert_eq!(rotated("e"), ["e", "c", "b", ""]);
    }
}
