//! A parsed token, not yet verified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::JwtProblem;
use super::json::{Claims, Json, from_object};
use super::problem::{JwtRefusal, shown};

/// The parts of a token, each parsed once: what is verified is what is used afterwards.
pub(super) struct Parsed<'a> {
    pub(super) header: Header,
    pub(super) claims: Claims,
    /// The signed part of the token.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
}

/// The members of the header that are read. Keys and their URLs (`jwk`, `jku`, `x5c`, `x5u`) are ignored.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) typ: Option<String>,
    pub(super) kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
    #[serde(default, deserialize_with = "present")]
    enc: bool,
}

/// Present with any value, also `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<'a> Parsed<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, JwtProblem> {
        let (message, signature) = token.rsplit_once('.').ok_or(JwtProblem::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(JwtProblem::Malformed)?;
        let (header, claims) = (json(header)?, json(claims)?);
        Ok(Self { header, claims, message, signature })
    }

    /// `iss`, used only to look up a configured issuer.
    pub(super) fn issuer(&self) -> Result<&str, JwtProblem> {
        self.claims.get("iss").and_then(Json::as_str).ok_or(JwtProblem::Lacks("iss"))
    }
}

impl Header {
    /// Whether the header declares a JWT and no extension that changes how it is read.
    pub(super) fn check(&self) -> Result<(), JwtRefusal> {
        // RFC 7519 §5.1 and RFC 9068 §2.1. A logout token, for one, is signed by the same key.
        if let Some(typ) = self.media_type()
            && !["jwt", "at+jwt"].contains(&typ.as_str())
        {
            let detail = format!("`typ` is {}; expected JWT or at+jwt", shown(&typ));
            return Err(JwtRefusal::new(JwtProblem::Type, detail));
        }
        let plain = !self.crit && !self.zip && !self.enc;
        if plain { Ok(()) } else { Err(JwtProblem::Critical.into()) }
    }

    /// `typ` without `application/`, in lower case.
    pub(super) fn media_type(&self) -> Option<String> {
        let typ = self.typ.as_ref()?.to_ascii_lowercase();
        Some(typ.strip_prefix("application/").unwrap_or(&typ).to_owned())
    }
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, JwtProblem> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtProblem::Malformed)?;
    from_object(&bytes).map_err(|_| JwtProblem::Malformed)
}
