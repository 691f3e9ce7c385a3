//! What upload forms and URLs have in common: the check of the object, the grant's own session, and the end of what it
//! signs.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::hook_decision::{self, AllowedRequest};
use crate::audit::{ObjectRecord, SignatureRecord};
use crate::auth::Caller;
use crate::decision::{HookKind, HookObject};
use crate::grant::{Refusal, SigningGrant};
use crate::http::api::Api;
use crate::http::error::ApiError;
use crate::http::middleware::audit;
use crate::http::middleware::context::RequestContext;
use crate::sign::{Scope, SessionKey};
use crate::sts::{GrantSession, Region};
use crate::vend::{GrantCredentials, GrantHolder, VendError};
use appserver_domain::ObjectKey;

/// How long before the end of a session everything ends that it signed, because OSS checks both by its own clock.
const MARGIN: TimeDelta = TimeDelta::seconds(60);

/// A signature for one object.
pub(super) struct SignatureRequest<'a> {
    pub(super) grant: &'a SigningGrant<'a>,
    /// The session of the grant.
    pub(super) session: &'a GrantSession,
    pub(super) region: &'a Region,
    /// What the caller's own policy must allow.
    pub(super) action: &'static str,
    pub(super) key: &'a ObjectKey,
    pub(super) life_secs: u32,
    pub(super) parameters: &'a BTreeMap<String, String>,
    pub(super) object: ObjectRecord<'a>,
}

/// What signs, and until when.
pub(super) struct ObjectSignature {
    session: GrantSession,
    credentials: GrantCredentials,
    pub(super) scope: Scope,
    /// In whole seconds, by STS's clock.
    pub(super) expires_at: DateTime<Utc>,
    pub(super) lifetime_secs: u32,
}

impl SignatureRequest<'_> {
    /// Obtains the credentials that sign, if the caller's own policy allows the object.
    pub(super) async fn admit(
        &self,
        api: &Api,
        context: &RequestContext,
        caller: &Caller,
    ) -> Result<ObjectSignature, ApiError> {
        audit::note_object(api, context, &self.object);
        // OSS decides by the policy of the grant's session, which covers the objects of all its callers.
        if !self.grant.may_sign(self.action, self.key) {
            return Err(ApiError::ObjectNotAllowed { action: self.action });
        }
        audit::check(api)?;
        let entitlement = self.grant.entitlement();
        let life_secs = hook_decision::decide(context, caller, self.allowed()).await?;
        let holder = GrantHolder {
            client: caller.client().clone(),
            grant: entitlement.fingerprint,
            user: None,
        };
        let credentials = api
            .vendors
            .grant_credentials(&entitlement.upstream, &holder, self.session, context.deadline)
            .await?;
        let login = caller.until().map(|end| end - api.clock.now());
        let starts_at = credentials.now().trunc_subsecs(0);
        let life = TimeDelta::seconds(life_secs.into());
        let end = (starts_at + login.map_or(life, |left| left.min(life)))
            .min(credentials.expires_at() - MARGIN)
            .trunc_subsecs(0);
        let lifetime_secs = u32::try_from((end - starts_at).num_seconds()).unwrap_or_default();
        if lifetime_secs == 0 {
            return Err(if login.is_some_and(|left| left < TimeDelta::seconds(1)) {
                Refusal::LoginEnds.into()
            } else {
                VendError::ShortSession.into()
            });
        }
        Ok(ObjectSignature {
            session: self.session.clone(),
            credentials,
            scope: Scope::new(starts_at, self.region),
            expires_at: end,
            lifetime_secs,
        })
    }
}

impl SignatureRequest<'_> {
    fn allowed(&self) -> AllowedRequest<'_> {
        let ObjectRecord { method, content_type, max_bytes, .. } = self.object;
        let (key, bytes) = (self.key.as_str(), max_bytes);
        AllowedRequest {
            kind: if method.is_some() { HookKind::Url } else { HookKind::Upload },
            grant: &self.grant.entitlement().name,
            parameters: self.parameters,
            duration_secs: self.life_secs,
            object: Some(HookObject { key, method, bytes, content_type }),
        }
    }
}

impl ObjectSignature {
    /// The time of signing by STS's clock, in whole seconds.
    pub(super) fn starts_at(&self) -> DateTime<Utc> {
        self.expires_at - TimeDelta::seconds(self.lifetime_secs.into())
    }

    pub(super) fn key(&self) -> SessionKey<'_> {
        SessionKey {
            access_key_id: self.credentials.access_key_id(),
            secret: self.credentials.signing_secret(),
            security_token: self.credentials.security_token(),
        }
    }

    pub(super) fn record(&self) -> SignatureRecord<'_> {
        let session = self.session.role_session();
        SignatureRecord {
            role: &session.role,
            session_name: &session.name,
            access_key_id: self.credentials.access_key_id(),
            source: self.credentials.source(),
            expires_at: self.expires_at,
        }
    }
}
