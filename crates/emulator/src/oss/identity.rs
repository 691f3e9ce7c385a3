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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EmulatorSettings;
    use crate::ram::{NetworkPolicy, StateFileProblem};

    #[test]
    fn a_key_outside_the_networks_of_its_policy_is_answered_like_a_disabled_one() {
        let text = include_str!("../../../../config/emulator.toml");
        let EmulatorSettings { ram, token_key, .. } = EmulatorSettings::from_toml(text).unwrap();
        let identities = Identities { ram: Arc::new(SharedRam::new(ram)), token_key };
        let from = |address: &str| {
            let now = "2016-01-13T14:02:37Z".parse().unwrap();
            identities.find("testid", None, now, address.parse().unwrap()).map(|_| ())
        };
        assert!(from("203.0.113.7").is_ok() && from("198.51.100.7").is_ok());
        let policy = r#"{"Status":"Active","Statements":[{"Type":"ClassicWhiteList","IPList":["203.0.113.0/24"]}]}"#;
        let changed: Result<(), StateFileProblem> = identities.ram.change(|ram| {
            let key = ram.keys.get_mut("testid").unwrap();
            key.network = Some(NetworkPolicy::parse(policy).unwrap());
            Ok(())
        });
        changed.unwrap();
        assert!(from("203.0.113.7").is_ok());
        assert!(matches!(from("198.51.100.7"), Err(OssError::AccessKeyInactive)));
    }
}
