//! What the hook gets, and the key under which its answer is shared.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use appserver_domain::SessionDuration;

/// A request that a grant allows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HookRequest<'a> {
    pub(crate) kind: HookKind,
    pub(crate) client: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<&'a str>,
    /// How the caller proved itself.
    pub(crate) authenticated_by: &'static str,
    pub(crate) grant: &'a str,
    pub(crate) parameters: &'a BTreeMap<String, String>,
    /// Of the token or of the signature, as the grant and the login allow it.
    pub(crate) duration_seconds: u32,
    pub(crate) address: &'a str,
    /// The listed ones that the request has, by their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(flatten)]
    pub(crate) object: Option<HookObject<'a>>,
}

/// What is requested.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HookKind {
    Token,
    Upload,
    Url,
}

/// The object for which something is signed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HookObject<'a> {
    pub(crate) key: &'a str,
    /// Of a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<&'static str>,
    /// The largest file that a form takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<&'a str>,
}

/// A request as it is sent.
#[derive(Debug)]
pub(super) struct PreparedCall {
    /// SHA-256 of all that is sent except the request id.
    pub(super) key: [u8; 32],
    pub(super) request_id: String,
    pub(super) body: Vec<u8>,
    pub(super) bounds: DurationBounds,
}

/// The durations that an answer may choose from.
#[derive(Clone, Copy, Debug)]
pub(super) struct DurationBounds {
    pub(super) shortest: u32,
    pub(super) requested: u32,
}

impl HookRequest<'_> {
    pub(super) fn prepare(&self, request_id: &str) -> PreparedCall {
        let shared = serde_json::to_string(self).expect("texts and numbers are plain JSON");
        let key = Sha256::digest(&shared).into();
        let members = shared.strip_prefix('{').expect("a struct is an object");
        let body = format!(r#"{{"RequestId":"{request_id}",{members}"#).into_bytes();
        let shortest = match self.kind {
            HookKind::Token => SessionDuration::SHORTEST_SECS,
            HookKind::Upload | HookKind::Url => 1,
        };
        let bounds = DurationBounds { shortest, requested: self.duration_seconds };
        PreparedCall { key, request_id: request_id.to_owned(), body, bounds }
    }
}
