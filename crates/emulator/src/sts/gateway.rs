//! The checks before every action, in the real gateway's order: parameters, version, time, AccessKey, signature, nonce.

use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::acs3::Acs3;
use super::error::StsError;
use super::nonces::Nonces;
use super::params::Params;
use super::rpc_signature;
use crate::ram::{Principal, Ram};
use crate::ram::{Session, TokenKey, TokenProblem};

/// The accepted difference of a timestamp from now, either way. (The current documentation says 31 minutes in all.)
const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// The actions of the emulated STS, with the authenticated callers of those that are signed.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    AssumeRole(Principal),
    /// Unsigned: the action authenticates the call by its token.
    AssumeRoleWithOidc,
    GetCallerIdentity(Principal),
}

/// The parameters that every call needs, in the order of the checks.
const MANDATORY: [&str; 5] = ["Action", "Version", "AccessKeyId", "SignatureNonce", "Timestamp"];
/// The same, with those of an RPC signature.
const MANDATORY_IN_RPC: [&str; 8] = [
    "Action",
    "Version",
    "AccessKeyId",
    "SignatureMethod",
    "SignatureVersion",
    "SignatureNonce",
    "Timestamp",
    "Signature",
];

/// How a call is signed.
pub(crate) enum Proof<'a> {
    /// RPC signature 1.0, of the HTTP method and all parameters.
    Rpc {
        method: &'a str,
    },
    Acs3(&'a Acs3),
}

/// Authenticates calls before the actions run.
pub(crate) struct Gateway {
    pub(crate) ram: Arc<Ram>,
    pub(crate) token_key: TokenKey,
    pub(crate) nonces: Nonces,
}

impl Gateway {
    /// The action and its authenticated caller. The action checks its own parameters later.
    pub(crate) fn admit(
        &self,
        proof: &Proof<'_>,
        params: &Params,
        now: DateTime<Utc>,
    ) -> Result<Action, StsError> {
        if params.get("Action") == Some("AssumeRoleWithOIDC") {
            // Some SDKs send no nonce, and a signature would have no key.
            require_version(params)?;
            require_recent(params, now)?;
            return Ok(Action::AssumeRoleWithOidc);
        }
        let mandatory: &[&'static str] = match proof {
            Proof::Rpc { .. } => &MANDATORY_IN_RPC,
            Proof::Acs3(_) => &MANDATORY,
        };
        for name in mandatory {
            params.need(name)?;
        }
        let action = match params.need("Action")? {
            "AssumeRole" => Action::AssumeRole,
            "GetCallerIdentity" => Action::GetCallerIdentity,
            _ => return Err(StsError::Api),
        };
        require_version(params)?;
        Ok(action(self.authenticate(proof, params, now)?))
    }

    /// The principal whose signature is valid.
    fn authenticate(
        &self,
        proof: &Proof<'_>,
        params: &Params,
        now: DateTime<Utc>,
    ) -> Result<Principal, StsError> {
        let timestamp = require_recent(params, now)?;
        let id = params.need("AccessKeyId")?;
        let (principal, secret) = self.find(id, params.get("SecurityToken"), now)?;
        match proof {
            Proof::Rpc { method } => {
                if params.need("SignatureMethod")? != "HMAC-SHA1"
                    || params.need("SignatureVersion")? != "1.0"
                    || params.get("SignatureType").is_some()
                {
                    return Err(StsError::IncompleteSignature);
                }
                rpc_signature::verify(method, params, &secret)?;
            }
            Proof::Acs3(acs3) => acs3.verify(&secret)?,
        }
        let nonce = params.need("SignatureNonce")?;
        if !self.nonces.is_new(id, nonce, now, timestamp + WINDOW) {
            return Err(StsError::NonceUsed);
        }
        Ok(principal)
    }

    /// The owner of the AccessKey, and the secret that the signature must match.
    fn find(
        &self,
        id: &str,
        token: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(Principal, SecretString), StsError> {
        if id.starts_with("STS.") {
            let token = token.ok_or(StsError::Missing("SecurityToken"))?;
            let session: Session =
                self.token_key.open(token, now).map_err(|problem| match problem {
                    TokenProblem::Malformed => StsError::TokenMalformed,
                    TokenProblem::Expired { .. } => StsError::TokenExpired,
                })?;
            if session.access_key_id != id {
                return Err(StsError::TokenOfAnotherKey);
            }
            let secret = session.access_key_secret.clone();
            return Ok((Principal::Session(session), secret));
        }
        let key = self.ram.keys.get(id).ok_or(StsError::AccessKeyNotFound)?;
        if !key.active {
            return Err(StsError::AccessKeyInactive);
        }
        if token.is_some() {
            return Err(StsError::TokenOfAnotherKey);
        }
        Ok((key.owner.clone().into(), key.secret.clone()))
    }
}

fn require_version(params: &Params) -> Result<(), StsError> {
    if params.need("Version")? == "2015-04-01" { Ok(()) } else { Err(StsError::Version) }
}

/// The call's time, if it is near enough to now.
fn require_recent(params: &Params, now: DateTime<Utc>) -> Result<DateTime<Utc>, StsError> {
    let timestamp = timestamp(params.need("Timestamp")?).ok_or(StsError::TimestampFormat)?;
    if (now - timestamp).abs() > WINDOW {
        return Err(StsError::TimestampExpired);
    }
    Ok(timestamp)
}

/// `YYYY-MM-DDTHH:MM:SSZ`, with or without a fraction of a second.
fn timestamp(text: &str) -> Option<DateTime<Utc>> {
    const SECONDS: &str = "%Y-%m-%dT%H:%M:%S";
    let parsed = NaiveDateTime::parse_from_str(text, &format!("{SECONDS}%.fZ")).ok()?.and_utc();
    // chrono also accepts numbers without leading zeros.
    text.starts_with(&parsed.format(SECONDS).to_string()).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_may_have_milliseconds_and_nothing_else() {
        for good in ["2016-01-13T14:02:37Z", "2016-01-13T14:02:37.123Z", "2016-01-13T14:02:37.000Z"]
        {
            assert!(timestamp(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "2016-1-13T14:02:37Z",
            "2016-01-13 14:02:37Z",
            "2016-01-13T14:02:37",
            "2016-01-13T14:02:37+08:00",
            "2016-01-13T14:02Z",
            "Wed, 13 Jan 2016 14:02:37 GMT",
            "1452693757",
        ] {
            assert!(timestamp(bad).is_none(), "{bad}");
        }
    }
}
