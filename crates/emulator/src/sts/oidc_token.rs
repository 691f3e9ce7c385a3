//! Tokens of OIDC issuers: signature, issuer and time. Nothing of a token is used before its signature is verified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::strict_json::from_object;

/// The shortest and the longest token that STS reads.
const LENGTHS: std::ops::RangeInclusive<usize> = 4..=20_000;

/// The verified claims of a token.
#[derive(Debug)]
pub(super) struct OidcToken {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audiences: Vec<String>,
    pub(super) expiration: DateTime<Utc>,
    pub(super) issued_at: DateTime<Utc>,
}

/// Why a token, or a role for it, is refused; the messages are those of STS.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum OidcProblem {
    #[error("No such OIDC Provider registered.")]
    UnknownProvider,
    /// The trust policy does not name the provider, or its conditions do not accept the token.
    #[error("There is no permission")]
    NotTrusted,
    #[error("The OIDCToken can not empty.")]
    NoToken,
    #[error("The number of Jwt field should be divided into 3 parts with '.' .")]
    Parts,
    #[error("Cannot decode base64 encoded response(format invalided).")]
    Encoding,
    #[error("The algorithm {0} that be specified in Jwt header is unknown.")]
    Algorithm(String),
    #[error("The Jwt content is invalid that cannot be recognized.")]
    Content,
    #[error("OIDC token validate failed: invalid signature.")]
    Signature,
    #[error("This JsonWebToken is expired.")]
    Expired,
    #[error("Invalid audience.")]
    Audience,
    /// The emulator has no keys of the issuer; the real STS could not fetch them.
    #[error("Invoke url failed due to certificate chain validation")]
    NoKeys,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audiences,
    exp: i64,
    iat: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    More(Vec<String>),
}

impl OidcToken {
    /// The token, if a key of the set signed it for this issuer and it has not ended at `now`.
    pub(super) fn verify(
        jwt: &str,
        issuer: &str,
        keys: &JwkSet,
        now: DateTime<Utc>,
    ) -> Result<Self, OidcProblem> {
        if !LENGTHS.contains(&jwt.len()) {
            return Err(OidcProblem::Content);
        }
        let &[header, claims, signature] = jwt.split('.').collect::<Vec<_>>().as_slice() else {
            return Err(OidcProblem::Parts);
        };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| OidcProblem::Encoding);
        let (header_json, claims_json) = (decode(header)?, decode(claims)?);
        let header_read: Header = from_object(&header_json).map_err(|_| OidcProblem::Content)?;
        let algorithm = algorithm(header_read.alg)?;
        let message = jwt.strip_suffix(signature).and_then(|rest| rest.strip_suffix('.'));
        let message = message.expect("the signature is the part behind the last dot");
        let is_candidate = |key: &&jsonwebtoken::jwk::Jwk| {
            header_read.kid.is_none() || key.common.key_id == header_read.kid
        };
        let is_signed = keys.keys.iter().filter(is_candidate).any(|jwk| {
            DecodingKey::from_jwk(jwk).is_ok_and(|key| {
                // An error is a key of another kind, or a signature that is no signature.
                jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm)
                    .unwrap_or(false)
            })
        });
        if !is_signed {
            return Err(OidcProblem::Signature);
        }
        let claims: Claims = from_object(&claims_json).map_err(|_| OidcProblem::Content)?;
        let time = |seconds| DateTime::from_timestamp(seconds, 0).ok_or(OidcProblem::Content);
        let token = Self {
            issuer: claims.iss,
            subject: claims.sub,
            audiences: match claims.aud {
                Audiences::One(audience) => vec![audience],
                Audiences::More(audiences) => audiences,
            },
            expiration: time(claims.exp)?,
            issued_at: time(claims.iat)?,
        };
        if token.issuer != issuer {
            return Err(OidcProblem::Content);
        }
        if token.expiration <= now {
            return Err(OidcProblem::Expired);
        }
        Ok(token)
    }
}

/// A signature with a public key; which of them STS accepts is not documented.
fn algorithm(name: String) -> Result<Algorithm, OidcProblem> {
    match name.parse() {
        Ok(Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) | Err(_) => {
            Err(OidcProblem::Algorithm(name))
        }
        Ok(algorithm) => Ok(algorithm),
    }
}
