//! What the emulated STS was asked, and what it said.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::params::Params;
use super::ram::Policy;

/// The log keeps the latest calls and forgets older ones.
const MOST_CALLS: usize = 10_000;
/// Of the calls that broke the rule of narrowing the first ones are kept: they show where it began.
const MOST_VIOLATIONS: usize = 1_000;
/// A call has some twenty parameters, and a policy, the longest of them, fewer than 2048 bytes.
const MOST_PARAMETERS: usize = 50;
const LONGEST_TEXT_BYTES: usize = 4096;
/// There are two actions; what else was asked for is counted under `OTHERS` when it becomes too much.
const MOST_ACTIONS: usize = 100;
const OTHERS: &str = "(others)";

/// One call as it arrived.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Call {
    /// When, by the emulator's clock.
    pub at: DateTime<Utc>,
    /// The HTTP method.
    pub method: String,
    /// As asked for; empty if it was not said.
    pub action: String,
    /// All but the action's name, `Signature` and `SecurityToken`.
    pub parameters: BTreeMap<String, String>,
    /// `Success`, the code of the error, or `Fault.` and what was scripted instead of an answer.
    pub outcome: String,
    /// As in the answer.
    pub request_id: String,
}

/// How many calls there were, forgotten ones included: by action, then by outcome.
pub type Totals = BTreeMap<String, BTreeMap<String, u64>>;

/// The log of calls.
#[derive(Default)]
pub(crate) struct Calls {
    /// Held to add or copy, never across an await.
    log: Mutex<Log>,
}

#[derive(Clone, Default)]
struct Log {
    calls: VecDeque<Call>,
    violations: Vec<Call>,
    totals: Totals,
}

impl Call {
    /// Of texts beyond their bounds, which no honest call reaches, the beginning is kept.
    pub(crate) fn new(at: DateTime<Utc>, method: &str, params: &Params, request_id: &str) -> Self {
        let is_kept =
            |(name, _): &(&str, &str)| !["Action", "Signature", "SecurityToken"].contains(name);
        let parameters = params.iter().filter(is_kept).take(MOST_PARAMETERS);
        Self {
            at,
            method: method.to_owned(),
            action: bounded(params.get("Action").unwrap_or_default()),
            parameters: parameters.map(|(name, value)| (bounded(name), bounded(value))).collect(),
            outcome: String::new(),
            request_id: request_id.to_owned(),
        }
    }

    /// Whether the call asks for a role without narrowing it: no policy, or one that allows nothing it names.
    fn asks_for_a_whole_role(&self) -> bool {
        let narrows =
            |json: &String| Policy::parse(json).is_ok_and(|policy| policy.allows_something_named());
        self.action == "AssumeRole" && !self.parameters.get("Policy").is_some_and(narrows)
    }
}

impl Calls {
    pub(crate) fn add(&self, call: Call) {
        let asks_for_a_whole_role = call.asks_for_a_whole_role();
        let mut log = self.log.lock().expect("nothing panics while it is held");
        let is_counted = log.totals.len() < MOST_ACTIONS || log.totals.contains_key(&call.action);
        let counted_as = if is_counted { call.action.clone() } else { OTHERS.to_owned() };
        let outcomes = log.totals.entry(counted_as).or_default();
        *outcomes.entry(call.outcome.clone()).or_default() += 1;
        if asks_for_a_whole_role && log.violations.len() < MOST_VIOLATIONS {
            log.violations.push(call.clone());
        }
        if log.calls.len() == MOST_CALLS {
            log.calls.pop_front();
        }
        log.calls.push_back(call);
    }

    pub(crate) fn list(&self) -> Vec<Call> {
        self.log.lock().expect("nothing panics while it is held").calls.iter().cloned().collect()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.log.lock().expect("nothing panics while it is held").totals.clone()
    }

    pub(crate) fn violations(&self) -> Vec<Call> {
        self.log.lock().expect("nothing panics while it is held").violations.clone()
    }

    pub(crate) fn clear(&self) {
        *self.log.lock().expect("nothing panics while it is held") = Log::default();
    }
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_TEXT_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(params: &Params) -> Call {
        Call::new("2016-01-13T14:02:37Z".parse().unwrap(), "POST", params, "ID")
    }

    #[test]
    fn a_call_keeps_no_signature_and_no_token() {
        let params = Params::from([
            ("Action", "AssumeRole"),
            ("Policy", "{}"),
            ("SecurityToken", "canary"),
            ("Signature", "canary"),
        ]);
        let expected = Call {
            at: "2016-01-13T14:02:37Z".parse().unwrap(),
            method: "POST".to_owned(),
            action: "AssumeRole".to_owned(),
            parameters: [("Policy".to_owned(), "{}".to_owned())].into(),
            outcome: String::new(),
            request_id: "ID".to_owned(),
        };
        assert_eq!(call(&params), expected);
    }

    #[test]
    fn an_assume_role_that_narrows_nothing_is_a_violation() {
        let calls = Calls::default();
        let narrow = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:b/*"}]}"#;
        let broad =
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        let denying =
            r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"oss:*","Resource":"*"}]}"#;
        for policy in [narrow, "", broad, denying, "{"] {
            calls.add(call(&Params::from([("Action", "AssumeRole"), ("Policy", policy)])));
        }
        calls.add(call(&Params::from([("Action", "AssumeRole")])));
        calls.add(call(&Params::from([("Action", "GetCallerIdentity")])));
        let policies: Vec<_> = calls
            .violations()
            .into_iter()
            .map(|call| call.parameters.get("Policy").cloned())
            .collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(policies, [text(""), text(broad), text(denying), text("{"), None]);
    }

    #[test]
    fn an_endless_call_is_kept_in_part() {
        let long = "é".repeat(LONGEST_TEXT_BYTES);
        let pairs: Vec<String> = (0..MOST_PARAMETERS + 5).map(|n| format!("p{n}={long}")).collect();
        let kept = call(&Params::read(Some(&pairs.join("&")), None, b"").unwrap()).parameters;
        assert_eq!((kept.len(), kept["p0"].len()), (MOST_PARAMETERS, LONGEST_TEXT_BYTES));
    }

    #[test]
    fn made_up_actions_are_counted_together() {
        let calls = Calls::default();
        for n in 0..MOST_ACTIONS + 5 {
            calls.add(call(&Params::from([("Action", format!("A{n}").as_str())])));
        }
        assert_eq!(calls.totals().len(), MOST_ACTIONS + 1);
        assert_eq!(calls.totals()[OTHERS][""], 5);
    }

    #[test]
    fn the_log_is_bounded_and_the_totals_count_on() {
        let calls = Calls::default();
        for _ in 0..MOST_CALLS + 5 {
            calls.add(call(&Params::from([("Action", "AssumeRole")])));
        }
        assert_eq!((calls.list().len(), calls.violations().len()), (MOST_CALLS, MOST_VIOLATIONS));
        assert_eq!(calls.totals()["AssumeRole"][""], (MOST_CALLS + 5) as u64);
    }
}
