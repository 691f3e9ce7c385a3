//! `[revoked]`: the file of revocations.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::config::field::{Clearable, Field};
use crate::config::file_reads::read_text;
use crate::config::problems::Problems;
use crate::revocation::{FileRevocations, parse_file};

#[derive(Debug, Deserialize)]
pub(crate) struct RawRevoked {
    /// Default empty: there is none. Tables `[[revoked]]`, read anew when they change.
    file: Field<Clearable<PathBuf>>,
}

/// Where the file is. The server reads it at its start and at each change; a reload does not.
#[derive(Clone, Debug)]
pub(crate) struct RevokedFile(PathBuf);

/// The file; `None` inside where there is none.
pub(crate) fn resolve(raw: RawRevoked, problems: &mut Problems) -> Option<Option<RevokedFile>> {
    let is_invalid = raw.file.is_invalid();
    let file = problems.take_set(raw.file).map(RevokedFile);
    (!is_invalid).then_some(file)
}

impl RevokedFile {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn text(&self) -> io::Result<String> {
        read_text(&self.0)
    }

    /// The file's text, or the problem that it cannot be read.
    pub(crate) fn read(&self) -> Result<String, Problems> {
        self.text().map_err(|error| self.unreadable(&error))
    }

    /// The revocations of the file's text, or all of its problems.
    pub(crate) fn parse(
        &self,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<FileRevocations, Problems> {
        parse_file(text, now).map_err(|found| {
            let mut problems = Problems::default();
            for one in found {
                problems.add(KEY, format!("{}:{one}", self.0.display()));
            }
            problems
        })
    }

    pub(crate) fn unreadable(&self, error: &io::Error) -> Problems {
        Problems::one(KEY, format!("{}: {error}", self.0.display()))
    }
}

const KEY: &str = "revoked.file";
