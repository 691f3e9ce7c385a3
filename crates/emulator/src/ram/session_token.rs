//! Security tokens: encrypted role sessions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use chrono::{DateTime, Utc};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::evaluate::Request;
use super::policy::Policy;

/// The first bytes of a token, whose base64 is `CAIS` as in real tokens; the middle byte is the version of the format.
const HEADER: [u8; 3] = [0x08, 0x02, 0x12];
const NONCE_LENGTH: usize = 24;

/// A role session that AssumeRole made.
#[derive(Clone, Debug)]
pub struct Session {
    /// Starts with `STS.`.
    pub access_key_id: String,
    /// Signs the session's requests.
    pub access_key_secret: SecretString,
    /// Such as `acs:ram::11223344:role/oss-readonly`.
    pub role_arn: String,
    /// The role's id, which a role of the same name that is created later does not have.
    pub role_id: String,
    /// `RoleSessionName`.
    pub session_name: String,
    /// The JSON of the session policy; without one the session has all permissions of its role.
    pub policy: Option<String>,
    /// `SourceIdentity`.
    pub source_identity: Option<String>,
    /// The end of the session.
    pub expiration: DateTime<Utc>,
}

/// Encrypts sessions into tokens and decrypts them, so that the emulated services share nothing but this key.
#[derive(Clone)]
pub struct TokenKey(XChaCha20Poly1305);

/// Why a token is invalid.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenProblem {
    /// Not a token of this key.
    #[error("the token is malformed")]
    Malformed,
    /// The session has ended.
    #[error("the token has expired")]
    Expired {
        /// When it expired.
        at: DateTime<Utc>,
    },
}

impl Session {
    /// A new random AccessKey for a session.
    pub(crate) fn new_access_key() -> (String, SecretString) {
        let random = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
        (format!("STS.{}", random(25)), random(44).into())
    }

    /// Whether the session policy allows the request. It only narrows the role's permissions.
    pub fn permits(&self, request: &Request<'_>) -> bool {
        match &self.policy {
            None => true,
            Some(json) => {
                Policy::parse(json).is_ok_and(|policy| policy.decide(request).is_allowed())
            }
        }
    }
}

impl TokenKey {
    /// Parses 64 hexadecimal digits.
    pub(crate) fn from_hex(digits: &SecretString) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits.expose_secret(), &mut bytes).ok()?;
        Some(Self(XChaCha20Poly1305::new(&Key::from(bytes))))
    }

    pub(crate) fn seal(&self, session: &Session) -> SecretString {
        let sealed = Sealed {
            access_key_id: &session.access_key_id,
            access_key_secret: session.access_key_secret.expose_secret(),
            role_arn: &session.role_arn,
            role_id: &session.role_id,
            session_name: &session.session_name,
            policy: session.policy.as_deref(),
            source_identity: session.source_identity.as_deref(),
            expiration: session.expiration,
        };
        let message = serde_json::to_vec(&sealed).expect("texts and a time are always JSON");
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), Payload { msg: &message, aad: &HEADER })
            .expect("a session is far shorter than the cipher's limit");
        STANDARD.encode([&HEADER[..], &nonce, &sealed].concat()).into()
    }

    /// The session of a token, if this key encrypted it and it has not ended at `now`.
    pub fn open(&self, token: &str, now: DateTime<Utc>) -> Result<Session, TokenProblem> {
        let session = self.unseal(token).ok_or(TokenProblem::Malformed)?;
        if session.expiration <= now {
            Err(TokenProblem::Expired { at: session.expiration })
        } else {
            Ok(session)
        }
    }

    fn unseal(&self, token: &str) -> Option<Session> {
        let bytes = STANDARD.decode(token).ok()?;
        let rest = bytes.strip_prefix(&HEADER)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>()?;
        let message =
            self.0.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &HEADER }).ok()?;
        let opened: Opened = serde_json::from_slice(&message).ok()?;
        Some(Session {
            access_key_id: opened.access_key_id,
            access_key_secret: opened.access_key_secret.into(),
            role_arn: opened.role_arn,
            role_id: opened.role_id,
            session_name: opened.session_name,
            policy: opened.policy,
            source_identity: opened.source_identity,
            expiration: opened.expiration,
        })
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(redacted)")
    }
}

#[derive(Serialize)]
struct Sealed<'a> {
    access_key_id: &'a str,
    access_key_secret: &'a str,
    role_arn: &'a str,
    role_id: &'a str,
    session_name: &'a str,
    policy: Option<&'a str>,
    source_identity: Option<&'a str>,
    expiration: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Opened {
    access_key_id: String,
    access_key_secret: String,
    role_arn: String,
    role_id: String,
    session_name: String,
    policy: Option<String>,
    source_identity: Option<String>,
    expiration: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn key(digit: &str) -> TokenKey {
        TokenKey::from_hex(&digit.repeat(64).into()).unwrap()
    }

    fn session() -> Session {
        Session {
            access_key_id: "STS.canary".to_owned(),
            access_key_secret: "canary-secret".into(),
            role_arn: "acs:ram::11223344:role/oss-readonly".to_owned(),
            role_id: "391578752573972854".to_owned(),
            session_name: "client-002".to_owned(),
            policy: Some("{}".to_owned()),
            source_identity: Some("alice".to_owned()),
            expiration: "2016-01-13T15:02:37Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_token_opens_to_its_session() {
        let sealed = session();
        let token = key("a").seal(&sealed);
        let before = sealed.expiration - TimeDelta::seconds(1);
        let opened = key("a").open(token.expose_secret(), before).unwrap();
        assert!(token.expose_secret().starts_with("CAIS"));
        assert_eq!(format!("{opened:?}"), format!("{sealed:?}"));
        assert_eq!(opened.access_key_secret.expose_secret(), "canary-secret");
    }

    #[test]
    fn a_token_ends_with_its_session() {
        let token = key("a").seal(&session());
        let at = session().expiration;
        let opened = key("a").open(token.expose_secret(), at);
        assert_eq!(opened.unwrap_err(), TokenProblem::Expired { at });
    }

    #[test]
    fn any_other_text_is_malformed() {
        let token = key("a").seal(&session()).expose_secret().to_owned();
        let mut changed = STANDARD.decode(&token).unwrap();
        changed[40] ^= 1;
        let others =
            ["", "CAIS", "not base64!", &token[..token.len() - 4], &STANDARD.encode(changed)];
        for other in others {
            let opened = key("a").open(other, session().expiration - TimeDelta::hours(1));
            assert_eq!(opened.unwrap_err(), TokenProblem::Malformed, "{other}");
        }
        let foreign = key("b").open(&token, session().expiration - TimeDelta::hours(1));
        assert_eq!(foreign.unwrap_err(), TokenProblem::Malformed);
    }

    #[test]
    fn a_session_and_its_key_do_not_print_their_secrets() {
        let text = format!("{:?} {:?}", session(), key("a"));
        assert!(!text.contains("canary-secret") && !text.contains("aaaa"), "{text}");
    }
}
