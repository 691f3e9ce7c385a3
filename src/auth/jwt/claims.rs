//! What a verified token says.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use regex::Regex;
use serde_json::{Map, Value};

use super::JwtProblem;

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
    pub(super) fn admits(&self, claim: Option<&Value>) -> bool {
        let one = |value: &Value| {
            text(value).is_some_and(|text| match self {
                Self::Is(expected) => *expected == text,
                Self::Matches(pattern) => pattern.is_match(&text),
            })
        };
        match claim {
            Some(Value::Array(members)) => members.iter().any(one),
            Some(value) => one(value),
            None => false,
        }
    }
}

/// A claim as text: numbers and truth values as JSON writes them; lists and objects are none.
pub(super) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(truth) => Some(truth.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `aud`: one text or a list of them.
pub(super) fn audiences(
    claims: &Map<String, Value>,
) -> Result<impl Iterator<Item = &str>, JwtProblem> {
    let members = match claims.get("aud") {
        Some(one @ Value::String(_)) => std::slice::from_ref(one),
        Some(Value::Array(members)) => members,
        Some(_) | None => return Err(JwtProblem::Lacks("aud")),
    };
    Ok(members.iter().filter_map(Value::as_str))
}

/// A NumericDate of RFC 7519: seconds since the epoch, perhaps with a fraction.
pub(super) fn moment(
    claims: &Map<String, Value>,
    claim: &'static str,
) -> Result<Option<DateTime<Utc>>, JwtProblem> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let secs = value.as_f64().ok_or(JwtProblem::Lacks(claim))?;
    // What lies beyond the calendar is no moment.
    let moment = DateTime::from_timestamp(secs.floor() as i64, 0);
    moment.map(Some).ok_or(JwtProblem::Lacks(claim))
}
