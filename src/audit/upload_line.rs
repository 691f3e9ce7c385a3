//! The line of an upload that OSS reported.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::grant_line::millis;

/// An upload that is about to be forwarded: whose it was, and what it made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UploadedRecord<'a> {
    #[serde(serialize_with = "millis")]
    pub(crate) time: DateTime<Utc>,
    /// Of the callback.
    pub(crate) request_id: &'a str,
    pub(crate) event: &'static str,
    /// `Confirmed`, or `Reported` where the grant's objects are not looked at.
    pub(crate) decision: &'static str,
    pub(crate) code: &'static str,
    pub(crate) client: &'a str,
    pub(crate) grant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<&'a str>,
    pub(crate) upload_id: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) bytes: u64,
    #[serde(rename = "ETag")]
    pub(crate) etag: &'a str,
}

impl UploadedRecord<'_> {
    /// The complete line; `tail` ends it.
    pub(super) fn line(&self, tail: &str) -> String {
        let mut line = serde_json::to_string(self).expect("texts are plain JSON");
        // The tail has the brace that ends the line.
        line.pop();
        line + tail
    }
}
