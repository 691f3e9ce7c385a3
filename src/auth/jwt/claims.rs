//! What a verified token says.

use chrono::{DateTime, Utc};
use regex::Regex;

use super::JwtProblem;
use super::json::{Claims, Json};

/// What a claim must be.
#[derive(Clone, Debug)]
pub(crate) enum ClaimRule {
    /// This text, number or truth value, as it is written.
    Is(String),
    /// A match of the whole text.
    Matches(Regex),
}

impl PartialEq for ClaimRule {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Is(ours), Self::Is(theirs)) => ours == theirs,
            (Self::Matches(ours), Self::Matches(theirs)) => ours.as_str() == theirs.as_str(),
            (Self::Is(_), Self::Matches(_)) | (Self::Matches(_), Self::Is(_)) => false,
        }
    }
}

impl Eq for ClaimRule {}

impl ClaimRule {
    /// A pattern for the whole of a claim's text.
    pub(crate) fn pattern(pattern: &str) -> Result<Self, regex::Error> {
        Regex::new(&format!("^(?:{pattern})$")).map(Self::Matches)
    }

    /// Whether the claim keeps the rule; one that is absent keeps none. Of a list one member must.
    pub(super) fn admits(&self, claim: Option<&Json>) -> bool {
        let one = |value: &Json| {
            text(value).is_some_and(|text| match self {
                Self::Is(expected) => expected == text,
                Self::Matches(pattern) => pattern.is_match(text),
            })
        };
        match claim {
            Some(Json::Array(members)) => members.iter().any(one),
            Some(value) => one(value),
            None => false,
        }
    }
}

/// What of a token becomes `${claims.NAME}`. The JSON type is fixed: `42` and `"42"`, or `true` and `"true"`, would be one
/// text for two users.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NamedClaim {
    pub(crate) claim: String,
    pub(crate) kind: ClaimKind,
}

/// The JSON type of a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ClaimKind {
    String,
    /// Of any size, as it is written.
    Integer,
    Boolean,
}

impl NamedClaim {
    /// The claim's text, if it is there and of its type.
    pub(super) fn text<'a>(&self, claims: &'a Claims) -> Option<&'a str> {
        let value = claims.get(&self.claim)?;
        match (self.kind, value) {
            (ClaimKind::String, Json::String(text)) => Some(text),
            (ClaimKind::Integer, number) => number.as_integer(),
            (ClaimKind::Boolean, Json::Boolean(truth)) => {
                Some(if *truth { "true" } else { "false" })
            }
            (ClaimKind::String | ClaimKind::Boolean, _) => None,
        }
    }
}

/// A claim as text: integers and truth values as JSON writes them. Other numbers are none: `1.0` and `1e0` are one number
/// and two texts.
fn text(value: &Json) -> Option<&str> {
    match value {
        Json::String(text) => Some(text),
        Json::Number(_) => value.as_integer(),
        Json::Boolean(true) => Some("true"),
        Json::Boolean(false) => Some("false"),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// `aud`: one text or a list of them.
pub(super) fn audiences(claims: &Claims) -> Result<impl Iterator<Item = &str>, JwtProblem> {
    let members = match claims.get("aud") {
        Some(one @ Json::String(_)) => std::slice::from_ref(one),
        Some(Json::Array(members)) => members,
        Some(_) | None => return Err(JwtProblem::Lacks("aud")),
    };
    Ok(members.iter().filter_map(Json::as_str))
}

/// A NumericDate of RFC 7519: seconds since the epoch, perhaps with a fraction.
pub(super) fn moment(
    claims: &Claims,
    claim: &'static str,
) -> Result<Option<DateTime<Utc>>, JwtProblem> {
    let secs: f64 = match claims.get(claim) {
        Some(Json::Number(text)) => text.parse().map_err(|_| JwtProblem::Lacks(claim))?,
        Some(_) => return Err(JwtProblem::Lacks(claim)),
        None => return Ok(None),
    };
    // What lies beyond the calendar is no moment.
    let moment = DateTime::from_timestamp(secs.floor() as i64, 0);
    moment.map(Some).ok_or(JwtProblem::Lacks(claim))
}
