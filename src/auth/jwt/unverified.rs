//! What of a token is read before its signature is: enough to know who may verify it, or that nobody needs to.

use jsonwebtoken::Header;

use super::JwtProblem;

/// What the header may say besides algorithm and key: that it is a JWT, and nothing that changes how it is read.
pub(super) fn check(header: &Header) -> Result<(), JwtProblem> {
    if let Some(kind) = &header.typ {
        let kind = kind.to_ascii_lowercase();
        // RFC 7519 §5.1 and RFC 9068 §2.1. A logout token, for one, is signed by the same key.
        let known = ["jwt", "at+jwt"].contains(&kind.strip_prefix("application/").unwrap_or(&kind));
        if !known {
            return Err(JwtProblem::Type);
        }
    }
    let plain = header.crit.is_none() && header.zip.is_none() && header.enc.is_none();
    if plain { Ok(()) } else { Err(JwtProblem::Critical) }
}

/// Whose token it says that it is: only looked up, among those that are configured.
pub(super) fn named_issuer(token: &str) -> Result<String, JwtProblem> {
    #[derive(serde::Deserialize)]
    struct Named {
        iss: Option<String>,
    }
    let named: Named = jsonwebtoken::dangerous::insecure_decode_claims(token)
        .map_err(|_| JwtProblem::Malformed)?;
    named.iss.ok_or(JwtProblem::Lacks("iss"))
}
