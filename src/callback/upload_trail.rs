//! The audit lines of reported uploads: each says how far the report of one upload came.

use std::fmt::Display;

use super::outcome::Obstacle;
use super::upload::ReportedUpload;
use crate::audit::{Audit, AuditUnavailable, UploadDecision, UploadedRecord};
use appserver_domain::clock::Clock;
use appserver_domain::{IssuerName, Subject};

const SUCCESS: &str = "Success";
/// The code of an upload that the backend does not have.
const NOT_FORWARDED: &str = "NotForwarded";

/// Writes the lines.
#[derive(Debug)]
pub(super) struct UploadTrail {
    audit: Audit,
    clock: Clock,
}

/// Why a kept report is never forwarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum DropReason {
    #[error("it was sent again for a day")]
    Old,
    #[error("too many reports are kept")]
    Full,
    #[error("the bucket has another object than the reported one")]
    OtherObject,
    #[error("the process stops, and nothing outside of it keeps the report")]
    Stopped,
}

impl UploadTrail {
    pub(super) fn new(audit: Audit, clock: Clock) -> Self {
        Self { audit, clock }
    }

    /// The upload is about to be forwarded, which needs its line. `confirms` is whether its object was looked at.
    pub(super) async fn forwarding(
        &self,
        upload: &ReportedUpload,
        confirms: bool,
    ) -> Result<(), AuditUnavailable> {
        let Some(trail) = self.audit.trail() else { return Ok(()) };
        let decision = if confirms { UploadDecision::Confirmed } else { UploadDecision::Reported };
        let id = upload.claims.id.to_string();
        trail.uploaded(&self.record(upload, &id, decision, SUCCESS, None)).await
    }

    pub(super) fn delivered(&self, upload: &ReportedUpload) {
        self.step(upload, UploadDecision::Delivered, SUCCESS, None);
    }

    pub(super) fn kept(&self, upload: &ReportedUpload, obstacle: Obstacle) {
        self.step(upload, UploadDecision::Kept, NOT_FORWARDED, Some(&obstacle));
    }

    pub(super) fn dropped(&self, upload: &ReportedUpload, reason: DropReason) {
        self.step(upload, UploadDecision::Dropped, NOT_FORWARDED, Some(&reason));
    }

    fn step(
        &self,
        upload: &ReportedUpload,
        decision: UploadDecision,
        code: &'static str,
        reason: Option<&dyn Display>,
    ) {
        let Some(trail) = self.audit.trail() else { return };
        let id = upload.claims.id.to_string();
        let reason = reason.map(ToString::to_string);
        trail.upload_step(&self.record(upload, &id, decision, code, reason.as_deref()));
    }

    fn record<'a>(
        &self,
        upload: &'a ReportedUpload,
        upload_id: &'a str,
        decision: UploadDecision,
        code: &'static str,
        reason: Option<&'a str>,
    ) -> UploadedRecord<'a> {
        let ReportedUpload { claims, bytes, etag, request_id, .. } = upload;
        UploadedRecord {
            time: self.clock.now(),
            request_id,
            event: "Uploaded",
            decision,
            code,
            reason,
            client: claims.client.as_str(),
            grant: claims.grant.as_str(),
            issuer: claims.issuer.as_ref().map(IssuerName::as_str),
            subject: claims.subject.as_ref().map(Subject::as_str),
            upload_id,
            bucket: claims.bucket.as_str(),
            key: &claims.key,
            content_type: &claims.content_type,
            bytes: *bytes,
            etag,
        }
    }
}
