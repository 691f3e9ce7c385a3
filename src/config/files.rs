//! The files of a configuration, and whether their contents have changed.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use sha2::{Digest, Sha256};

use super::file_reads::read_bytes;

/// Files, and their contents at one moment.
///
/// Compared by content, not by events or times: Kubernetes changes a mounted ConfigMap by swapping a symbolic link some
/// folders away, some file systems send no events, and an editor may write the same text again.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Files(Vec<(PathBuf, Compared, Option<Contents>)>);

/// What of a file is compared.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Compared {
    Bytes,
    /// Where a link leads to the file, its relative paths start at the folder behind the link: the same bytes in another
    /// folder name other files.
    BytesAndFolder,
}

/// SHA-256 of what is compared.
type Contents = [u8; 32];

impl Files {
    /// Reads the files. One that cannot be read is recorded as such.
    pub(crate) fn look<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        Self::read(paths.into_iter().map(|path| (path, Compared::Bytes)))
    }

    /// The same for files with relative paths in them.
    pub(crate) fn look_at_layers<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        Self::read(paths.into_iter().map(|path| (path, Compared::BytesAndFolder)))
    }

    /// The same files, read again.
    pub(crate) fn again(&self) -> Self {
        Self::read(self.0.iter().map(|(path, compared, _)| (path.as_path(), *compared)))
    }

    fn read<'a>(files: impl Iterator<Item = (&'a Path, Compared)>) -> Self {
        let read =
            |(path, compared): (&Path, Compared)| (path.to_owned(), compared, compared.read(path));
        Self(files.map(read).collect())
    }

    /// These files, and those of `others` that are not among them.
    pub(crate) fn and(mut self, others: Self) -> Self {
        for other in others.0 {
            if !self.0.iter().any(|(path, ..)| *path == other.0) {
                self.0.push(other);
            }
        }
        self
    }
}

impl Compared {
    fn read(self, path: &Path) -> Option<Contents> {
        let mut hash = Sha256::new_with_prefix(Sha256::digest(read_bytes(path).ok()?));
        // A built-in file is in no folder.
        if self == Self::BytesAndFolder
            && let Ok(file) = fs::canonicalize(path)
            && let Some(folder) = file.parent()
        {
            hash.update(folder.as_os_str().as_encoded_bytes());
        }
        Some(hash.finalize().into())
    }
}

impl fmt::Debug for Files {
    /// The paths alone: some of the files hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(path, ..)| path)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// How Kubernetes changes the content of a ConfigMap.
    #[test]
    fn a_swapped_link_in_the_middle_of_a_path_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("v1", "one"), ("v2", "two"), ("v3", "two")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("appserver.toml"), text).unwrap();
        }
        symlink("v1", at("..data")).unwrap();
        symlink("..data/appserver.toml", at("appserver.toml")).unwrap();
        let swap = |version: &str| {
            symlink(version, at("..data_tmp")).unwrap();
            std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        };

        let first = Files::look([at("appserver.toml").as_path()]);
        assert_eq!(first.again(), first);
        swap("v2");
        let second = first.again();
        assert_ne!(second, first);
        swap("v3");
        assert_eq!(second.again(), second, "the same text is no change");
    }

    /// The relative paths in it start at another folder then.
    #[test]
    fn a_configuration_in_another_folder_is_a_change_even_if_its_text_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["v1", "v2"] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("appserver.toml"), "one").unwrap();
        }
        symlink("v1", at("current")).unwrap();
        let path = at("current/appserver.toml");
        let first = Files::look_at_layers([path.as_path()]);
        assert_eq!(first.again(), first);
        std::fs::remove_file(at("current")).unwrap();
        symlink("v2", at("current")).unwrap();
        assert_ne!(first.again(), first);
    }

    #[test]
    fn a_file_that_goes_or_comes_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("one.json");
        let without = Files::look([file.as_path()]);
        std::fs::write(&file, "").unwrap();
        let with = without.again();
        assert_ne!(with, without);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(with.again(), without);
    }
}
