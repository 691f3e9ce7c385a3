//! AssumeRole.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::error::StsError;
use super::gateway::Gateway;
use super::parameter_rules::{is_external_id, is_role_arn, is_session_name, is_source_identity};
use super::params::Params;
use crate::ram::Session;
use crate::ram::{Policy, Principal, Request};

const DEFAULT_SECONDS: u32 = 3600;
/// "Must be smaller than 2048 bytes."
const POLICY_LIMIT_BYTES: usize = 2048;

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
    gateway: &Gateway,
    call: &AssumeRoleCall<'_>,
) -> Result<Map<String, Value>, StsError> {
    let RequestedSession {
        role_arn,
        session_name,
        duration_seconds,
        policy,
        external_id,
        source_identity,
    } = RequestedSession::read(call.params)?;

    let (account, arn) = match call.principal {
        Principal::Root(_) => return Err(StsError::RootAccount),
        Principal::User(user) => (user.account.clone(), user.arn.clone()),
        Principal::Session(session) => {
            let role = gateway.ram.roles.get(&session.role_arn).ok_or(StsError::NotAuthorized)?;
            (role.account.clone(), session.role_arn.clone())
        }
    };
    let mut request = Request::new("sts:AssumeRole", role_arn)
        .with("acs:CurrentTime", format_time(call.now))
        // The emulator listens on plain HTTP; the real STS on HTTPS.
        .with("acs:SecureTransport", "true")
        .with("acs:SourceIp", call.source_ip.clone());
    if let Some(external_id) = external_id {
        request = request.with("sts:ExternalId", external_id);
    }
    if !gateway.ram.permits(call.principal, &request) {
        return Err(StsError::NotAuthorized);
    }
    let role = gateway.ram.roles.get(role_arn).ok_or(StsError::RoleNotFound)?;
    if duration_seconds > role.max_session_duration.as_secs() {
        return Err(StsError::DurationSeconds);
    }
    if !role.trust.decide(&account, &arn, &request).is_allowed() {
        return Err(StsError::NotTrusted);
    }

    let (access_key_id, access_key_secret) = Session::new_access_key();
    let lifetime = call.scripted_lifetime.unwrap_or(TimeDelta::seconds(duration_seconds.into()));
    let session = Session {
        access_key_id,
        access_key_secret,
        role_arn: role_arn.to_owned(),
        session_name: session_name.to_owned(),
        policy: policy.map(str::to_owned),
        source_identity: source_identity.map(str::to_owned),
        expiration: (call.now + lifetime).trunc_subsecs(0),
    };
    let mut answer = Map::new();
    answer.insert(
        "AssumedRoleUser".to_owned(),
        json!({
            "Arn": format!("{role_arn}/{session_name}"),
            "AssumedRoleId": format!("{}:{session_name}", role.id),
        }),
    );
    answer.insert(
        "Credentials".to_owned(),
        json!({
            "AccessKeyId": session.access_key_id,
            "AccessKeySecret": session.access_key_secret.expose_secret(),
            "SecurityToken": gateway.token_key.seal(&session).expose_secret(),
            "Expiration": format_time(session.expiration),
        }),
    );
    if let Some(source_identity) = source_identity {
        answer.insert("SourceIdentity".to_owned(), source_identity.into());
    }
    Ok(answer)
}

/// The checked parameters of a request.
struct RequestedSession<'a> {
    role_arn: &'a str,
    session_name: &'a str,
    duration_seconds: u32,
    policy: Option<&'a str>,
    external_id: Option<&'a str>,
    source_identity: Option<&'a str>,
}

impl<'a> RequestedSession<'a> {
    fn read(params: &'a Params) -> Result<Self, StsError> {
        let role_arn = params.need("RoleArn")?;
        let session_name = params.need("RoleSessionName")?;
        let external_id = params.get("ExternalId");
        let source_identity = params.get("SourceIdentity");
        let well_formed = [
            ("RoleArn", is_role_arn(role_arn)),
            ("RoleSessionName", is_session_name(session_name)),
            ("ExternalId", external_id.is_none_or(is_external_id)),
            ("SourceIdentity", source_identity.is_none_or(is_source_identity)),
        ];
        if let Some((name, _)) = well_formed.into_iter().find(|(_, is_so)| !is_so) {
            return Err(StsError::WronglyFormed(name));
        }
        let duration_seconds = match params.get("DurationSeconds") {
            None => DEFAULT_SECONDS,
            Some(text) => text.parse().map_err(|_| StsError::DurationSeconds)?,
        };
        if duration_seconds < 900 {
            return Err(StsError::DurationSeconds);
        }
        let policy = params.get("Policy");
        if let Some(policy) = policy {
            if policy.len() >= POLICY_LIMIT_BYTES {
                return Err(StsError::PolicySize);
            }
            Policy::parse(policy).map_err(|_| StsError::PolicyGrammar)?;
        }
        Ok(Self { role_arn, session_name, duration_seconds, policy, external_id, source_identity })
    }
}

/// Exactly `YYYY-MM-DDTHH:MM:SSZ`: several SDKs can read nothing else.
fn format_time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
