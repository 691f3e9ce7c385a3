//! One parsed audit line.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The members of an audit line; unknown members are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry<'a> {
    pub(super) time: DateTime<Utc>,
    #[serde(borrow)]
    pub(super) request_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) event: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) decision: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) code: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) client: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) authenticated_by: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) issuer: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) grant: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) peer: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) address: Option<Cow<'a, str>>,
    /// The id of the ticket that was issued or presented.
    #[serde(borrow)]
    pub(super) ticket: Option<Cow<'a, str>>,
    /// The number of requests, if the line summarizes several.
    pub(super) count: Option<u64>,
    pub(super) last: Option<DateTime<Utc>>,
    #[serde(borrow)]
    pub(super) source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) reason: Option<Cow<'a, str>>,
    /// Of a changed grant: requests that only the new and only the old template allows.
    #[serde(borrow)]
    pub(super) also_allows: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) no_longer_allows: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) session_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) policy_sha256: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) policy: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) sts_access_key_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) sts_request_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) expiration: Option<Cow<'a, str>>,
    /// Of a signed form or URL, or of a reported upload: the object, and what may be done with it.
    #[serde(borrow)]
    pub(super) bucket: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) content_type: Option<Cow<'a, str>>,
    pub(super) max_bytes: Option<u64>,
    /// Of a reported upload.
    pub(super) bytes: Option<u64>,
    #[serde(borrow, rename = "ETag")]
    pub(super) etag: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) upload_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) expires_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) instance: Option<Cow<'a, str>>,
}

impl Entry<'_> {
    /// The user with its issuer: `alice of company`. Lines of older versions have no issuer.
    pub(super) fn user(&self) -> Option<String> {
        let subject = self.subject.as_deref()?;
        let issuer = self.issuer.as_deref().map(|issuer| format!(" of {issuer}"));
        Some(format!("{subject}{}", issuer.unwrap_or_default()))
    }

    /// The object and what may be done with it: `GET sample-bucket/users/alice/cat.jpg`, or `upload of …` with its limits.
    pub(super) fn object(&self) -> Option<String> {
        let key = self.key.as_deref()?;
        let name = format!("{}/{key}", self.bucket.as_deref().unwrap_or("-"));
        let mut object = match self.method.as_deref() {
            Some(method) => format!("{method} {name}"),
            None => format!("upload of {name}"),
        };
        let limits = self.content_type.as_deref().map(str::to_owned).into_iter();
        let limits = limits.chain(self.max_bytes.map(|bytes| format!("at most {bytes} bytes")));
        let limits = limits.chain(self.bytes.map(|bytes| format!("{bytes} bytes")));
        let limits = limits.chain(self.etag.as_deref().map(|etag| format!("ETag {etag}")));
        let limits: Vec<_> = limits.collect();
        if !limits.is_empty() {
            object.push_str(&format!(" ({})", limits.join(", ")));
        }
        if let Some(id) = &self.upload_id {
            object.push_str(&format!(" {id}"));
        }
        Some(object)
    }

    /// The caller's address, or else the peer's without its port, which differs for each connection.
    pub(super) fn address(&self) -> Option<&str> {
        self.address.as_deref().or_else(|| self.peer_address())
    }

    /// The caller's address, and the proxy that reported it if it is not the peer's own.
    pub(super) fn from(&self) -> Option<Cow<'_, str>> {
        let peer = self.peer.as_deref()?;
        Some(match &self.address {
            Some(address) if self.peer_address() != Some(address) => {
                format!("{address} (by {peer})").into()
            }
            _ => peer.into(),
        })
    }

    /// Why the decision is what it is: `Code: Reason`. A success without a reason needs none.
    pub(super) fn why(&self) -> Option<String> {
        match (&*self.code, self.reason.as_deref()) {
            ("Success", None) => None,
            (code, reason) => Some(format!("{code}: {}", reason.unwrap_or("-"))),
        }
    }

    fn peer_address(&self) -> Option<&str> {
        let peer = self.peer.as_deref()?;
        let bare = match peer.parse::<std::net::SocketAddr>() {
            Ok(_) => peer.rsplit_once(':').map_or(peer, |(address, _)| address),
            Err(_) => peer,
        };
        Some(bare.trim_matches(['[', ']']))
    }
}
