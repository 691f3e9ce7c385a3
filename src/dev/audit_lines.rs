//! The audit's lines, as far as `dev` can read them: those in memory, and the last [`MOST_BYTES`] of the audit's files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::telemetry::RecentLines;

/// The page shows the lines of the requests that it has just sent.
const MOST_BYTES: u64 = 1 << 20;

/// Clones read the same lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditLines {
    memory: RecentLines,
    files: Vec<PathBuf>,
}

impl AuditLines {
    /// `memory` has the lines where the configuration has no audit of its own. Those on standard output cannot be read back.
    pub(crate) fn of(settings: &Settings, memory: RecentLines) -> Self {
        Self { memory, files: settings.audit_files() }
    }

    /// The lines that contain the text, oldest first. Reads files: not for an executor's thread that others wait for.
    pub(super) fn containing(&self, text: &str) -> Vec<String> {
        let mut lines = self.memory.containing(text);
        for file in &self.files {
            // A file is missing until it has a line.
            let read = end_of(file).unwrap_or_default();
            let read = String::from_utf8_lossy(&read);
            lines.extend(read.lines().filter(|line| line.contains(text)).map(ToOwned::to_owned));
        }
        lines
    }
}

impl From<RecentLines> for AuditLines {
    fn from(memory: RecentLines) -> Self {
        Self { memory, files: Vec::new() }
    }
}

fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(MOST_BYTES)))?;
    let mut end = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut end)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_memory_and_at_the_end_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            ["audit.jsonl", "audit.jsonl.refused", "missing"].map(|name| folder.path().join(name));
        let old = format!("{{\"id\":\"A\",\"n\":1}}\n{}\n", " ".repeat(1 << 20));
        std::fs::write(&files[0], format!("{old}{{\"id\":\"A\",\"n\":2}}\n{{\"id\":\"B\"}}\n"))
            .unwrap();
        std::fs::write(&files[1], "{\"id\":\"A\",\"n\":3}\n").unwrap();
        let memory = RecentLines::default();
        memory.push("{\"id\":\"A\",\"n\":0}");
        let lines = AuditLines { memory, files: files.into() };
        let found = lines.containing("\"A\"");
        assert_eq!(found, [0, 2, 3].map(|n| format!("{{\"id\":\"A\",\"n\":{n}}}")));
    }
}
