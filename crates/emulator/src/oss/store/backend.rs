//! Where the bytes of objects are: in memory, or in the folder of `--data`.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;

use super::folder::Folder;
use super::memory_quota::{MemoryQuota, Reservation};
use super::source::ObjectSource;

/// Memory, or the folder of `--data`.
#[derive(Clone)]
pub(crate) enum Backend {
    Memory(MemoryQuota),
    Folder(Arc<Folder>),
}

/// Stored bytes of an object or part.
#[derive(Debug)]
pub(crate) enum Payload {
    Memory { bytes: Bytes, reservation: Reservation },
    File(Temporary),
}

impl Payload {
    pub(crate) fn source(&self) -> io::Result<ObjectSource> {
        match self {
            Self::Memory { bytes, .. } => Ok(ObjectSource::Memory(bytes.clone())),
            Self::File(path) => Ok(ObjectSource::File(File::open(&path.0)?)),
        }
    }
}

/// A file that is removed on drop, unless it was renamed.
#[derive(Debug)]
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Absent if it was renamed; otherwise a failure is repaired at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}
