//! An object: its description, and where its bytes are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::memory_quota::Reservation;

/// An object without its bytes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) length: u64,
    /// With its quotation marks.
    pub(crate) etag: String,
    pub(crate) crc64: u64,
    pub(crate) last_modified: DateTime<Utc>,
    /// `Normal` or `Multipart`.
    pub(crate) kind: String,
    pub(crate) meta: Meta,
    #[serde(skip)]
    pub(super) location: Location,
}

/// Headers stored with an object, by lower-case name.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Meta(pub(crate) BTreeMap<String, String>);

/// Where the bytes of an object are.
#[derive(Clone, Debug, Default)]
pub(super) enum Location {
    Memory(Arc<(Bytes, Reservation)>),
    File(PathBuf),
    /// Set by the bucket, which knows the path.
    #[default]
    Unplaced,
}

impl PartialEq for Location {
    /// Two objects are equal wherever their bytes are.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Location {}

/// The header with the class, which is stored unless it is the default.
pub(crate) const STORAGE_CLASS: &str = "x-oss-storage-class";

impl Meta {
    pub(crate) fn storage_class(&self) -> &str {
        self.0.get(STORAGE_CLASS).map_or("Standard", String::as_str)
    }

    pub(crate) fn of_type(content_type: &str) -> Self {
        Self([("content-type".to_owned(), content_type.to_owned())].into())
    }
}
