//! What a form carries if its grant has a callback: where OSS reports the upload, and by what it is recognised then.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::auth::Caller;
use crate::callback::{CallbackConfig, UploadClaims, UploadId, VariableSource};
use crate::grant::Entitlement;
use crate::http::error::ApiError;
use appserver_domain::{Bucket, IssuerName, ObjectKey, Subject};

/// The callback of one form, and the caller's values of its variables.
pub(super) struct UploadCallback<'a> {
    config: &'a CallbackConfig,
    details: BTreeSet<String>,
    vars: BTreeMap<String, String>,
}

/// The upload that a form is for.
pub(super) struct SignedUpload<'a> {
    pub(super) id: UploadId,
    pub(super) caller: &'a Caller,
    pub(super) grant: &'a Entitlement,
    pub(super) bucket: &'a Bucket,
    pub(super) key: &'a ObjectKey,
    pub(super) content_type: &'a str,
    pub(super) max_bytes: u64,
    pub(super) signed_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
}

impl<'a> UploadCallback<'a> {
    /// `None` where the grant has no callback.
    pub(super) fn of(
        config: Option<&'a CallbackConfig>,
        grant: &Entitlement,
        caller: &Caller,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Option<Self>, ApiError> {
        let callback = config.and_then(|config| Some((config, config.of(&grant.name)?)));
        let Some((config, rules)) = callback else { return Ok(None) };
        let vars = rules.variables(|source| match source {
            VariableSource::Client => Some(caller.client().as_str()),
            VariableSource::Issuer => caller.issuer().map(IssuerName::as_str),
            VariableSource::Subject => caller.subject().map(Subject::as_str),
            VariableSource::Claim(name) => caller.claims().get(name.as_str()).map(String::as_str),
            VariableSource::Parameter(name) => parameters.get(name.as_str()).map(String::as_str),
        })?;
        Ok(Some(Self { config, details: rules.requested_details(), vars }))
    }

    /// The fields of the form.
    pub(super) fn fields(
        self,
        upload: &SignedUpload<'_>,
    ) -> Result<Vec<(String, String)>, ApiError> {
        let claims = UploadClaims {
            id: upload.id,
            client: upload.caller.client().clone(),
            issuer: upload.caller.issuer().cloned(),
            subject: upload.caller.subject().cloned(),
            grant: upload.grant.name.clone(),
            bucket: upload.bucket.clone(),
            key: upload.key.as_str().to_owned(),
            max_bytes: upload.max_bytes,
            content_type: upload.content_type.to_owned(),
            vars: self.vars,
            details: self.details,
            signed_at: upload.signed_at,
            expires_at: upload.expires_at,
        };
        let fields = self.config.form_fields(&claims);
        fields.map_err(|too_long| ApiError::invalid("Name", too_long.to_string()))
    }
}
