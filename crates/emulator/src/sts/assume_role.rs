//! AssumeRole.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::error::StsError;
use super::parameter_rules::{is_external_id, is_source_identity};
use super::requested_session::RequestedSession;
use crate::gateway::{Params, format_time};
use crate::ram::{Principal, Ram, Request, TokenKey, Trustee};

/// One call, and its circumstances.
pub(crate) struct AssumeRoleCall<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) params: &'a Params,
    pub(crate) now: DateTime<Utc>,
    pub(crate) source_ip: String,
    /// A scripted lifetime in place of the requested one.
    pub(crate) scripted_lifetime: Option<TimeDelta>,
}

/// New credentials of a role, if the caller's own policies and the role's trust policy both allow it.
pub(crate) fn assume_role(
    ram: &Ram,
    token_key: &TokenKey,
    call: &AssumeRoleCall<'_>,
) -> Result<Map<String, Value>, StsError> {
    let requested = RequestedSession::read(call.params)?;
    let external_id = call.params.get("ExternalId");
    let source_identity = call.params.get("SourceIdentity");
    if !external_id.is_none_or(is_external_id) {
        return Err(StsError::WronglyFormed("ExternalId"));
    }
    if !source_identity.is_none_or(is_source_identity) {
        return Err(StsError::WronglyFormed("SourceIdentity"));
    }

    let user_arn;
    let (account, arn) = match call.principal {
        Principal::Root(_) => return Err(StsError::RootAccount),
        Principal::User(user) => {
            user_arn = user.arn();
            (user.account.as_str(), user_arn.as_str())
        }
        Principal::Session(session) => {
            let role = ram.role_of(session).ok_or(StsError::NotAuthorized)?;
            (role.account.as_str(), session.role_arn.as_str())
        }
    };
    let mut request = Request::new("sts:AssumeRole", requested.role_arn)
        .with("acs:CurrentTime", format_time(call.now))
        // The emulator listens on plain HTTP; the real STS on HTTPS.
        .with("acs:SecureTransport", "true")
        .with("acs:SourceIp", call.source_ip.clone());
    if let Some(external_id) = external_id {
        request = request.with("sts:ExternalId", external_id);
    }
    if !ram.permits(call.principal, &request) {
        return Err(StsError::NotAuthorized);
    }
    let role = requested.role(ram)?;
    if !role.trust.parsed().decide(Trustee::Identity { account, arn }, &request).is_allowed() {
        return Err(StsError::NotTrusted);
    }

    // A chain of roles keeps the source identity of its first session.
    let source_identity = match call.principal {
        Principal::Session(session) => session.source_identity.as_deref().or(source_identity),
        Principal::Root(_) | Principal::User(_) => source_identity,
    };
    let expiration = requested.expiration(call.now, call.scripted_lifetime);
    let session = requested.session(role, source_identity, expiration);
    Ok(requested.answer(role, &session, token_key))
}
