//! Refusals beyond a rate are counted and reported together, because anyone can cause any number of them.
//!
//! A reported line is the first request of its kind with `Count`, `First` and `Last`. A kind is the event, the answer's
//! code, the client and the address.

use std::collections::HashMap;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::line::{self, Decision, DenialReason, Request};

/// Seconds of the rate that are allowed at once.
const BURST_SECS: u32 = 10;
/// Kinds that one report distinguishes. All others share one line.
const MAX_KINDS: usize = 100;

#[derive(Debug)]
pub(super) struct RefusalSummary {
    per_second: NonZeroU32,
    /// Held while a count changes, or the first line of a kind is written.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The theoretical arrival time of GCRA: when the rate will have covered all lines so far.
    theoretical_arrival: Instant,
    counted: HashMap<String, RefusalCount>,
    /// A buffer for the kind of the current refusal.
    kind: String,
}

#[derive(Debug)]
struct RefusalCount {
    line: String,
    count: u64,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

/// How a refusal is recorded.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum RefusalOutcome {
    Line(String),
    /// It is counted; true for the first since the last report.
    Counted(bool),
}

impl RefusalSummary {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let state = State {
            theoretical_arrival: Instant::now(),
            counted: HashMap::new(),
            kind: String::new(),
        };
        Self { per_second, state: Mutex::new(state) }
    }

    pub(super) fn record(
        &self,
        request: &Request<'_>,
        decision: &Decision<'_>,
        tail: &str,
        now: Instant,
    ) -> RefusalOutcome {
        let mut state = self.state.lock();
        let theoretical_arrival =
            state.theoretical_arrival.max(now) + Duration::from_secs(1) / self.per_second.get();
        if theoretical_arrival <= now + Duration::from_secs(BURST_SECS.into()) {
            state.theoretical_arrival = theoretical_arrival;
            drop(state);
            return RefusalOutcome::Line(line::format(request, decision, tail));
        }
        let is_first = state.counted.is_empty();
        state.count(request, decision, tail);
        RefusalOutcome::Counted(is_first)
    }

    /// Appends the lines of all counted refusals, resets the counts, and returns the number of lines.
    pub(super) fn report(&self, lines: &mut Vec<u8>, tail: &str) -> usize {
        let counted = {
            let mut state = self.state.lock();
            std::mem::take(&mut state.counted)
        };
        let mut counted: Vec<_> = counted.into_values().collect();
        counted.sort_by_key(|counted| counted.first);
        for RefusalCount { line, count, first, last } in &counted {
            let many = line::count_members(*count, *first, *last);
            line::insert(lines, line.as_bytes(), &many, tail.len());
        }
        counted.len()
    }
}

impl State {
    fn count(&mut self, request: &Request<'_>, decision: &Decision<'_>, tail: &str) {
        let Self { counted, kind, .. } = self;
        let Request { event, client, address, time, .. } = request;
        kind.clear();
        let (is_ours, code) = match decision {
            Decision::Refused(DenialReason { code, .. }) => (false, *code),
            Decision::Failed(DenialReason { code, .. }) => (true, *code),
            Decision::Vended { .. } | Decision::Issued { .. } | Decision::Signed { .. } => {
                (false, "")
            }
        };
        // No part contains a space. Writing to a `String` does not fail.
        let _ = write!(kind, "{event:?} {is_ours} ");
        let rest = kind.len();
        let _ = write!(kind, "{code} {} {address}", client.unwrap_or_default());
        if !counted.contains_key(kind.as_str()) && counted.len() >= MAX_KINDS {
            kind.truncate(rest);
        }
        if let Some(counted) = counted.get_mut(kind.as_str()) {
            counted.count += 1;
            counted.last = (*time).max(counted.last);
            return;
        }
        let line = if kind.len() == rest {
            line::format_various(request, decision, tail)
        } else {
            line::format(request, decision, tail)
        };
        let of_one = RefusalCount { line, count: 1, first: *time, last: *time };
        counted.insert(kind.clone(), of_one);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::audit::Event;

    fn start() -> DateTime<Utc> {
        "2016-01-13T14:02:37Z".parse().unwrap()
    }

    /// Records a wrong secret of this client from that address, `at` milliseconds after the start.
    fn note(
        refusals: &RefusalSummary,
        client: &str,
        address: &str,
        at: u32,
        began: Instant,
    ) -> RefusalOutcome {
        let request = Request {
            time: start() + chrono::TimeDelta::milliseconds(at.into()),
            id: &format!("ID-{at}"),
            event: Event::Token,
            peer: "192.0.2.9:50000",
            address,
            client: Some(client),
            authenticated_by: None,
            subject: None,
            issuer: None,
            grant: None,
            ticket: None,
            is_granted: &std::sync::atomic::AtomicBool::new(false),
        };
        let why =
            DenialReason { code: "Unauthenticated", reason: "the secret is wrong", session: None };
        let now = began + Duration::from_millis(at.into());
        refusals.record(&request, &Decision::Refused(why), "}\n", now)
    }

    fn report(refusals: &RefusalSummary) -> Vec<Value> {
        let mut lines = Vec::new();
        let count = refusals.report(&mut lines, "}\n");
        let lines = String::from_utf8(lines).unwrap();
        assert_eq!(lines.lines().count(), count);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn refusals_beyond_the_rate_are_counted_by_kind_with_the_first_one_in_full() {
        let (refusals, began) = (RefusalSummary::new(NonZeroU32::new(2).unwrap()), Instant::now());
        let noted: Vec<_> =
            (0..100).map(|at| note(&refusals, "photo-app", "192.0.2.9", at, began)).collect();
        assert!(
            noted[..20].iter().all(|noted| matches!(noted, RefusalOutcome::Line(_))),
            "{noted:?}"
        );
        assert_eq!(noted[20], RefusalOutcome::Counted(true));
        assert!(noted[21..].iter().all(|noted| *noted == RefusalOutcome::Counted(false)));
        note(&refusals, "photo-app", "192.0.2.8", 100, began);
        note(&refusals, "other-app", "192.0.2.8", 101, began);
        let lines: Vec<_> = report(&refusals).iter().map(Value::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"Address":"192.0.2.9","Client":"photo-app","Code":"Unauthenticated","Count":80,"Decision":"Refused","Event":"Token","First":"2016-01-13T14:02:37Z","Last":"2016-01-13T14:02:37Z","Peer":"192.0.2.9:50000","Reason":"the secret is wrong","RequestId":"ID-20","Time":"2016-01-13T14:02:37.020Z"}
        {"Address":"192.0.2.8","Client":"photo-app","Code":"Unauthenticated","Count":1,"Decision":"Refused","Event":"Token","First":"2016-01-13T14:02:37Z","Last":"2016-01-13T14:02:37Z","Peer":"192.0.2.9:50000","Reason":"the secret is wrong","RequestId":"ID-100","Time":"2016-01-13T14:02:37.100Z"}
        {"Address":"192.0.2.8","Client":"other-app","Code":"Unauthenticated","Count":1,"Decision":"Refused","Event":"Token","First":"2016-01-13T14:02:37Z","Last":"2016-01-13T14:02:37Z","Peer":"192.0.2.9:50000","Reason":"the secret is wrong","RequestId":"ID-101","Time":"2016-01-13T14:02:37.101Z"}
        "#);
        assert_eq!(report(&refusals), [] as [Value; 0]);
        // Half a second allows one more.
        let later = [600, 601].map(|at| note(&refusals, "photo-app", "192.0.2.9", at, began));
        assert!(
            matches!(later, [RefusalOutcome::Line(_), RefusalOutcome::Counted(true)]),
            "{later:?}"
        );
    }

    #[test]
    fn a_report_about_10000_addresses_is_short_and_counts_them_all() {
        let (refusals, began) = (RefusalSummary::new(NonZeroU32::MIN), Instant::now());
        for n in 0..10_000 {
            note(&refusals, "photo-app", &format!("2001:db8::{n:x}"), 0, began);
        }
        let lines = report(&refusals);
        assert_eq!(lines.len(), MAX_KINDS + 1);
        let counts = lines.iter().map(|line| line["Count"].as_u64().unwrap());
        assert_eq!(counts.sum::<u64>(), 10_000 - u64::from(BURST_SECS));
        let rest = lines.iter().find(|line| line["Code"] == "Various").unwrap();
        insta::assert_snapshot!(rest, @r#"{"Code":"Various","Count":9890,"Decision":"Refused","Event":"Token","First":"2016-01-13T14:02:37Z","Last":"2016-01-13T14:02:37Z","Reason":"more kinds than one report distinguishes","RequestId":"ID-0","Time":"2016-01-13T14:02:37.000Z"}"#);
    }
}
