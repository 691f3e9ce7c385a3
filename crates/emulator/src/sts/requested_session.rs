//! The parameters that AssumeRole and `AssumeRoleWithOIDC` share, and the session that they make.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::error::StsError;
use super::parameter_rules::{is_role_arn, is_session_name};
use crate::gateway::{Params, format_time};
use crate::ram::{Policy, Ram, Role, Session, TokenKey};

const DEFAULT_SECONDS: u32 = 3600;
/// "Must be smaller than 2048 bytes."
const POLICY_LIMIT_BYTES: usize = 2048;

/// The checked parameters of a request for a session.
pub(super) struct RequestedSession<'a> {
    pub(super) role_arn: &'a str,
    session_name: &'a str,
    duration_seconds: u32,
    policy: Option<&'a str>,
}

impl<'a> RequestedSession<'a> {
    pub(super) fn read(params: &'a Params) -> Result<Self, StsError> {
        let role_arn = params.need("RoleArn")?;
        let session_name = params.need("RoleSessionName")?;
        if !is_role_arn(role_arn) {
            return Err(StsError::WronglyFormed("RoleArn"));
        }
        if !is_session_name(session_name) {
            return Err(StsError::WronglyFormed("RoleSessionName"));
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
        Ok(Self { role_arn, session_name, duration_seconds, policy })
    }

    /// The role, if it exists and admits sessions as long as the requested one.
    pub(super) fn role<'r>(&self, ram: &'r Ram) -> Result<&'r Role, StsError> {
        let role = ram.roles.get(self.role_arn).ok_or(StsError::RoleNotFound)?;
        if self.duration_seconds > role.max_session_duration.as_secs() {
            return Err(StsError::DurationSeconds);
        }
        Ok(role)
    }

    /// The end of a session that begins now; a scripted lifetime takes the place of the requested one.
    pub(super) fn expiration(
        &self,
        now: DateTime<Utc>,
        scripted_lifetime: Option<TimeDelta>,
    ) -> DateTime<Utc> {
        let requested = TimeDelta::seconds(self.duration_seconds.into());
        (now + scripted_lifetime.unwrap_or(requested)).trunc_subsecs(0)
    }

    /// A new session with an AccessKey of its own.
    pub(super) fn session(
        &self,
        role: &Role,
        source_identity: Option<&str>,
        expiration: DateTime<Utc>,
    ) -> Session {
        let (access_key_id, access_key_secret) = Session::new_access_key();
        Session {
            access_key_id,
            access_key_secret,
            role_arn: self.role_arn.to_owned(),
            role_id: role.id.clone(),
            session_name: self.session_name.to_owned(),
            policy: self.policy.map(str::to_owned),
            source_identity: source_identity.map(str::to_owned),
            expiration,
        }
    }

    /// The members of the answer that describe the session.
    pub(super) fn answer(
        &self,
        role: &Role,
        session: &Session,
        key: &TokenKey,
    ) -> Map<String, Value> {
        let name = self.session_name;
        let mut answer = Map::new();
        answer.insert(
            "AssumedRoleUser".to_owned(),
            json!({
                "Arn": format!("{}/{name}", self.role_arn),
                "AssumedRoleId": format!("{}:{name}", role.id),
            }),
        );
        answer.insert(
            "Credentials".to_owned(),
            json!({
                "AccessKeyId": session.access_key_id,
                "AccessKeySecret": session.access_key_secret.expose_secret(),
                "SecurityToken": key.seal(session).expose_secret(),
                "Expiration": format_time(session.expiration),
            }),
        );
        if let Some(source_identity) = &session.source_identity {
            answer.insert("SourceIdentity".to_owned(), source_identity.as_str().into());
        }
        answer
    }
}
