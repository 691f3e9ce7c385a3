//! `AssumeRoleWithOIDC`: a token of an OIDC provider in place of a signature.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::error::StsError;
use super::oidc_token::{OidcProblem, OidcToken};
use super::requested_session::RequestedSession;
use crate::gateway::{Params, format_time};
use crate::ram::{IssuerKeys, Ram, Request, TokenKey, Trustee};

/// One call, and its circumstances.
pub(crate) struct WithOidcCall<'a> {
    pub(crate) params: &'a Params,
    pub(crate) issuer_keys: &'a IssuerKeys,
    pub(crate) now: DateTime<Utc>,
    pub(crate) source_ip: String,
    /// A scripted lifetime in place of the requested one.
    pub(crate) scripted_lifetime: Option<TimeDelta>,
}

/// New credentials of a role, if its trust policy names the provider and its conditions accept the token.
///
/// Not documented, and chosen here: the order of the checks, the error of a token of another issuer, and that `oidc:aud` is the first
/// audience of the token that the provider accepts.
pub(crate) fn assume_role_with_oidc(
    ram: &Ram,
    token_key: &TokenKey,
    call: &WithOidcCall<'_>,
) -> Result<Map<String, Value>, StsError> {
    let requested = RequestedSession::read(call.params)?;
    let provider_arn = call.params.need("OIDCProviderArn")?;
    let jwt = call.params.get("OIDCToken").ok_or(OidcProblem::NoToken)?;
    let provider = ram.oidc_providers.get(provider_arn).ok_or(OidcProblem::UnknownProvider)?;
    let keys = call.issuer_keys.of(&provider.issuer).ok_or(OidcProblem::NoKeys)?;
    let token = OidcToken::verify(jwt, &provider.issuer, keys, call.now)?;
    let audience = provider.client_ids.iter().find(|id| token.audiences.contains(id));
    let audience = audience.ok_or(OidcProblem::Audience)?;

    let role = requested.role(ram)?;
    let request = Request::new("sts:AssumeRole", requested.role_arn)
        .with("acs:CurrentTime", format_time(call.now))
        // The emulator listens on plain HTTP; the real STS on HTTPS.
        .with("acs:SecureTransport", "true")
        .with("acs:SourceIp", call.source_ip.clone())
        .with("oidc:iss", token.issuer.as_str())
        .with("oidc:aud", audience.as_str())
        .with("oidc:sub", token.subject.as_str());
    if !role.trust.parsed().decide(Trustee::Provider(provider_arn), &request).is_allowed() {
        return Err(OidcProblem::NotTrusted.into());
    }

    let expiration = requested.expiration(call.now, call.scripted_lifetime);
    let session = requested.session(role, None, expiration);
    let mut answer = requested.answer(role, &session, token_key);
    answer.insert(
        "OIDCTokenInfo".to_owned(),
        json!({
            "Subject": token.subject,
            "Issuer": token.issuer,
            "ClientIds": token.audiences.join(","),
            "ExpirationTime": format_time(token.expiration),
            "IssuanceTime": format_time(token.issued_at),
            "VerificationInfo": "Success",
        }),
    );
    Ok(answer)
}
