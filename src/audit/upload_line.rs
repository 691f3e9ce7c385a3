//! The line of an upload that OSS reported.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::grant_line::millis;
use super::names::UserNames;

/// A step of a reported upload: whose it was, what it made, and how far its report came.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UploadedRecord<'a> {
    #[serde(serialize_with = "millis")]
    pub(crate) time: DateTime<Utc>,
    /// Of the callback.
    pub(crate) request_id: &'a str,
    pub(crate) event: &'static str,
    pub(crate) decision: UploadDecision,
    pub(crate) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
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

/// How far the report of an upload came.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum UploadDecision {
    /// The object was looked at, and the report is about to be forwarded.
    Confirmed,
    /// The same, where the grant's objects are not looked at.
    Reported,
    /// The first attempt to forward it failed. It is kept and sent again.
    Kept,
    /// The backend has it.
    Delivered,
    /// The backend does not have it and will not get it.
    Dropped,
}

impl UploadedRecord<'_> {
    /// The complete line; `tail` ends it.
    pub(super) fn line(&self, names: &UserNames, tail: &str) -> String {
        let subject = self.subject.map(|subject| names.subject(self.issuer, subject));
        let key = names.key(self.key);
        let named = UploadedRecord { subject: subject.as_deref(), key: &key, ..*self };
        let mut line = serde_json::to_string(&named).expect("texts are plain JSON");
        // The tail has the brace that ends the line.
        line.pop();
        line + tail
    }
}
