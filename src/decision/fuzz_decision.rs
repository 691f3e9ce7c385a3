//! Fuzz target of the decision hook's answer: nothing is allowed that the hook does not plainly allow.

use serde_json::Value;

use super::HookDecision;
use super::hook_request::DurationBounds;

/// The body of an answer.
pub(crate) fn decision_answer(bytes: &[u8]) {
    let bounds = DurationBounds { shortest: 900, requested: 3600 };
    let decided = match HookDecision::parse(bytes, bounds) {
        Ok(decided) => decided,
        Err(error) => {
            let shown = format!("{error:?}");
            assert!(shown.len() < 256 && !shown.contains("\\u"), "{shown}");
            return;
        }
    };
    let value: Value = serde_json::from_slice(bytes).expect("a decision is JSON");
    let members = value.as_object().expect("a decision is an object");
    let is_known = |name: &String| ["Allow", "DurationSeconds", "Reason"].contains(&name.as_str());
    assert!(members.keys().all(is_known), "an unknown member was accepted");
    assert!(members.values().all(|value| !value.is_null()), "`null` was accepted");
    match decided {
        HookDecision::Allowed(secs) => {
            assert_eq!(value["Allow"], true);
            assert!((900..=3600).contains(&secs), "{secs} seconds");
            let expected = members.get("DurationSeconds").map_or(Some(3600), Value::as_u64);
            assert_eq!(Some(u64::from(secs)), expected);
        }
        HookDecision::Refused(reason) => {
            assert_eq!(value["Allow"], false);
            let reason = reason.unwrap_or_default();
            assert!(reason.chars().count() <= 200, "{reason}");
            assert!(!reason.contains(char::is_control), "{reason:?}");
        }
    }
}
