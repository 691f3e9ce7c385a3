//! The claims of a verified token, and the rules for them.

use std::fmt;

use chrono::{DateTime, Utc};
use regex::Regex;

use super::claim_path::ClaimPath;
use super::json::{Claims, Json};
use super::{JwtProblem, JwtRefusal, problem};

/// The rule that a claim must satisfy.
#[derive(Clone, Debug)]
pub(crate) enum ClaimRule {
    /// This text, number or boolean, as written.
    Equals(String),
    /// A match of the whole text.
    Matches(Regex),
    /// A list that contains all of these, or `scope` or `scp` with all of these words.
    Contains(Vec<String>),
}

impl PartialEq for ClaimRule {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Equals(ours), Self::Equals(theirs)) => ours == theirs,
            (Self::Matches(ours), Self::Matches(theirs)) => ours.as_str() == theirs.as_str(),
            (Self::Contains(ours), Self::Contains(theirs)) => ours == theirs,
            (Self::Equals(_) | Self::Matches(_) | Self::Contains(_), _) => false,
        }
    }
}

impl Eq for ClaimRule {}

/// For the log, after "expected".
impl fmt::Display for ClaimRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(text) => write!(f, "{text:?}"),
            Self::Matches(pattern) => write!(f, "a match of {:?}", written(pattern)),
            Self::Contains(members) => write!(f, "a list that contains {members:?}"),
        }
    }
}

/// Anchors around a pattern, so that it matches the whole text.
const ANCHORED_FROM: &str = "^(?:";
const ANCHORED_TO: &str = ")$";
/// The error of a pattern that is valid alone but not between the anchors.
const OPEN_END: &str =
    "a comment goes on beyond the pattern's end: leave out the `#` comment that `(?x)` allows";

/// The pattern as the operator wrote it.
fn written(anchored: &Regex) -> &str {
    let text = anchored.as_str();
    let inner = text.strip_prefix(ANCHORED_FROM).and_then(|text| text.strip_suffix(ANCHORED_TO));
    inner.unwrap_or(text)
}

impl ClaimRule {
    /// A pattern for the whole of a claim's text.
    pub(crate) fn pattern(pattern: &str) -> Result<Self, regex::Error> {
        // By itself first: `a)|(?:b` would undo the anchors, and an error shows the operator's own text.
        Regex::new(pattern)?;
        let anchored = Regex::new(&format!("{ANCHORED_FROM}{pattern}{ANCHORED_TO}"));
        anchored.map(Self::Matches).map_err(|error| match error {
            regex::Error::Syntax(_) => regex::Error::Syntax(OPEN_END.to_owned()),
            other => other,
        })
    }

    /// Whether the claim at `path` satisfies the rule. An absent claim satisfies none. One member of a list is
    /// enough; for `Contains`, each named value must be a member.
    pub(super) fn admits(&self, path: &ClaimPath, claims: &Claims) -> bool {
        let any = |keeps: &dyn Fn(&str) -> bool| match path.find(claims) {
            Some(Json::Array(members)) => members.iter().filter_map(text).any(keeps),
            Some(value) => text(value).is_some_and(keeps),
            None => false,
        };
        match self {
            Self::Equals(expected) => any(&|text| text == expected),
            Self::Matches(pattern) => any(&|text| pattern.is_match(text)),
            // RFC 8693 §4.2: words separated by spaces. Other texts are not split: a user's name may contain spaces.
            Self::Contains(all) if ["scope", "scp"].contains(&path.name()) => {
                all.iter().all(|word| any(&|text| text.split(' ').any(|own| own == word)))
            }
            Self::Contains(all) => all.iter().all(|member| any(&|text| text == member)),
        }
    }
}

/// The claim that becomes `${claims.NAME}`. The JSON type is fixed: `42` and `"42"`, or `true` and `"true"`, would be
/// one text for two users.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NamedClaim {
    pub(crate) claim: ClaimPath,
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
        let value = self.claim.find(claims)?;
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

/// A claim as text: integers and booleans as JSON writes them. Other numbers have none: `1.0` and `1e0` are one
/// number and two texts.
pub(super) fn text(value: &Json) -> Option<&str> {
    match value {
        Json::String(text) => Some(text),
        Json::Number(_) => value.as_integer(),
        Json::Boolean(true) => Some("true"),
        Json::Boolean(false) => Some("false"),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Whom a token is for: one text or a list of them.
pub(super) fn audiences<'a>(
    path: &ClaimPath,
    claims: &'a Claims,
) -> Result<impl Iterator<Item = &'a str> + Clone, JwtRefusal> {
    let claim = path.find(claims);
    let members = match claim {
        Some(one @ Json::String(_)) => std::slice::from_ref(one),
        Some(Json::Array(members)) => members,
        other => {
            let detail = format!(
                "`{path}` is {}; expected a text or a list of texts",
                problem::quoted_claim(other)
            );
            return Err(JwtRefusal::new(JwtProblem::Audience, detail));
        }
    };
    Ok(members.iter().filter_map(Json::as_str))
}

/// A `NumericDate` of RFC 7519: seconds since the epoch, perhaps with a fraction.
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
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, beyond the calendar")]
    let moment = DateTime::from_timestamp(secs.floor() as i64, 0);
    moment.map(Some).ok_or(JwtProblem::Lacks(claim))
}
