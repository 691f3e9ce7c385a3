//! An object that is to be stored, with its bytes.

use chrono::{DateTime, SubsecRound, Utc};

use super::backend::Payload;
use super::object::{Location, Meta, Object};
use super::spool::Spooled;

/// The description of the object, and its bytes, which are not in their final place yet.
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
