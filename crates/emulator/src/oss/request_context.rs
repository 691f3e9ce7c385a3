//! The context of one request: its signer, its time, and the access decision.

use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};

use super::access::{AccessDecision, decide_access};
use super::error::OssError;
use super::head::Head;
use super::identity::Identities;
use super::store::Bucket;
use crate::ram::{Principal, Request};

/// A request with a valid signature, or without one.
pub(crate) struct RequestContext<'a> {
    pub(crate) head: &'a Head,
    pub(crate) request_id: &'a str,
    pub(crate) now: DateTime<Utc>,
    pub(crate) source_ip: IpAddr,
    /// `None` if the request is unsigned.
    pub(crate) signer: Option<Signer>,
    /// The latest access decision, which goes out with the answer.
    pub(crate) decision: Option<AccessDecision>,
}

/// The authenticated signer of a request.
pub(crate) struct Signer {
    pub(crate) access_key_id: String,
    pub(crate) principal: Principal,
}

impl RequestContext<'_> {
    /// Requires access to the bucket or, with a key, to the object.
    pub(crate) fn require_access(
        &mut self,
        identities: &Identities,
        action: &str,
        bucket: &Bucket,
        key: Option<&str>,
    ) -> Result<(), OssError> {
        let below = key.map(|key| format!("/{key}")).unwrap_or_default();
        let resource =
            format!("acs:oss:{}:{}:{}{below}", bucket.region, bucket.account, bucket.name);
        let mut request = self.request(action, &resource);
        if ["oss:ListObjects", "oss:ListMultipartUploads"].contains(&action) {
            // Every listing has a prefix, perhaps an empty one.
            let prefix = self.head.query.get("prefix").unwrap_or_default();
            request = request.with("oss:Prefix", prefix);
            if let Some(delimiter) = self.head.query.get("delimiter") {
                request = request.with("oss:Delimiter", delimiter);
            }
        }
        let principal = self.signer.as_ref().map(|signer| &signer.principal);
        let policy = bucket.policy();
        let access = bucket.access(policy.as_deref());
        let decision = decide_access(&identities.ram.load(), principal, &request, Some(access));
        self.enforce(decision)
    }

    /// Requires access to the list of the account's buckets.
    pub(crate) fn require_list_access(
        &mut self,
        identities: &Identities,
        account: &str,
    ) -> Result<(), OssError> {
        let resource = format!("acs:oss:*:{account}:*");
        let request = self.request("oss:ListBuckets", &resource);
        let principal = self.signer.as_ref().map(|signer| &signer.principal);
        let decision = decide_access(&identities.ram.load(), principal, &request, None);
        self.enforce(decision)
    }

    fn enforce(&mut self, decision: AccessDecision) -> Result<(), OssError> {
        let denied = decision.denied();
        self.decision = Some(decision);
        match denied {
            Some(denied) => Err(OssError::AccessDenied(denied)),
            None => Ok(()),
        }
    }

    fn request<'r>(&self, action: &'r str, resource: &'r str) -> Request<'r> {
        let now = self.now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut request = Request::new(action, resource)
            .with("acs:CurrentTime", now)
            // The emulator listens on plain HTTP; the real OSS on HTTPS.
            .with("acs:SecureTransport", "true")
            .with("acs:SourceIp", self.source_ip.to_string());
        if let Some(agent) = self.head.header("user-agent") {
            request = request.with("acs:UserAgent", agent);
        }
        if let Some(signer) = &self.signer {
            request = request.with("acs:AccessId", signer.access_key_id.as_str());
        }
        request
    }
}
