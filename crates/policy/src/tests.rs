//! What holds between the parts: nothing that is contained reaches further.

mod asks;
pub(crate) mod draw;
mod issuers;
mod overlap;
mod reading;
mod refusals;
mod requested_policy;
mod worlds;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::containment::requested_policy::RequestedPolicy;
use crate::document::tree::Document;
use crate::evaluate::request::Request;
use crate::exact::Inclusion;
use draw::{draw, draw_from, or_any};
use reading::{Reading, readings};
use requested_policy::requested_from;
use worlds::{Probe, policy, probe};

fn request(probe: &Probe) -> Request {
    Request::new(probe.action, &probe.resource, probe.conditions.clone()).unwrap()
}

fn read(policy: &Value) -> Document<String> {
    Document::plain(&policy.to_string()).unwrap()
}

#[test]
fn a_seed_draws_the_same_worlds_again() {
    let worlds = |seed| {
        let mut worlds = Vec::new();
        draw_from(seed, 20, &(policy(), probe()), |(policy, probe)| {
            worlds.push(format!("{policy} {probe:?}"));
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
        (Just(granted.clone()), requested_from(granted), prop::collection::vec(probe(), 20))
    });
    let (mut reached, mut decided) = (0, 0);
    let accepted = draw(1500, &case, |(granted, requested, probes)| {
        let Ok(parsed) = RequestedPolicy::parse(&requested.to_string()) else { return false };
        let Ok(common) = parsed.within(&read(&granted)) else { return false };
        let sent: Value = serde_json::from_str(&common.minified()).unwrap();
        assert_eq!(read(&sent), common, "what is sent reads as something else");
        // A key that is compared as values of two kinds is not decided.
        match common.inclusion_in(&read(&granted)) {
            Inclusion::Included => decided += 1,
            Inclusion::TooComplex(_) => {}
            Inclusion::Beyond(witness) => panic!("{witness}\n{granted}\n{requested}\n{sent}"),
        }
        for probe in &probes {
            for reading in readings().filter(|reading| reading.allows(&sent, probe)) {
                let context = || format!("{reading:?}\n{granted}\n{requested}\n{sent}\n{probe:?}");
                assert!(reading.allows(&granted, probe), "beyond the grant: {}", context());
                let is_requested = reading.allows_in_another_case(&requested, probe);
                assert!(is_requested, "beyond the requested: {}", context());
                reached += 1;
            }
            let request = request(probe);
            if common.decide(&request).is_allowed() {
                assert!(
                    read(&granted).decide(&request).is_allowed(),
                    "{granted}\n{sent}\n{probe:?}"
                );
            }
        }
        true
    });
    // Else the test would prove nothing.
    assert!(
        accepted > 150 && reached > 1_000 && decided > 100,
        "{accepted} were accepted, {decided} decided exactly, {reached} allowed"
    );
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
        .map(|prefix| Probe {
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
            for requested in &lists {
                for (operator, key) in [
                    (operator, "oss:Prefix"),
                    (operator, "oss:prefix"),
                    ("StringLike", "oss:Prefix"),
                ] {
                    let requested =
                        RequestedPolicy::parse(&policy(operator, key, requested).to_string())
                            .unwrap();
                    let Ok(common) = requested.within(&parsed) else { continue };
                    accepted += 1;
                    let sent: Value = serde_json::from_str(&common.minified()).unwrap();
                    for probe in &requests {
                        for reading in readings().filter(of_conditions) {
                            let wider =
                                reading.allows(&sent, probe) && !reading.allows(&granted, probe);
                            assert!(!wider, "{reading:?}\n{granted}\n{sent}\n{probe:?}");
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
    let case = (policy(), prop::collection::vec(probe(), 40));
    let requested = draw(300, &case, |(granted, probes)| {
        let Ok(parsed) = RequestedPolicy::parse(&granted.to_string()) else { return false };
        let granted = read(&granted);
        let common =
            parsed.within(&granted).unwrap_or_else(|excess| panic!("{excess}\n{granted:?}"));
        for probe in &probes {
            let decide = |policy: &Document<String>| policy.decide(&request(probe)).is_allowed();
            assert_eq!(decide(&common), decide(&granted), "{granted:?}\n{probe:?}");
        }
        true
    });
    assert!(requested > 70, "only {requested} could be requested");
}

#[test]
fn policies_that_say_the_same_in_another_order_are_sent_as_the_same_bytes() {
    let requested = draw(200, &policy(), |policy| {
        let Ok(parsed) = RequestedPolicy::parse(&policy.to_string()) else { return false };
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
        let turned = RequestedPolicy::parse(&turned.to_string()).unwrap();
        let granted = read(&policy);
        assert_eq!(parsed.within(&granted), turned.within(&granted), "{policy}");
        true
    });
    assert!(requested > 60, "only {requested} could be requested");
}

proptest! {
    /// For policies from outside the repository.
    #[test]
    fn no_text_of_a_caller_breaks_out_of_its_json_string(
        (action, resource, key, value) in (
            or_any(&["oss:GetObject", "oss:*", "*"]),
            or_any(&["acs:oss:*:*:bkt/é/*", "acs:oss:*:*:bkt", "*"]),
            or_any(&["oss:Prefix", "acs:SourceIp"]),
            or_any(&["a/*", "東京/"]),
        ),
        raw in any::<String>(),
    ) {
        let _ = RequestedPolicy::parse(&raw);
        let requested = json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource,
            "Condition": {"StringLike": {key: value}}}]});
        if let Ok(parsed) = RequestedPolicy::parse(&requested.to_string()) {
            let everything = read(&json!({"Version": "1", "Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"}]}));
            let sent = parsed.within(&everything).unwrap().minified();
            prop_assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), requested);
            prop_assert!(!sent.contains(['\\', '$']) && !sent.contains(char::is_control), "{}", sent);
        }
    }
}
