//! The repository's own files, for tests of how they are written.

use crate::stage::repository;

/// The Rust files in these folders, each with its path in the repository and its text.
pub(crate) fn rust_files(folders: &[&str]) -> Vec<(String, String)> {
    files(folders, &["rs"])
}

/// The files with one of these extensions among these files and in these folders.
pub(crate) fn files(folders: &[&str], extensions: &[&str]) -> Vec<(String, String)> {
    let mut found: Vec<_> = folders.iter().map(|folder| repository(folder)).collect();
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        if let Ok(entries) = std::fs::read_dir(&path) {
            found.extend(entries.map(|entry| entry.unwrap().path()));
        }
        next += 1;
    }
    found.retain(|path| {
        path.extension()
            .is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
    });
    let read = |path: &std::path::PathBuf| {
        let name = path.strip_prefix(repository("")).unwrap().display().to_string();
        (name, std::fs::read_to_string(path).unwrap())
    };
    found.iter().map(read).collect()
}
