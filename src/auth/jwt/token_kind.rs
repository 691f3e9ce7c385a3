//! The kind of a token: an issuer signs access tokens, ID tokens and others with the same keys.
//!
//! No single mark decides. Logout and refresh tokens are rejected by each mark that standards and providers document,
//! whatever the header's `typ` says.

use serde::Deserialize;

use super::JwtProblem;
use super::json::{Claims, Json};
use super::problem::{JwtRefusal, quoted_claim};

/// The accepted kinds of an issuer's tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenKind {
    /// Access tokens and ID tokens.
    #[default]
    Any,
    /// Access tokens; also those that have no mark of either kind.
    Access,
    /// ID tokens; also those that have no mark of either kind.
    Id,
}

/// Claims that only other kinds of tokens have.
const FOREIGN: [(&str, &str); 4] = [
    // RFC 8417: security events, OpenID Connect back-channel logout, Apple's notifications.
    ("events", "a logout token or another security event"),
    // RFC 9701.
    ("token_introspection", "an answer to an introspection"),
    // Spring Security OAuth.
    ("ati", "a refresh token"),
    // Cloud Foundry's UAA.
    ("granted_scopes", "a refresh token"),
];

/// Claims that name the token's kind, and whether unknown values are rejected. A value that is not a string is always
/// rejected: a list may contain `refresh` beside `access`.
const NAMING: [(&str, bool); 5] = [
    // Keycloak, which has a dozen others for its own use.
    ("typ", true),
    // Cognito.
    ("token_use", true),
    // Simple JWT, RFC 8693's names.
    ("token_type", false),
    // Flask-JWT-Extended.
    ("type", false),
    // FusionAuth.
    ("tty", false),
];

/// OpenID Connect Core 1.0 §3.3.2.11, FAPI, CIBA and self-issued tokens.
const OF_ID: [&str; 6] = [
    "at_hash",
    "c_hash",
    "s_hash",
    "sub_jwk",
    "urn:openid:params:jwt:claim:rt_hash",
    "urn:openid:params:jwt:claim:auth_req_id",
];
/// Used where no claim names the kind: Keycloak had `nonce` in access tokens, too.
const PROBABLY_OF_ID: [&str; 2] = ["nonce", "nonce_supported"];
/// RFC 9068, RFC 8693.
const PROBABLY_OF_ACCESS: [&str; 3] = ["scope", "scp", "client_id"];

#[derive(Clone, Copy, Eq, PartialEq)]
enum Word {
    Access,
    Id,
    /// Names no kind.
    Jwt,
    Other,
    Unknown,
}

fn word(text: &str) -> Word {
    // Providers write `refresh_token`, `refresh-token` and `RefreshToken`.
    let text = text.to_ascii_lowercase().replace('-', "_");
    let text = text.strip_prefix("application/").unwrap_or(&text);
    match text.strip_prefix("urn:ietf:params:oauth:token_type:").unwrap_or(text) {
        "bearer" | "dpop" | "access" | "access_token" | "accesstoken" | "at" | "at+jwt" => {
            Word::Access
        }
        "id" | "id_token" | "idtoken" | "id+jwt" => Word::Id,
        "jwt" => Word::Jwt,
        "offline" | "offline_access" | "offline_token" | "offlinetoken" | "rt" | "rt+jwt"
        | "secevent+jwt" => Word::Other,
        // Also `refresh_token_v2`, `oauth2:refresh` and ` Refresh`.
        other if other.contains("refresh") || other.contains("logout") => Word::Other,
        _ => Word::Unknown,
    }
}

impl TokenKind {
    /// Whether a verified token is of this kind. A claim with a configured rule (`is_required`) is not used as a
    /// mark: the rule says more than the claim's presence.
    pub(super) fn check(
        self,
        media_type: Option<&str>,
        claims: &Claims,
        is_required: impl Fn(&str) -> bool,
    ) -> Result<(), JwtRefusal> {
        // A claim that is `null` is present.
        let has = |name: &&str| claims.get(name).is_some() && !is_required(name);
        if let Some((name, what)) = FOREIGN.iter().find(|(name, _)| has(name)) {
            return Err(refused(format!("the claim `{name}` is there, so it is {what}")));
        }
        let (mut access, mut id): (Option<&str>, Option<&str>) = (None, None);
        if media_type == Some("at+jwt") {
            access = Some("typ");
        }
        for (name, strict) in NAMING.iter().filter(|(name, _)| has(name)) {
            let claim = claims.get(name);
            match claim.and_then(Json::as_str).map_or(Word::Other, word) {
                Word::Access => access = Some(name),
                Word::Id => id = Some(name),
                Word::Jwt => {}
                Word::Unknown if !strict => {}
                Word::Other | Word::Unknown => {
                    let claim = quoted_claim(claim);
                    return Err(refused(format!(
                        "`{name}` is {claim}: neither an access token nor an ID token"
                    )));
                }
            }
        }
        id = id.or(OF_ID.iter().find(|name| has(name)).copied());
        let probably = |names: &'static [&str]| names.iter().find(|name| has(name)).copied();
        match (self, access, id) {
            (_, Some(access), Some(id)) => Err(refused(format!(
                "`{access}` says that it is an access token, and `{id}` that it is an ID token"
            ))),
            (Self::Access, None, Some(mark)) => Err(another("an ID token", mark, "access")),
            (Self::Id, Some(mark), None) => Err(another("an access token", mark, "id")),
            (Self::Access, None, None) => probably(&PROBABLY_OF_ID)
                .map_or(Ok(()), |mark| Err(another("an ID token", mark, "access"))),
            (Self::Id, None, None) => probably(&PROBABLY_OF_ACCESS)
                .map_or(Ok(()), |mark| Err(another("an access token", mark, "id"))),
            (Self::Any, ..) | (Self::Access, Some(_), None) | (Self::Id, None, Some(_)) => Ok(()),
        }
    }
}

fn refused(detail: String) -> JwtRefusal {
    JwtRefusal::new(JwtProblem::Kind, detail)
}

fn another(what: &str, mark: &str, expected: &str) -> JwtRefusal {
    refused(format!("it is {what} by its `{mark}`; `token_kind` is {expected:?}"))
}
