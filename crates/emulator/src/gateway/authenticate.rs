//! The checks before every action, in the real gateway's order: parameters, version, time, AccessKey, signature, nonce.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::acs3::Acs3;
use super::error::GatewayError;
use super::nonces::Nonces;
use super::params::Params;
use super::product::Product;
use super::rpc_signature;
use crate::ram::{Principal, Session, SharedRam, TokenKey, TokenProblem};

/// The accepted difference of a timestamp from now, either way. (The current documentation says 31 minutes in all.)
const WINDOW: TimeDelta = TimeDelta::minutes(15);

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
    pub(crate) ram: Arc<SharedRam>,
    pub(crate) token_key: TokenKey,
    pub(crate) nonces: Nonces,
}

impl Gateway {
    /// The authenticated caller of an action that the product has, if its calls are signed. The action checks its own parameters
    /// later.
    pub(crate) fn admit(
        &self,
        product: &impl Product,
        proof: &Proof<'_>,
        params: &Params,
        now: DateTime<Utc>,
        source_ip: IpAddr,
    ) -> Result<Option<Principal>, GatewayError> {
        if let Some(action) = params.get("Action").filter(|action| !product.is_signed(action)) {
            // Some SDKs send no nonce, and a signature would have no key.
            product.check(action, params.need("Version")?)?;
            require_recent(params, now)?;
            return Ok(None);
        }
        let mandatory: &[&'static str] = match proof {
            Proof::Rpc { .. } => &MANDATORY_IN_RPC,
            Proof::Acs3(_) => &MANDATORY,
        };
        for name in mandatory {
            params.need(name)?;
        }
        product.check(params.need("Action")?, params.need("Version")?)?;
        self.authenticate(proof, params, now, source_ip).map(Some)
    }

    /// The principal whose signature is valid.
    fn authenticate(
        &self,
        proof: &Proof<'_>,
        params: &Params,
        now: DateTime<Utc>,
        source_ip: IpAddr,
    ) -> Result<Principal, GatewayError> {
        let timestamp = require_recent(params, now)?;
        let id = params.need("AccessKeyId")?;
        let (principal, secret) = self.find(id, params.get("SecurityToken"), now, source_ip)?;
        match proof {
            Proof::Rpc { method } => {
                if params.need("SignatureMethod")? != "HMAC-SHA1"
                    || params.need("SignatureVersion")? != "1.0"
                    || params.get("SignatureType").is_some()
                {
                    return Err(GatewayError::IncompleteSignature);
                }
                rpc_signature::verify(method, params, &secret)?;
            }
            Proof::Acs3(acs3) => acs3.verify(&secret)?,
        }
        let nonce = params.need("SignatureNonce")?;
        if !self.nonces.is_new(id, nonce, now, timestamp + WINDOW) {
            return Err(GatewayError::NonceUsed);
        }
        Ok(principal)
    }

    /// The owner of the AccessKey, and the secret that the signature must match.
    fn find(
        &self,
        id: &str,
        token: Option<&str>,
        now: DateTime<Utc>,
        source_ip: IpAddr,
    ) -> Result<(Principal, SecretString), GatewayError> {
        if id.starts_with("STS.") {
            let token = token.ok_or(GatewayError::Missing("SecurityToken"))?;
            let session: Session =
                self.token_key.open(token, now).map_err(|problem| match problem {
                    TokenProblem::Malformed => GatewayError::TokenMalformed,
                    TokenProblem::Expired { .. } => GatewayError::TokenExpired,
                })?;
            if session.access_key_id != id {
                return Err(GatewayError::TokenOfAnotherKey);
            }
            let secret = session.access_key_secret.clone();
            return Ok((Principal::Session(session), secret));
        }
        let ram = self.ram.load();
        let (key, principal) = ram.key(id).ok_or(GatewayError::AccessKeyNotFound)?;
        if !key.active {
            return Err(GatewayError::AccessKeyInactive);
        }
        if token.is_some() {
            return Err(GatewayError::TokenOfAnotherKey);
        }
        if !key.admits(source_ip) {
            return Err(GatewayError::AccessKeyElsewhere);
        }
        Ok((principal, key.secret.clone()))
    }
}

/// The call's time, if it is near enough to now.
fn require_recent(params: &Params, now: DateTime<Utc>) -> Result<DateTime<Utc>, GatewayError> {
    let timestamp = timestamp(params.need("Timestamp")?).ok_or(GatewayError::TimestampFormat)?;
    if (now - timestamp).abs() > WINDOW {
        return Err(GatewayError::TimestampExpired);
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
