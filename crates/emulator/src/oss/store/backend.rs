//! Where the bytes of all objects go; apart from the store, because each of its parts needs it.

use std::sync::Arc;

use super::folder::Folder;
use super::memory_quota::MemoryQuota;

/// Memory, or the folder of `--data`.
#[derive(Clone)]
pub(crate) enum Backend {
    Memory(MemoryQuota),
    Folder(Arc<Folder>),
}
