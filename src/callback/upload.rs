//! An upload whose report is proven: what is confirmed, audited, forwarded and kept.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};

use super::claims::UploadClaims;
use super::confirm::ConfirmedObject;
use super::report::UploadReport;
use appserver_domain::clock::Stamp;
use appserver_domain::{IssuerName, Subject};

/// An upload that OSS reported. Whose it is comes from the claims alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ReportedUpload {
    pub(crate) claims: UploadClaims,
    pub(crate) bytes: u64,
    /// Without quotes.
    pub(crate) etag: String,
    /// What else the report says; nothing confirms it.
    pub(crate) details: BTreeMap<String, String>,
    pub(crate) reported_at: DateTime<Utc>,
    /// The id of the request that reported it.
    pub(crate) request_id: String,
    /// Whether the object was looked at.
    pub(crate) is_confirmed: bool,
    /// Whether this is the one report of its upload that is forwarded: that is not decided again.
    pub(crate) is_first: bool,
    /// Whether the audit has its line.
    pub(crate) is_recorded: bool,
}

/// The upload as it is kept: the claims, and what the report adds.
#[derive(Deserialize, Serialize)]
struct Record {
    claims: String,
    bytes: u64,
    etag: String,
    details: BTreeMap<String, String>,
    reported_at: DateTime<Utc>,
    request_id: String,
    is_confirmed: bool,
    is_first: bool,
    is_recorded: bool,
}

/// The body that the backend gets.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ForwardedUpload<'a> {
    event: &'static str,
    upload_id: String,
    client: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    grant: &'a str,
    bucket: &'a str,
    key: &'a str,
    bytes: u64,
    #[serde(rename = "ETag")]
    etag: &'a str,
    content_type: &'a str,
    reported_at: String,
    confirmed: bool,
    vars: &'a BTreeMap<String, String>,
    details: &'a BTreeMap<String, String>,
}

impl ReportedUpload {
    pub(super) fn new(
        claims: UploadClaims,
        report: UploadReport,
        request_id: &str,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            claims,
            bytes: report.bytes,
            etag: report.etag.trim_matches('"').to_owned(),
            details: report.details,
            reported_at: now.trunc_subsecs(0),
            request_id: request_id.to_owned(),
            is_confirmed: false,
            is_first: false,
            is_recorded: false,
        }
    }

    /// Identifies the report where it is kept. Any number of false reports can come before the true one, so what is kept of an
    /// upload that nothing confirms yet is one report, and the object is what [counts](Self::take_from).
    pub(super) fn delivery_id(&self) -> String {
        let id = self.claims.id;
        if self.is_first { id.to_string() } else { format!("{id}-unconfirmed") }
    }

    /// Makes this the report of the object that was looked at, whatever was reported.
    pub(super) fn take_from(&mut self, object: &ConfirmedObject) {
        if self.bytes != object.bytes || self.etag != object.etag {
            self.details.clear();
        }
        self.bytes = object.bytes;
        self.etag.clone_from(&object.etag);
    }

    /// The body that is forwarded.
    pub(super) fn to_body(&self) -> Vec<u8> {
        let Self { claims, bytes, etag, details, reported_at, .. } = self;
        let body = ForwardedUpload {
            event: "Uploaded",
            upload_id: claims.id.to_string(),
            client: claims.client.as_str(),
            issuer: claims.issuer.as_ref().map(IssuerName::as_str),
            subject: claims.subject.as_ref().map(Subject::as_str),
            grant: claims.grant.as_str(),
            bucket: claims.bucket.as_str(),
            key: &claims.key,
            bytes: *bytes,
            etag,
            content_type: &claims.content_type,
            reported_at: Stamp::of(*reported_at).as_str().to_owned(),
            confirmed: self.is_confirmed,
            vars: &claims.vars,
            details,
        };
        serde_json::to_vec(&body).expect("texts are plain JSON")
    }

    pub(super) fn to_json(&self) -> SecretSlice<u8> {
        let claims = self.claims.to_json();
        let claims = std::str::from_utf8(claims.expose_secret()).expect("JSON is UTF-8").to_owned();
        let record = Record {
            claims,
            bytes: self.bytes,
            etag: self.etag.clone(),
            details: self.details.clone(),
            reported_at: self.reported_at,
            request_id: self.request_id.clone(),
            is_confirmed: self.is_confirmed,
            is_first: self.is_first,
            is_recorded: self.is_recorded,
        };
        serde_json::to_vec(&record).expect("texts are plain JSON").into()
    }

    pub(super) fn from_json(json: &SecretSlice<u8>) -> Option<Self> {
        let record: Record = serde_json::from_slice(json.expose_secret()).ok()?;
        Some(Self {
            claims: UploadClaims::from_json(record.claims.as_bytes())?,
            bytes: record.bytes,
            etag: record.etag,
            details: record.details,
            reported_at: record.reported_at,
            request_id: record.request_id,
            is_confirmed: record.is_confirmed,
            is_first: record.is_first,
            is_recorded: record.is_recorded,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::callback::claims::UploadId;
    use crate::callback::claims::tests::{claims, now};

    pub(in crate::callback) fn upload() -> ReportedUpload {
        let report = UploadReport {
            bucket: "sample-bucket".to_owned(),
            key: "users/alice/cat.jpg".to_owned(),
            etag: "9A0364B9".to_owned(),
            bytes: 1024,
            content_type: "image/jpeg".to_owned(),
            upload: String::new(),
            vars: [("user".to_owned(), "alice".to_owned())].into(),
            details: [("imageInfo.height".to_owned(), "480".to_owned())].into(),
        };
        let id = "6894B13B-6D71-4EF5-88FA-F32781734A7F";
        ReportedUpload::new(claims(), report, id, now())
    }

    #[test]
    fn a_kept_upload_is_read_as_it_was_written() {
        let upload =
            ReportedUpload { is_confirmed: true, is_first: true, is_recorded: true, ..upload() };
        assert_eq!(ReportedUpload::from_json(&upload.to_json()), Some(upload));
        assert_eq!(ReportedUpload::from_json(&b"{}".to_vec().into()), None);
    }

    #[test]
    fn the_backend_gets_the_claims_and_what_was_confirmed() {
        let id = UploadId::for_tests("0123456789abcdef0123456789abcdef");
        let upload = upload();
        let upload = ReportedUpload {
            claims: UploadClaims { id, ..upload.claims.clone() },
            is_confirmed: true,
            ..upload
        };
        let body = String::from_utf8(upload.to_body()).unwrap();
        insta::assert_snapshot!(body, @r#"{"Event":"Uploaded","UploadId":"0123456789abcdef0123456789abcdef","Client":"photo-app","Issuer":"company","Subject":"alice","Grant":"photo-upload","Bucket":"sample-bucket","Key":"users/alice/cat.jpg","Bytes":1024,"ETag":"9A0364B9","ContentType":"image/jpeg","ReportedAt":"2016-01-13T14:02:37Z","Confirmed":true,"Vars":{"user":"alice"},"Details":{"imageInfo.height":"480"}}"#);
    }
}
