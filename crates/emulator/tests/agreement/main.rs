//! Compares the policy crate with the emulator's RAM: both were written separately, from the documentation alone.
//!
//! The comparison is a test of its own, because neither crate may import the other.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of this is tests")]

mod grammar;

// The same generated policies as in the tests of `policy`.
#[path = "../../../policy/src/tests/draw.rs"]
mod draw;
// The same generated policies as in the tests of `policy`.
#[path = "../../../policy/src/tests/worlds.rs"]
mod worlds;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use appserver_emulator::ram::{self, Deciding, Decision};
use appserver_policy::{
    Breadth, Explanation, GrantTemplate, GrantTexts, RawValues, RenderProblem, RenderedSession,
    Request, RequestedPolicy, RolePolicy, SessionPolicy, ValueRules,
};
use draw::draw;
use worlds::{policy, probe};

/// Whether the emulated STS accepts the policy, with its own parser.
fn sts_takes(json: &str) -> bool {
    ram::Policy::parse(json).is_ok()
}

/// A grant's policy that declares no parameter and no claim.
fn undeclared(policy: &str, breadth: Breadth) -> Option<GrantTemplate> {
    let texts = GrantTexts { policy, breadth, session_name: Some("name"), source_identity: None };
    let (params, claims) = Default::default();
    GrantTemplate::parse(texts, ValueRules { params, claims, subject_max_bytes: 64 }).ok()
}

/// A grant of everything.
fn everything() -> GrantTemplate {
    let policy = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    undeclared(policy, Breadth::Broad).unwrap()
}

/// With a value for each parameter.
fn with_values<T>(template: &GrantTemplate, value: &str, render: impl Fn(RawValues<'_>) -> T) -> T {
    let names = template.rules().params.keys();
    render(RawValues {
        client: &"photo-app".parse().unwrap(),
        issuer: None,
        subject: None,
        claims: &BTreeMap::new(),
        params: &names.map(|name| (name.to_string(), value.to_owned())).collect(),
        now: "2015-01-02T03:04:05Z".parse().unwrap(),
    })
}

fn rendered(template: &GrantTemplate, value: &str) -> Option<SessionPolicy> {
    with_values(template, value, |raw| template.render(raw)).ok().map(|session| session.policy)
}

fn within_everything(asked: &RequestedPolicy) -> Result<RenderedSession, RenderProblem> {
    let everything = everything();
    with_values(&everything, "", |raw| everything.render_within(raw, asked))
}

/// RAM's decision on a request, and the statement that made it.
type Said = (&'static str, Option<usize>);

/// Our decision: the role's policy decides if the session is allowed everything.
fn ours(session: &SessionPolicy, policy: &str, request: &Request) -> Said {
    let role = RolePolicy::parse(policy).unwrap();
    let explanation = Explanation::of(session, vec![role], request);
    // The session's only statement comes first.
    let of_role = &explanation.statements[1..];
    let effect = if explanation.allowed { "Allow" } else { "Deny" };
    let decides = of_role.iter().position(|judged| judged.applies && judged.effect == effect);
    (explanation.verdict, decides)
}

fn theirs(decision: Decision) -> Said {
    match decision {
        Decision::Allowed(Deciding { statement, .. }) => ("Allowed", Some(statement)),
        Decision::ExplicitlyDenied(Deciding { statement, .. }) => {
            ("ExplicitlyDenied", Some(statement))
        }
        Decision::ImplicitlyDenied => ("ImplicitlyDenied", None),
    }
}

#[test]
fn both_evaluators_decide_alike() {
    let session = rendered(&everything(), "").unwrap();
    let mut allowed = 0;
    let case = (policy(), prop::collection::vec(probe(), 20));
    draw(600, &case, |(policy, probes)| {
        let policy = policy.to_string();
        let emulated = ram::Policy::parse(&policy).unwrap();
        for probe in &probes {
            let mut request = ram::Request::new(probe.action, &probe.resource);
            for (key, value) in &probe.conditions {
                request = request.with(key, value.as_str());
            }
            let theirs = theirs(emulated.decide(&request));
            let request =
                Request::new(probe.action, &probe.resource, probe.conditions.clone()).unwrap();
            assert_eq!(ours(&session, &policy, &request), theirs, "{policy}\n{probe:?}");
            allowed += usize::from(theirs.0 == "Allowed");
        }
        true
    });
    assert!(allowed > 200, "only {allowed} requests were allowed");
}

/// Every operator, on values that parsers of numbers, dates and addresses often disagree about.
#[test]
fn both_evaluators_compare_alike() {
    let session = rendered(&everything(), "").unwrap();
    let operators = [
        "Bool",
        "DateEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateNotEquals",
        "IpAddress",
        "IpAddressIncludeBorder",
        "NotIpAddress",
        "NumericEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericNotEquals",
        "StringEquals",
        "StringEqualsIgnoreCase",
        "StringLike",
        "StringNotEquals",
        "StringNotEqualsIgnoreCase",
        "StringNotLike",
    ];
    let values = [
        "a",
        "A",
        "a*",
        "?",
        "ß",
        "SS",
        "İ",
        "i",
        "true",
        "True",
        "false",
        "0",
        "-0",
        "1",
        "+1",
        "1.0",
        "1e0",
        "0x1",
        "NaN",
        "inf",
        "9007199254740993",
        "9007199254740992",
        "2016-01-13T12:00:00Z",
        "2016-01-13T20:00:00+08:00",
        "2016-01-13t12:00:00z",
        "2016-01-13 12:00:00Z",
        "2016-01-13T12:00:00.5Z",
        "2016-12-31T23:59:60Z",
        "2016-01-13",
        "10.0.0.0/8",
        "10.0.0.0/08",
        "10.1.2.3",
        "10.1.2.3/8",
        "10.01.2.3",
        "::ffff:10.1.2.3",
        "::ffff:0:0/96",
        "::/0",
        "::1/128",
        "::1",
        "0.0.0.0/0",
        "10.0.0.0/33",
        "*",
        "10.0.0.0",
        "10.255.255.255",
        "",
    ];
    let mut compared = 0;
    for operator in operators {
        for value in values {
            let policy = json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*",
                "Condition": {operator: {"a:b": value}}}]});
            let policy = policy.to_string();
            let emulated = ram::Policy::parse(&policy);
            // Neither accepts a value of another type.
            assert_eq!(RolePolicy::parse(&policy).is_ok(), emulated.is_ok(), "{operator} {value}");
            let Ok(emulated) = emulated else { continue };
            for actual in values {
                let name = "acs:oss:r:1:bkt";
                let conditions = [("a:b".to_owned(), actual.to_owned())].into();
                let request = Request::new("oss:GetObject", name, conditions).unwrap();
                let asked = ram::Request::new("oss:GetObject", name).with("a:b", actual);
                let theirs = theirs(emulated.decide(&asked));
                let ours = ours(&session, &policy, &request);
                assert_eq!(ours, theirs, "{operator} {value}, asked with {actual}");
                compared += 1;
            }
        }
    }
    assert!(compared > 10_000, "only {compared} were compared");
}
