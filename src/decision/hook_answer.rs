//! What the hook answers, read strictly: an answer that could be a refusal allows nothing.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::error::WrongAnswer;
use super::hook_request::DurationBounds;

/// The longest reason, in characters; the rest is cut off.
const MAX_REASON_CHARS: usize = 200;

/// What the hook decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum HookDecision {
    /// For so many seconds, no more than were requested.
    Allowed(u32),
    /// With its reason for the audit and the log, if it gave one.
    Refused(Option<Arc<str>>),
}

/// Unknown members are refused: a misspelt `DurationSeconds` would shorten nothing.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Answer {
    allow: bool,
    #[serde(default, deserialize_with = "present")]
    duration_seconds: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    reason: Option<String>,
}

/// A member that is there has a value: `null` is refused, because read as absent it would not shorten.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl HookDecision {
    pub(super) fn parse(body: &[u8], bounds: DurationBounds) -> Result<Self, WrongAnswer> {
        // serde would read the members of a list in turn as those of an object.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(WrongAnswer::Unreadable("it is no JSON object".to_owned()));
        }
        let answer: Answer = serde_json::from_slice(body).map_err(unreadable)?;
        if !answer.allow {
            return Ok(Self::Refused(answer.reason.as_deref().and_then(plain)));
        }
        let DurationBounds { shortest, requested } = bounds;
        let Some(given) = answer.duration_seconds else { return Ok(Self::Allowed(requested)) };
        let is_within = |secs: &u32| (shortest..=requested).contains(secs);
        let secs = u32::try_from(given).ok().filter(is_within);
        secs.map(Self::Allowed).ok_or(WrongAnswer::Duration { given, shortest, requested })
    }
}

/// Where the text cannot be read. serde's own message repeats names and values of it.
fn unreadable(error: serde_json::Error) -> WrongAnswer {
    let kind = if error.is_data() { "another member or type" } else { "no JSON" };
    let (line, column) = (error.line(), error.column());
    WrongAnswer::Unreadable(format!("{kind} in line {line}, column {column}"))
}

/// A reason on one line, of bounded length.
fn plain(reason: &str) -> Option<Arc<str>> {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    let reason: String = reason.trim().chars().take(MAX_REASON_CHARS).map(one_line).collect();
    (!reason.is_empty()).then(|| reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Result<HookDecision, WrongAnswer> {
        let bounds = DurationBounds { shortest: 900, requested: 3600 };
        HookDecision::parse(body.as_bytes(), bounds)
    }

    #[test]
    fn an_answer_allows_shortens_or_refuses() {
        for (body, secs) in [
            (r#"{"Allow":true}"#, 3600),
            (r#"{"Allow":true,"DurationSeconds":900}"#, 900),
            (r#"{"Allow":true,"DurationSeconds":3600,"Reason":"paid"}"#, 3600),
        ] {
            assert_eq!(parsed(body), Ok(HookDecision::Allowed(secs)), "{body}");
        }
        let long = "é".repeat(300);
        for (body, reason) in [
            (r#"{"Allow":false}"#.to_owned(), None),
            (r#"{"Allow":false,"Reason":""}"#.to_owned(), None),
            (
                r#"{"Allow":false,"Reason":" banned\nfor spam "}"#.to_owned(),
                Some("banned for spam"),
            ),
            (r#"{"Allow":false,"DurationSeconds":0}"#.to_owned(), None),
            (format!(r#"{{"Allow":false,"Reason":"{long}"}}"#), Some(&long[..400])),
        ] {
            assert_eq!(parsed(&body), Ok(HookDecision::Refused(reason.map(Arc::from))), "{body}");
        }
    }

    #[test]
    fn an_answer_never_widens_and_is_never_guessed() {
        for given in [0, 899, 3601, u64::MAX] {
            let body = format!(r#"{{"Allow":true,"DurationSeconds":{given}}}"#);
            let wrong = WrongAnswer::Duration { given, shortest: 900, requested: 3600 };
            assert_eq!(parsed(&body), Err(wrong));
        }
        for body in [
            "",
            "true",
            "{}",
            "[]",
            "[true]",
            "[true,900]",
            r#" [true,900,"paid"]"#,
            r#""Allow""#,
            r#"{"allow":true}"#,
            r#"{"Allow":"true"}"#,
            r#"{"Allow":1}"#,
            r#"{"Allow":null}"#,
            r#"{"Allow":true,"Allow":false}"#,
            r#"{"Allow":true,"DurationSecond":900}"#,
            r#"{"Allow":true,"DurationSeconds":null}"#,
            r#"{"Allow":true,"DurationSeconds":"900"}"#,
            r#"{"Allow":true,"DurationSeconds":-900}"#,
            r#"{"Allow":true,"DurationSeconds":900.5}"#,
            r#"{"Allow":true}{"Allow":false}"#,
            "<html>",
        ] {
            assert!(matches!(parsed(body), Err(WrongAnswer::Unreadable(_))), "{body}");
        }
        let WrongAnswer::Unreadable(place) = parsed(r#"{"Allow":"canary"}"#).unwrap_err() else {
            panic!("it is readable")
        };
        assert_eq!(place, "another member or type in line 1, column 17");
    }
}
