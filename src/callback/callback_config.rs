//! The callbacks of the active configuration: what they need, and the proof that a request is one of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Client;
use secrecy::SecretString;
use tokio::time::Instant;

use super::callback_rules::CallbackRules;
use super::claims::{ClaimsSeal, ClaimsTooLong, UploadClaims};
use super::confirm::Confirmation;
use super::error::{CallbackError, CallbackRefusal};
use super::forward::CONNECT_TIMEOUT;
use super::key_cache::{KeyCache, KeyError};
use super::key_url::KeySource;
use super::report::{UPLOAD_VARIABLE, UploadReport};
use super::signature::SignedParts;
use super::upload::ReportedUpload;
use crate::outbound::Egress;
use appserver_domain::GrantName;

/// The time of all that is done before the upload's grant, and with it its own deadline, is known.
const MAX_DEADLINE: Duration = Duration::from_secs(4);
/// The callbacks of all grants, as the active configuration has them.
#[derive(Debug)]
pub(crate) struct CallbackConfig {
    seal: ClaimsSeal,
    /// What OSS requests, and the path of it that OSS signs.
    url: String,
    path: String,
    keys: Arc<KeyCache>,
    pub(super) to_oss: Client,
    pub(super) to_backends: Client,
    pub(super) grants: HashMap<GrantName, GrantCallback>,
}

/// The callback of one grant.
#[derive(Debug)]
pub(crate) struct GrantCallback {
    pub(crate) rules: CallbackRules,
    /// Signs what is forwarded.
    pub(crate) secret: SecretString,
    pub(crate) confirmation: Confirmation,
    /// The longest life of its forms.
    pub(crate) longest_form: TimeDelta,
}

/// The system's certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("TLS to OSS and the backends of uploads cannot be set up")]
pub(crate) struct CallbackTlsError(#[source] reqwest::Error);

/// A request for the callback's route.
#[derive(Debug)]
pub(crate) struct ReceivedCallback<'a> {
    pub(crate) request_id: &'a str,
    /// `None` unless the header is there once.
    pub(crate) authorization: Option<&'a [u8]>,
    /// `x-oss-pub-key-url`; the same.
    pub(crate) key_url: Option<&'a [u8]>,
    pub(crate) query: Option<&'a str>,
    pub(crate) body: Bytes,
    pub(crate) received_at: Instant,
}

impl CallbackConfig {
    /// `base` is the public URL. Fetched keys of the configuration `before` are kept if they have the same source.
    pub(crate) fn new(
        seal: ClaimsSeal,
        base: &str,
        route: &str,
        source: KeySource,
        grants: HashMap<GrantName, GrantCallback>,
        egress: &Egress,
        before: Option<&Self>,
    ) -> Result<Self, CallbackTlsError> {
        let built = |client: reqwest::ClientBuilder| {
            client.connect_timeout(CONNECT_TIMEOUT).build().map_err(CallbackTlsError)
        };
        let is_remote = source == KeySource::Oss;
        let to_oss = built(egress.client(is_remote))?;
        let known = before.filter(|before| *before.keys.source() == source);
        let keys = match known {
            Some(before) => Arc::clone(&before.keys),
            None => Arc::new(KeyCache::new(source, to_oss.clone())),
        };
        // Backends are the operator's own: no proxy stands before them.
        let verifies_tls = grants.values().any(|grant| grant.rules.forward.is_encrypted());
        let to_backends = built(egress.direct().client(verifies_tls))?;
        let url = format!("{base}{route}");
        let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        let path = format!("/{}", path.map_or("", |(_, path)| path));
        Ok(Self { seal, url, path, keys, to_oss, to_backends, grants })
    }

    /// The longest life of any form with a callback.
    pub(super) fn longest_form(&self) -> TimeDelta {
        self.grants.values().map(|grant| grant.longest_form).max().unwrap_or_default()
    }

    /// The callback of a grant, if it has one.
    pub(crate) fn of(&self, grant: &GrantName) -> Option<&CallbackRules> {
        Some(&self.grants.get(grant)?.rules)
    }

    /// The fields of a callback for the form of this upload; none if its grant has no callback.
    pub(crate) fn form_fields(
        &self,
        claims: &UploadClaims,
    ) -> Result<Vec<(String, String)>, ClaimsTooLong> {
        let Some(rules) = self.of(&claims.grant) else { return Ok(Vec::new()) };
        let own = [
            ("callback".to_owned(), rules.callback_field(&self.url)),
            (UPLOAD_VARIABLE.to_owned(), self.seal.seal(claims)?),
        ];
        let vars = claims.vars.iter().map(|(name, value)| (format!("x:{name}"), value.clone()));
        Ok(own.into_iter().chain(vars).collect())
    }

    /// The proven upload that a request reports.
    pub(super) async fn verify(
        &self,
        received: &ReceivedCallback<'_>,
        now: DateTime<Utc>,
    ) -> Result<ReportedUpload, CallbackError> {
        use CallbackError::Refused;
        let refused = |refusal| Refused(refusal);
        let missing = |name| refused(CallbackRefusal::Header(name));
        let key_url = received.key_url.ok_or_else(|| missing("x-oss-pub-key-url"))?;
        let authorization = received.authorization.ok_or_else(|| missing("Authorization"))?;
        let name = self
            .keys
            .source()
            .parse(key_url)
            .map_err(|problem| refused(CallbackRefusal::KeyUrl(problem)))?;
        let deadline = received.received_at + MAX_DEADLINE;
        let key = self.keys.key(name, deadline).await.map_err(|error| match error {
            KeyError::Status(403 | 404) | KeyError::Invalid(_) => {
                refused(CallbackRefusal::NoKey(error))
            }
            error => CallbackError::KeyUnavailable(error),
        })?;
        let parts = SignedParts { path: &self.path, query: received.query, body: &received.body };
        if !key.verifies(authorization, &parts) {
            return Err(refused(CallbackRefusal::Signature));
        }
        let report = UploadReport::parse(&received.body)
            .map_err(|problem| refused(CallbackRefusal::Report(problem)))?;
        let claims = self
            .seal
            .open(&report.upload, now)
            .map_err(|problem| refused(CallbackRefusal::Claims(problem)))?;
        report
            .agree(&claims)
            .map_err(|contradiction| refused(CallbackRefusal::Contradicts(contradiction)))?;
        Ok(ReportedUpload::new(claims, report, received.request_id, now))
    }
}
