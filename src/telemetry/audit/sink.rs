//! Where lines end up.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use super::file::AuditFile;
use super::settings::SinkSettings;

#[derive(Debug)]
pub(super) enum Sink {
    /// A copy of its descriptor: `std::io::stdout` has a buffer of its own, which hides what was written.
    Stdout(Option<File>),
    File(AuditFile),
}

impl Sink {
    pub(super) fn new(settings: SinkSettings) -> Self {
        match settings {
            SinkSettings::Stdout => Self::Stdout(None),
            SinkSettings::File(settings) => Self::File(AuditFile::new(settings)),
        }
    }

    /// Opens it where it is not. Whether what is written from now on stands elsewhere than what was written before.
    pub(super) fn ready(&mut self, coming: u64) -> io::Result<bool> {
        match self {
            Self::Stdout(Some(_)) => Ok(false),
            Self::Stdout(out @ None) => {
                *out = Some(io::stdout().as_fd().try_clone_to_owned()?.into());
                Ok(true)
            }
            Self::File(file) => file.ready(coming),
        }
    }

    /// Writes what it takes, at least a byte.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Stdout(Some(out)) => out.write(bytes)?,
            Self::Stdout(None) => return Err(io::ErrorKind::NotFound.into()),
            Self::File(file) => file.write(bytes)?,
        };
        if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
    }

    /// The last write failed.
    pub(super) fn failed(&mut self) {
        match self {
            Self::Stdout(_) => {}
            Self::File(file) => file.failed(),
        }
    }
}
