//! Whose key signed a request, and the secret that proves it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::error::OssError;
use crate::ram::{Principal, Ram};
use crate::ram::{TokenKey, TokenProblem};

/// How long OSS remembers an expired session. The documentation says only that a long-expired one is unknown.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);

/// What tells keys and tokens apart.
pub(crate) struct Identities {
    pub(crate) ram: Arc<Ram>,
    pub(crate) token_key: TokenKey,
}

impl Identities {
    /// Whose access key is named. A token must be the one that was issued with the key.
    pub(crate) fn claimed(
        &self,
        id: &str,
        token: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(Principal, SecretString), OssError> {
        let session = token.map(|token| self.token_key.open(token, now));
        let session = match session {
            None => None,
            Some(Ok(session)) => Some(session),
            Some(Err(TokenProblem::Malformed)) => return Err(OssError::TokenInvalid),
            Some(Err(TokenProblem::Expired { at })) if now - at > REMEMBERED => {
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
            // A session's key without its token is in nobody's records either.
            None => {
                let key = self.ram.keys.get(id).ok_or(OssError::AccessKeyNotFound)?;
                if !key.active {
                    return Err(OssError::AccessKeyInactive);
                }
                Ok((key.owner.clone().into(), key.secret.clone()))
            }
        }
    }
}
