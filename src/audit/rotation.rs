//! Makes room for a new file: `audit.jsonl` becomes `audit.jsonl.1`, that one `audit.jsonl.2`, and so on.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Moves the file to `.1`. Of those before it at most `most - 1` are kept.
///
/// Each step is one rename, from the oldest on: whenever it is cut off, no file is lost, and only a number is free.
/// The next rotation moves no more than what stands before the first free number.
pub(super) fn rotate(path: &Path, most: u32) -> io::Result<()> {
    let free = (1..most).find(|&number| !exists(&numbered(path, number))).unwrap_or(most);
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

/// Also a link that leads nowhere.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_only_when_all_numbers_are_taken() {
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
        // As a rotation leaves it that was cut off.
        std::fs::remove_file(numbered(&path, 1)).unwrap();
        assert_eq!(rotated("e"), ["e", "c", "b", ""]);
    }
}
