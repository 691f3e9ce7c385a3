//! The log of calls to STS, OSS, RAM and the metadata server, with their outcomes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::ram::Policy;

/// The log keeps the latest calls.
const MOST_CALLS: usize = 10_000;
/// Of the unrestricted calls the first ones are kept: they show the cause.
const MOST_UNRESTRICTED: usize = 1_000;
/// A call has about twenty parameters; the longest, a policy of RAM, has at most 6144 bytes.
const MOST_PARAMETERS: usize = 50;
const LONGEST_TEXT_BYTES: usize = 8192;
/// STS has three actions and RAM some thirty; too many different unknown ones are counted under `OTHERS`.
const MOST_ACTIONS: usize = 100;
const OTHERS: &str = "(others)";
/// The outcome of a call whose client disconnected before the answer.
const ABANDONED: &str = "Abandoned";

/// One call as it arrived.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Call {
    /// When it arrived, by the emulator's clock.
    pub at: DateTime<Utc>,
    /// The HTTP method.
    pub method: String,
    /// As requested; empty if absent.
    pub action: String,
    /// All except the action, `Signature`, `SecurityToken` and `OIDCToken`.
    pub parameters: BTreeMap<String, String>,
    /// `Success`, an error code, `Fault.` and the name of a scripted fault, or `Abandoned` if the client disconnected; empty while
    /// there is no answer.
    pub outcome: String,
    /// As in the answer.
    pub request_id: String,
}

/// The number of ended calls, including those that the log no longer holds: by action, then by outcome.
pub type Totals = BTreeMap<String, BTreeMap<String, u64>>;

/// The log of calls.
#[derive(Default)]
pub(crate) struct Calls {
    /// A plain mutex: held briefly, never across an await.
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// The latest calls, without gaps.
    calls: VecDeque<Call>,
    unrestricted: Vec<(Number, Call)>,
    totals: Totals,
    /// The number of the next call.
    next: Number,
    /// The first call since the log was cleared.
    first: Number,
}

/// Calls are numbered in order of arrival; clearing the log does not restart the numbers.
type Number = u64;

/// A call without an answer yet. Dropping it without one marks the call as abandoned.
pub(crate) struct Pending {
    calls: Arc<Calls>,
    number: Number,
    action: String,
    outcome: String,
}

impl Call {
    /// A call to STS or RAM. Texts longer than any valid call's are truncated.
    pub(crate) fn of_rpc(
        at: DateTime<Utc>,
        method: &str,
        params: &BTreeMap<String, String>,
        request_id: &str,
    ) -> Self {
        let is_kept = |(name, _): &(&String, &String)| {
            !["Action", "Signature", "SecurityToken", "OIDCToken"].contains(&name.as_str())
        };
        let parameters = params.iter().filter(is_kept).take(MOST_PARAMETERS);
        Self {
            at,
            method: method.to_owned(),
            action: bounded(params.get("Action").map_or("", String::as_str)),
            parameters: parameters.map(|(name, value)| (bounded(name), bounded(value))).collect(),
            outcome: String::new(),
            request_id: request_id.to_owned(),
        }
    }

    /// A request to OSS, truncated likewise.
    pub(crate) fn of_oss(
        at: DateTime<Utc>,
        method: &str,
        operation: &str,
        parameters: BTreeMap<String, String>,
        request_id: &str,
    ) -> Self {
        let parameters = parameters.into_iter().take(MOST_PARAMETERS);
        Self {
            at,
            method: bounded(method),
            action: operation.to_owned(),
            parameters: parameters.map(|(name, value)| (bounded(&name), bounded(&value))).collect(),
            outcome: String::new(),
            request_id: request_id.to_owned(),
        }
    }

    /// A request to the metadata server, truncated likewise.
    pub(crate) fn of_metadata(
        at: DateTime<Utc>,
        method: &str,
        operation: &str,
        parameters: BTreeMap<String, String>,
        request_id: &str,
    ) -> Self {
        Self::of_oss(at, method, operation, parameters, request_id)
    }

    /// Whether the call assumes a role without restricting it: no policy, or one that allows nothing that it names.
    fn is_unrestricted(&self) -> bool {
        let restricts =
            |json: &String| Policy::parse(json).is_ok_and(|policy| policy.allows_something_named());
        self.action == "AssumeRole" && !self.parameters.get("Policy").is_some_and(restricts)
    }
}

impl Calls {
    /// Records a call on arrival, so that it is in the log even if it is never answered.
    pub(crate) fn arrived(self: &Arc<Self>, call: Call) -> Pending {
        let is_unrestricted = call.is_unrestricted();
        let action = call.action.clone();
        let mut log = self.log.lock().expect("nothing panics while it is held");
        let number = log.next;
        log.next += 1;
        if is_unrestricted && log.unrestricted.len() < MOST_UNRESTRICTED {
            log.unrestricted.push((number, call.clone()));
        }
        if log.calls.len() == MOST_CALLS {
            log.calls.pop_front();
        }
        log.calls.push_back(call);
        Pending { calls: self.clone(), number, action, outcome: ABANDONED.to_owned() }
    }

    pub(crate) fn list(&self) -> Vec<Call> {
        self.log.lock().expect("nothing panics while it is held").calls.iter().cloned().collect()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.log.lock().expect("nothing panics while it is held").totals.clone()
    }

    pub(crate) fn unrestricted(&self) -> Vec<Call> {
        let log = self.log.lock().expect("nothing panics while it is held");
        log.unrestricted.iter().map(|(_, call)| call.clone()).collect()
    }

    /// Keeps the unrestricted calls: clearing the log for one test must not hide them.
    pub(crate) fn clear(&self) {
        let mut log = self.log.lock().expect("nothing panics while it is held");
        log.calls.clear();
        log.totals.clear();
        log.first = log.next;
    }
}

impl Pending {
    /// Records the outcome of an answered call, or the fault in its place.
    pub(crate) fn answered(mut self, outcome: String) {
        self.outcome = outcome;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut log = self.calls.log.lock().expect("nothing panics while it is held");
        log.end(self.number, &self.action, &self.outcome);
    }
}

impl Log {
    fn end(&mut self, number: Number, action: &str, outcome: &str) {
        if let Some((_, call)) = self.unrestricted.iter_mut().find(|(other, _)| *other == number) {
            outcome.clone_into(&mut call.outcome);
        }
        if number < self.first {
            return;
        }
        let oldest = self.next - self.calls.len() as Number;
        let kept = number.checked_sub(oldest).and_then(|index| usize::try_from(index).ok());
        if let Some(call) = kept.and_then(|index| self.calls.get_mut(index)) {
            outcome.clone_into(&mut call.outcome);
        }
        let is_counted = self.totals.len() < MOST_ACTIONS || self.totals.contains_key(action);
        let counted_as = if is_counted { action } else { OTHERS };
        let outcomes = self.totals.entry(counted_as.to_owned()).or_default();
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
    }
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_TEXT_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn call(params: &BTreeMap<String, String>) -> Call {
        Call::of_rpc("2016-01-13T14:02:37Z".parse().unwrap(), "POST", params, "ID")
    }

    #[test]
    fn a_call_keeps_no_signature_and_no_token() {
        let sent = params([
            ("Action", "AssumeRole"),
            ("Policy", "{}"),
            ("SecurityToken", "canary"),
            ("OIDCToken", "canary"),
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
        assert_eq!(call(&sent), expected);
    }

    #[test]
    fn an_assume_role_call_whose_policy_restricts_nothing_is_unrestricted() {
        let calls = Arc::new(Calls::default());
        let narrow = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:b/*"}]}"#;
        let broad =
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        let denying =
            r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"oss:*","Resource":"*"}]}"#;
        for policy in [narrow, "", broad, denying, "{"] {
            calls.arrived(call(&params([("Action", "AssumeRole"), ("Policy", policy)])));
        }
        calls.arrived(call(&params([("Action", "AssumeRole")])));
        calls.arrived(call(&params([("Action", "GetCallerIdentity")])));
        let policies: Vec<_> = calls
            .unrestricted()
            .into_iter()
            .map(|call| call.parameters.get("Policy").cloned())
            .collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(policies, [text(""), text(broad), text(denying), text("{"), None]);
    }

    #[test]
    fn a_very_long_call_is_truncated() {
        let long = "é".repeat(LONGEST_TEXT_BYTES);
        let sent = (0..MOST_PARAMETERS + 5).map(|n| (format!("p{n}"), long.clone())).collect();
        let kept = call(&sent).parameters;
        assert_eq!((kept.len(), kept["p0"].len()), (MOST_PARAMETERS, LONGEST_TEXT_BYTES));
    }

    #[test]
    fn unknown_actions_beyond_the_limit_are_counted_together() {
        let calls = Arc::new(Calls::default());
        for n in 0..MOST_ACTIONS + 5 {
            calls.arrived(call(&params([("Action", format!("A{n}").as_str())])));
        }
        assert_eq!(calls.totals().len(), MOST_ACTIONS + 1);
        assert_eq!(calls.totals()[OTHERS][ABANDONED], 5);
    }

    #[test]
    fn the_log_of_calls_is_bounded_and_the_totals_are_not() {
        let calls = Arc::new(Calls::default());
        for _ in 0..MOST_CALLS + 5 {
            calls.arrived(call(&params([("Action", "AssumeRole")])));
        }
        assert_eq!(
            (calls.list().len(), calls.unrestricted().len()),
            (MOST_CALLS, MOST_UNRESTRICTED)
        );
        assert_eq!(calls.totals()["AssumeRole"][ABANDONED], (MOST_CALLS + 5) as u64);
    }

    /// The calls and the totals, by their outcomes.
    fn outcomes(calls: &Calls) -> (Vec<String>, Totals) {
        (calls.list().into_iter().map(|call| call.outcome).collect(), calls.totals())
    }

    #[test]
    fn a_call_is_recorded_on_arrival_and_ends_answered_or_abandoned() {
        let calls = Arc::new(Calls::default());
        let arrived = || calls.arrived(call(&params([("Action", "AssumeRole")])));
        let (first, second) = (arrived(), arrived());
        assert_eq!(outcomes(&calls), (vec![String::new(), String::new()], Totals::new()));
        assert_eq!(calls.unrestricted().len(), 2);
        second.answered("Success".to_owned());
        drop(first);
        let ended = ["Abandoned", "Success"].map(str::to_owned);
        let totals = ended.clone().map(|outcome| (outcome, 1)).into();
        assert_eq!(outcomes(&calls), (ended.to_vec(), [("AssumeRole".to_owned(), totals)].into()));
        assert_eq!(calls.unrestricted(), calls.list());
    }

    #[test]
    fn clearing_hides_no_unrestricted_call_and_a_late_answer_changes_no_other_call() {
        let calls = Arc::new(Calls::default());
        let arrived = || calls.arrived(call(&params([("Action", "AssumeRole")])));
        let before = arrived();
        calls.clear();
        let after = arrived();
        before.answered("Success".to_owned());
        assert_eq!(outcomes(&calls), (vec![String::new()], Totals::new()));
        drop(after);
        let unrestricted = calls.unrestricted().into_iter().map(|call| call.outcome);
        assert_eq!(unrestricted.collect::<Vec<_>>(), ["Success", "Abandoned"]);
    }
}
