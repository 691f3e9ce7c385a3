//! Finds the owner of an AccessKey, and the secret that the signature must match.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::error::OssError;
use crate::ram::{Principal, SharedRam, TokenKey, TokenProblem};

/// How long an expired session is still reported as expired. The documentation says only that a long-expired one is unknown.
const EXPIRED_KNOWN_FOR: TimeDelta = TimeDelta::hours(24);

/// The AccessKeys and the token key.
pub(crate) struct Identities {
    pub(crate) ram: Arc<SharedRam>,
    pub(crate) token_key: TokenKey,
}

impl Identities {
    /// The owner of the AccessKey and its secret. A token must be the one issued with the key.
    pub(crate) fn find(
        &self,
        id: &str,
        token: Option<&str>,
        now: DateTime<Utc>,
        source_ip: IpAddr,
    ) -> Result<(Principal, SecretString), OssError> {
        let session = token.map(|token| self.token_key.open(token, now));
        let session = match session {
            None => None,
            Some(Ok(session)) => Some(session),
            Some(Err(TokenProblem::Malformed)) => return Err(OssError::TokenInvalid),
            Some(Err(TokenProblem::Expired { at })) if now - at > EXPIRED_KNOWN_FOR => {
                return Err(OssError::AccessKeyNotFound);
            }
            Some(Err(TokenProblem::Expired { .. })) => return Err(OssError::TokenExpired),
        };
        match session {
            Some(session) if session.access_key_id == id => {
                let secret = session.access_key_secret.clone();
                Ok((Principal::Session(session), secret))
            }
            Some(_) => Err(OssError::TokenOfAnotherKey),
            // A session's AccessKey without its token is not found.
            None => {
                let ram = self.ram.load();
                let (key, principal) = ram.key(id).ok_or(OssError::AccessKeyNotFound)?;
                // A key outside the networks of its policy is answered like a disabled one.
                if !key.active || !key.admits(source_ip) {
                    return Err(OssError::AccessKeyInactive);
                }
                Ok((principal, key.secret.clone()))
            }
        }
    }
}
