//! `[issuers.NAME.claims]` and `[issuers.NAME.required]`: claims passed on to policies, and claims a token must have.

use serde::Deserialize;

use crate::auth::{ClaimKind, ClaimPath, ClaimRule, NamedClaim};
use crate::config::field::{Field, List};
use crate::config::problems::Problems;

/// The message about a pattern that matches only the empty text.
pub(super) const EMPTY_PATTERN: &str =
    "it must not be empty: write a regular expression for the whole text, or remove the key";

/// A claim for policies: its name, if it is a JSON string, or its name and JSON type.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "it must be a claim's name, or a table of `claim` and `type`: `string`, `integer` or `boolean`"
)]
pub(crate) enum RawClaim {
    Name(ClaimPath),
    Typed(RawTypedClaim),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTypedClaim {
    pub(crate) claim: ClaimPath,
    /// `string`, `integer` or `boolean`; another type in a token counts as no claim.
    #[serde(rename = "type")]
    pub(crate) kind: RawClaimType,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawClaimType {
    String,
    Integer,
    Boolean,
}

/// What a claim must be.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct RawClaimRule {
    /// This text.
    pub(crate) equals: Field<String>,
    /// A match of the whole text.
    pub(crate) pattern: Field<String>,
    /// A list with all of these.
    pub(crate) contains: Field<List<String>>,
}

pub(crate) fn named_claim(raw: RawClaim) -> NamedClaim {
    let (claim, kind) = match raw {
        RawClaim::Name(claim) => (claim, RawClaimType::String),
        RawClaim::Typed(RawTypedClaim { claim, kind }) => (claim, kind),
    };
    let kind = match kind {
        RawClaimType::String => ClaimKind::String,
        RawClaimType::Integer => ClaimKind::Integer,
        RawClaimType::Boolean => ClaimKind::Boolean,
    };
    NamedClaim { claim, kind }
}

pub(crate) fn claim_rule(
    path: &str,
    raw: RawClaimRule,
    problems: &mut Problems,
) -> Option<ClaimRule> {
    let is_invalid =
        raw.equals.is_invalid() || raw.pattern.is_invalid() || raw.contains.is_invalid();
    let equals = problems.take(raw.equals);
    let pattern = problems.take(raw.pattern);
    let contains = problems.take(raw.contains);
    match (equals, pattern, contains) {
        (Some(text), None, None) => Some(ClaimRule::Equals(text)),
        (None, Some(pattern), None) if pattern.is_empty() => {
            problems.add(format!("{path}.pattern"), EMPTY_PATTERN);
            None
        }
        (None, Some(pattern), None) => ClaimRule::pattern(&pattern)
            .map_err(|error| problems.add_error(format!("{path}.pattern"), &error))
            .ok(),
        (None, None, Some(List(members))) if !members.is_empty() => {
            Some(ClaimRule::Contains(members))
        }
        _ if is_invalid => None,
        _ => {
            problems.add_absence(
                path,
                "set one of `equals`, `pattern` (for the whole text) and `contains`",
            );
            None
        }
    }
}
