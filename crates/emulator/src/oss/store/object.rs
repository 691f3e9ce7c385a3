//! An object: its description, and where its bytes are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::memory_quota::Reservation;
use super::source::Payload;
use super::spool::Spooled;

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

/// An object that is to be stored.
pub(crate) struct NewObject {
    pub(super) object: Object,
    pub(super) payload: Payload,
    /// Fails if there is an object with the same key.
    pub(crate) only_if_absent: bool,
}

impl NewObject {
    pub(crate) fn normal(key: String, meta: Meta, spooled: Spooled, now: DateTime<Utc>) -> Self {
        let etag = spooled.etag();
        Self::of_kind("Normal", key, meta, spooled, etag, now)
    }

    pub(crate) fn multipart(
        key: String,
        meta: Meta,
        spooled: Spooled,
        etag: String,
        now: DateTime<Utc>,
    ) -> Self {
        Self::of_kind("Multipart", key, meta, spooled, etag, now)
    }

    fn of_kind(
        kind: &str,
        key: String,
        meta: Meta,
        spooled: Spooled,
        etag: String,
        now: DateTime<Utc>,
    ) -> Self {
        let Spooled { payload, crc64, length, .. } = spooled;
        let object = Object {
            key,
            length,
            etag,
            crc64,
            // OSS times have whole seconds.
            last_modified: now.trunc_subsecs(0),
            kind: kind.to_owned(),
            meta,
            location: Location::Unplaced,
        };
        Self { object, payload, only_if_absent: false }
    }
}

impl Meta {
    pub(crate) fn of_type(content_type: &str) -> Self {
        Self([("content-type".to_owned(), content_type.to_owned())].into())
    }
}
