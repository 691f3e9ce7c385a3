//! What holds between the parts: nothing that is contained reaches further, and both evaluators agree.

#[cfg(feature = "emulator")]
mod grammar;
mod issuers;
mod reading;
mod shipped;
mod worlds;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::asked::AskedPolicy;
use super::document::Document;
use reading::{Reading, readings};
use worlds::{Asking, asked_of, asking, policy};

/// Whether the emulated STS takes the policy: by a reader of its own.
#[cfg(feature = "emulator")]
fn sts_takes(json: &str) -> bool {
    crate::emulator::ram::Policy::parse(json).is_ok()
}

fn read(policy: &Value) -> Document<String> {
    Document::plain(&policy.to_string()).unwrap()
}

/// Where a failing run's seed is put, to draw the same worlds again: `POLICY_SEED=… cargo test policy::tests`.
const SEED: &str = "POLICY_SEED";

/// Draws cases and counts on how many the test had something to say. What is printed is shown when the test fails.
fn draw<S: Strategy>(cases: usize, strategy: &S, test: impl FnMut(S::Value) -> bool) -> usize {
    #[expect(clippy::disallowed_methods, reason = "a failing run's seed, for the test alone")]
    let given = std::env::var(SEED).ok();
    let seed = given.map_or_else(rand::random, |hex| {
        let bytes = hex::decode(hex).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.expect("POLICY_SEED is the 64 hexadecimal digits that a failing test printed")
    });
    println!("to draw the same worlds again: {SEED}={}", hex::encode(seed));
    draw_from(seed, cases, strategy, test)
}

fn draw_from<S: Strategy>(
    seed: [u8; 32],
    cases: usize,
    strategy: &S,
    mut test: impl FnMut(S::Value) -> bool,
) -> usize {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..cases).filter(|_| test(strategy.new_tree(&mut runner).unwrap().current())).count()
}

#[test]
fn a_seed_draws_the_same_worlds_again() {
    let worlds = |seed| {
        let mut worlds = Vec::new();
        draw_from(seed, 20, &(policy(), asking()), |(policy, asking)| {
            worlds.push(format!("{policy} {asking:?}"));
            true
        });
        worlds
    };
    assert_eq!(worlds([7; 32]), worlds([7; 32]));
    assert_ne!(worlds([7; 32]), worlds([8; 32]));
}

#[test]
fn whatever_the_contained_policy_allows_the_grant_allows_however_ram_is_read() {
    let case = policy().prop_flat_map(|granted| {
        (Just(granted.clone()), asked_of(granted), prop::collection::vec(asking(), 20))
    });
    let mut reached = 0;
    let accepted = draw(1500, &case, |(granted, asked, askings)| {
        let Ok(parsed) = AskedPolicy::parse(&asked.to_string()) else { return false };
        let Ok(common) = parsed.within(&read(&granted)) else { return false };
        let sent: Value = serde_json::from_str(&common.minified()).unwrap();
        assert_eq!(read(&sent), common, "what is sent reads as something else");
        for asking in &askings {
            for reading in readings().filter(|reading| reading.allows(&sent, asking)) {
                let context = || format!("{reading:?}\n{granted}\n{asked}\n{sent}\n{asking:?}");
                assert!(reading.allows(&granted, asking), "beyond the grant: {}", context());
                assert!(reading.allows(&asked, asking), "beyond the asked: {}", context());
                reached += 1;
            }
            let request = asking.request();
            if common.decide(&request).is_allowed() {
                assert!(
                    read(&granted).decide(&request).is_allowed(),
                    "{granted}\n{sent}\n{asking:?}"
                );
            }
        }
        true
    });
    // Else the test would prove nothing.
    assert!(accepted > 150 && reached > 1_000, "{accepted} were accepted, {reached} allowed");
}

/// A small world, tried in full.
#[test]
fn a_grants_conditions_hold_for_what_is_sent_however_ram_is_read() {
    let values = ["a", "é", "a*", "?*", "?", "*"];
    let singles = values.iter().map(|one| vec![*one]);
    let pairs = values.iter().flat_map(|one| values.iter().map(|two| vec![*one, *two]));
    let lists: Vec<_> = singles.chain(pairs.filter(|pair| pair[0] < pair[1])).collect();
    let requests: Vec<_> = [None, Some(""), Some("a"), Some("b"), Some("ab"), Some("é"), Some("A")]
        .into_iter()
        .map(|prefix| Asking {
            action: "oss:ListObjects",
            resource: "acs:oss:r:1:bkt".to_owned(),
            conditions: prefix
                .map(|prefix| ("oss:Prefix".to_owned(), prefix.to_owned()))
                .into_iter()
                .collect(),
        })
        .collect();
    let policy = |operator: &str, key: &str, values: &[&str]| {
        json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:ListObjects",
            "Resource": "acs:oss:*:*:bkt", "Condition": {operator: {key: values}}}]})
    };
    let operators = [
        "StringLike",
        "StringNotLike",
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
    ];
    let of_conditions =
        |reading: &Reading| !reading.stars_cross_colons && !reading.case_of_actions_counts;
    let mut accepted = 0;
    for operator in operators {
        for granted in &lists {
            let granted = policy(operator, "oss:Prefix", granted);
            let parsed = read(&granted);
            for asked in &lists {
                for (operator, key) in [
                    (operator, "oss:Prefix"),
                    (operator, "oss:prefix"),
                    ("StringLike", "oss:Prefix"),
                ] {
                    let asked =
                        AskedPolicy::parse(&policy(operator, key, asked).to_string()).unwrap();
                    let Ok(common) = asked.within(&parsed) else { continue };
                    accepted += 1;
                    let sent: Value = serde_json::from_str(&common.minified()).unwrap();
                    for asking in &requests {
                        for reading in readings().filter(of_conditions) {
                            let wider =
                                reading.allows(&sent, asking) && !reading.allows(&granted, asking);
                            assert!(!wider, "{reading:?}\n{granted}\n{sent}\n{asking:?}");
                        }
                    }
                }
            }
        }
    }
    assert!(accepted > 1000, "only {accepted} were accepted");
}

#[test]
fn a_grants_own_policy_lies_within_it_and_decides_the_same() {
    let case = (policy(), prop::collection::vec(asking(), 40));
    let asked = draw(300, &case, |(granted, askings)| {
        let Ok(parsed) = AskedPolicy::parse(&granted.to_string()) else { return false };
        let granted = read(&granted);
        let common =
            parsed.within(&granted).unwrap_or_else(|excess| panic!("{excess}\n{granted:?}"));
        for asking in &askings {
            let decide = |policy: &Document<String>| policy.decide(&asking.request()).is_allowed();
            assert_eq!(decide(&common), decide(&granted), "{granted:?}\n{asking:?}");
        }
        true
    });
    assert!(asked > 70, "only {asked} could be asked for");
}

#[test]
fn policies_that_say_the_same_in_another_order_are_sent_as_the_same_bytes() {
    let asked = draw(200, &policy(), |policy| {
        let Ok(parsed) = AskedPolicy::parse(&policy.to_string()) else { return false };
        let mut turned = policy.clone();
        let statements = turned["Statement"].as_array_mut().unwrap();
        for statement in statements.iter_mut() {
            for list in ["Action", "Resource"] {
                let list = statement[list].as_array_mut().unwrap();
                list.reverse();
                list.push(list[0].clone());
            }
        }
        statements.reverse();
        let turned = AskedPolicy::parse(&turned.to_string()).unwrap();
        let granted = read(&policy);
        assert_eq!(parsed.within(&granted), turned.within(&granted), "{policy}");
        true
    });
    assert!(asked > 60, "only {asked} could be asked for");
}

proptest! {
    /// T2, for policies from outside.
    #[test]
    fn whatever_text_a_caller_sends_nothing_of_it_breaks_out_of_its_place(
        (action, resource, key, value) in (
            or_any(&["oss:GetObject", "oss:*", "*"]),
            or_any(&["acs:oss:*:*:bkt/é/*", "acs:oss:*:*:bkt", "*"]),
            or_any(&["oss:Prefix", "acs:SourceIp"]),
            or_any(&["a/*", "東京/"]),
        ),
        raw in any::<String>(),
    ) {
        let _ = AskedPolicy::parse(&raw);
        let asked = json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource,
            "Condition": {"StringLike": {key: value}}}]});
        if let Ok(parsed) = AskedPolicy::parse(&asked.to_string()) {
            let everything = read(&json!({"Version": "1", "Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"}]}));
            let sent = parsed.within(&everything).unwrap().minified();
            prop_assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), asked);
            prop_assert!(!sent.contains(['\\', '$', '%']) && !sent.contains(char::is_control), "{}", sent);
        }
    }
}

/// One of these, or anything.
fn or_any(good: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![1 => any::<String>(), 1 => "[a-z*?:\"\\\\$]{0,6}", 6 => select(good).prop_map(str::to_owned)]
}

/// The emulator's evaluator was written without this one, and from the documentation alone.
#[cfg(feature = "emulator")]
#[test]
fn our_decision_is_the_emulators() {
    use super::evaluate::Verdict;
    use crate::emulator::ram::{self, Deciding, Decision};

    let mut allowed = 0;
    let case = (policy(), prop::collection::vec(asking(), 20));
    draw(600, &case, |(policy, askings)| {
        let theirs = ram::Policy::parse(&policy.to_string()).unwrap();
        for asking in &askings {
            let mut request = ram::Request::new(asking.action, &asking.resource);
            for (key, value) in &asking.conditions {
                request = request.with(key, value.as_str());
            }
            let theirs = match theirs.decide(&request) {
                Decision::Allowed(Deciding { statement, .. }) => Verdict::Allowed { statement },
                Decision::ExplicitlyDenied(Deciding { statement, .. }) => {
                    Verdict::ExplicitlyDenied { statement }
                }
                Decision::ImplicitlyDenied => Verdict::ImplicitlyDenied,
            };
            allowed += usize::from(theirs.is_allowed());
            assert_eq!(read(&policy).decide(&asking.request()), theirs, "{policy}\n{asking:?}");
        }
        true
    });
    assert!(allowed > 200, "only {allowed} requests were allowed");
}

/// Every operator, on values that readers of numbers, dates and addresses like to disagree about.
#[cfg(feature = "emulator")]
#[test]
fn our_operators_are_the_emulators() {
    use super::request::Request;
    use crate::emulator::ram;

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
            // Neither takes a policy with a value of another kind.
            let (ours, theirs) =
                (Document::plain(&policy.to_string()), ram::Policy::parse(&policy.to_string()));
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{operator} {value}");
            let (Ok(ours), Ok(theirs)) = (ours, theirs) else { continue };
            for actual in values {
                let name = "acs:oss:r:1:bkt";
                let conditions = [("a:b".to_owned(), actual.to_owned())].into();
                let request = Request::new("oss:GetObject", name, conditions).unwrap();
                let theirs =
                    theirs.decide(&ram::Request::new("oss:GetObject", name).with("a:b", actual));
                let ours = ours.decide(&request).is_allowed();
                assert_eq!(ours, theirs.is_allowed(), "{operator} {value}, asked with {actual}");
                compared += 1;
            }
        }
    }
    assert!(compared > 10_000, "only {compared} were compared");
}
