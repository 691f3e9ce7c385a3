//! One request on its way through: who asks, when, and what was decided.

use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};

use super::access::{Verdict, judge};
use super::error::OssError;
use super::head::Head;
use super::identity::Identities;
use super::store::Bucket;
use crate::ram::{Principal, Request};

/// A request whose signature was verified, or that has none.
pub(crate) struct RequestContext<'a> {
    pub(crate) head: &'a Head,
    pub(crate) now: DateTime<Utc>,
    pub(crate) source_ip: IpAddr,
    /// Nobody, if the request is not signed.
    pub(crate) signer: Option<Signer>,
    /// The latest decision: the one that answers the request.
    pub(crate) verdict: Option<Verdict>,
}

/// Who signed.
pub(crate) struct Signer {
    pub(crate) access_key_id: String,
    pub(crate) principal: Principal,
}

impl RequestContext<'_> {
    /// Lets through who may do this to the bucket or, with a key, to the object.
    pub(crate) fn demand(
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
            // Every listing has a prefix, if only an empty one.
            let prefix = self.head.query.get("prefix").unwrap_or_default();
            request = request.with("oss:Prefix", prefix);
            if let Some(delimiter) = self.head.query.get("delimiter") {
                request = request.with("oss:Delimiter", delimiter);
            }
        }
        let principal = self.signer.as_ref().map(|signer| &signer.principal);
        let verdict = judge(&identities.ram, principal, &request, Some(bucket.guarded()));
        self.abide_by(verdict)
    }

    /// Lets through who may list the buckets of their account.
    pub(crate) fn demand_buckets(
        &mut self,
        identities: &Identities,
        account: &str,
    ) -> Result<(), OssError> {
        let resource = format!("acs:oss:*:{account}:*");
        let request = self.request("oss:ListBuckets", &resource);
        let principal = self.signer.as_ref().map(|signer| &signer.principal);
        let verdict = judge(&identities.ram, principal, &request, None);
        self.abide_by(verdict)
    }

    fn abide_by(&mut self, verdict: Verdict) -> Result<(), OssError> {
        let denied = verdict.denied();
        self.verdict = Some(verdict);
        match denied {
            Some(denied) => Err(OssError::AccessDenied(denied)),
            None => Ok(()),
        }
    }

    fn request<'r>(&self, action: &'r str, resource: &'r str) -> Request<'r> {
        let now = self.now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut request = Request::new(action, resource)
            .with("acs:CurrentTime", now)
            // Plain HTTP is the emulator's; what it stands for is reached by HTTPS.
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
