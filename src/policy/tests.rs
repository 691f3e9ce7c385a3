//! What holds between the parts: nothing that is contained reaches further, and both evaluators agree.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::asked::AskedPolicy;
use super::document::Document;
use super::request::Request;
use super::{Breadth, Narrowing, NarrowingTexts, RawValues, Shape, ValueRule, ValueRules};

/// A request in words.
#[derive(Clone, Debug)]
struct Asking {
    action: &'static str,
    resource: String,
    conditions: BTreeMap<String, String>,
}

impl Asking {
    fn request(&self) -> Request {
        Request::new(self.action, &self.resource, self.conditions.clone()).unwrap()
    }
}

fn read(policy: &Value) -> Document<String> {
    Document::read(&policy.to_string(), |_, raw| Ok(raw.to_owned())).unwrap()
}

// Small worlds, so that policies and requests often meet.

fn action() -> impl Strategy<Value = String> {
    const ALL: &[&str] = &[
        "oss:GetObject",
        "oss:PutObject",
        "oss:Get*",
        "oss:*Object",
        "oss:*",
        "*",
        "oss:?etObject",
        "oss:getobject",
        "*:GetObject",
        "o?s:GetObject",
        "ram:GetUser",
    ];
    select(ALL).prop_map(str::to_owned)
}

fn resource() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "acs:oss:\\*:\\*:bkt/[ab*?/:]{0,4}",
        1 => "acs:oss:[*r]:[*1]:bkt(/a)?/\\*",
        1 => "acs:oss:\\*:\\*:(bkt|bk?|\\*|b\\*)(/[ab*])?",
        1 => Just("*".to_owned()),
        1 => Just("acs:oss:*".to_owned()),
        1 => Just("acs:oss:*:*:oth/b:bkt/a".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let key = select(&["oss:Prefix", "oss:prefix", "acs:SourceIp"][..]);
    let strings = select(
        &[
            "StringLike",
            "StringNotLike",
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
        ][..],
    );
    let numbers = prop::collection::vec("[0-9]", 1..3);
    let numeric = select(&["NumericLessThan", "NumericEquals", "NumericNotEquals"][..]);
    let ranges =
        prop::collection::vec(select(&["10.0.0.0/8", "10.1.0.0/16", "::/0", "b::1"][..]), 1..3);
    let addresses = select(&["IpAddress", "NotIpAddress"][..]);
    prop_oneof![
        4 => (strings, key.clone(), texts()).prop_map(|(o, k, v)| json!({o: {k: v}})),
        1 => (numeric, key.clone(), numbers).prop_map(|(o, k, v)| json!({o: {k: v}})),
        1 => (addresses, key, ranges).prop_map(|(o, k, v)| json!({o: {k: v}})),
    ]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ab*?/é]{1,3}", 1..3)
}

fn statement() -> impl Strategy<Value = Value> {
    let deny = prop::bool::weighted(0.2);
    let not = prop::bool::weighted(0.1);
    let actions = prop::collection::vec(action(), 1..3);
    let resources = prop::collection::vec(resource(), 1..3);
    let condition = prop::option::weighted(0.4, condition());
    (deny, not, actions, resources, condition).prop_map(
        |(deny, not, actions, resources, condition)| {
            let mut statement = json!({
                "Effect": if deny { "Deny" } else { "Allow" },
                (if not { "NotAction" } else { "Action" }): actions,
                "Resource": resources,
            });
            if let Some(condition) = condition {
                statement["Condition"] = condition;
            }
            statement
        },
    )
}

fn policy() -> impl Strategy<Value = Value> {
    prop::collection::vec(statement(), 1..4)
        .prop_map(|statements| json!({"Version": "1", "Statement": statements}))
}

/// A policy that mostly asks for what this one gives, or for somewhat less or more.
fn asked_of(granted: Value) -> impl Strategy<Value = Value> {
    let statements = granted["Statement"].as_array().unwrap().clone();
    let count = statements.len();
    let less = (subsequence(statements, 1..=count), any::<[bool; 3]>(), "[ab*/]{0,2}", condition());
    let less = less.prop_map(|(mut statements, [first, only, drop], tail, condition)| {
        for statement in &mut statements {
            let shorten = |list: &mut Value| list.as_array_mut().unwrap().truncate(1);
            if first {
                shorten(&mut statement["Resource"]);
            }
            if only && statement["Action"].is_array() {
                shorten(&mut statement["Action"]);
            }
            for resource in statement["Resource"].as_array_mut().unwrap() {
                let text = resource.as_str().unwrap();
                *resource = match text.strip_suffix('*') {
                    Some(open) if text.contains('/') => format!("{open}{tail}").into(),
                    Some(_) | None => text.into(),
                };
            }
            if drop {
                statement.as_object_mut().unwrap().remove("Condition");
            } else if tail.is_empty() {
                statement["Condition"] = condition.clone();
            }
        }
        json!({"Version": "1", "Statement": statements})
    });
    prop_oneof![3 => less, 1 => policy()]
}

fn asking() -> impl Strategy<Value = Asking> {
    let action = select(
        &["oss:GetObject", "oss:PutObject", "OSS:getobject", "ram:GetUser", "oss:SetObject"][..],
    );
    let resource = prop_oneof![
        6 => "acs:oss:[rs]:[12]:(bkt|bk2)(/[ab/:é]{0,4})?",
        1 => Just("acs:oss:r:1:oth/b:bkt/a".to_owned()),
        1 => Just("acs:ram:r:1:bkt/a".to_owned()),
    ];
    let value = prop_oneof![3 => "[ab/é]{0,3}", 1 => "[0-9]", 1 => Just("10.1.2.3".to_owned())];
    let key = select(&["oss:Prefix", "acs:SourceIp"][..]).prop_map(str::to_owned);
    let conditions = prop::collection::btree_map(key, value, 0..3);
    (action, resource, conditions).prop_map(|(action, resource, conditions)| Asking {
        action,
        resource,
        conditions,
    })
}

/// One of the ways in which RAM's documentation can be read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    stars_cross_colons: bool,
    case_of_actions_counts: bool,
    question_marks_are_bytes: bool,
    values_are_negated_one_by_one: bool,
    case_of_keys_counts: bool,
}

fn readings() -> impl Iterator<Item = Reading> {
    (0..32u8).map(|bits| Reading {
        stars_cross_colons: bits & 1 != 0,
        case_of_actions_counts: bits & 2 != 0,
        question_marks_are_bytes: bits & 4 != 0,
        values_are_negated_one_by_one: bits & 8 != 0,
        case_of_keys_counts: bits & 16 != 0,
    })
}

// RAM's evaluation once more, from the JSON and with none of this crate's code.
impl Reading {
    fn allows(self, policy: &Value, asking: &Asking) -> bool {
        let statements = policy["Statement"].as_array().unwrap();
        let effects: Vec<_> = statements
            .iter()
            .filter(|statement| self.applies(statement, asking))
            .map(|statement| statement["Effect"].as_str().unwrap())
            .collect();
        effects.contains(&"Allow") && !effects.contains(&"Deny")
    }

    fn applies(self, statement: &Value, asking: &Asking) -> bool {
        let named =
            |list: &Value| strings(list).iter().any(|pattern| self.names(pattern, asking.action));
        let acts = statement.get("Action").map_or_else(|| !named(&statement["NotAction"]), named);
        acts && strings(&statement["Resource"]).iter().any(|p| self.is_on(p, &asking.resource))
            && statement.get("Condition").is_none_or(|condition| {
                condition.as_object().unwrap().iter().all(|(operator, keys)| {
                    let keys = keys.as_object().unwrap();
                    let last = |key: &String| keys.keys().rfind(|other| self.same_key(other, key));
                    let mut counting = keys.iter().filter(|(key, _)| last(key) == Some(key));
                    counting
                        .all(|(key, values)| self.holds(operator, key, &strings(values), asking))
                })
            })
    }

    /// Where case does not count, the last of two keys wins.
    fn same_key(self, one: &str, other: &str) -> bool {
        if self.case_of_keys_counts { one == other } else { one.eq_ignore_ascii_case(other) }
    }

    fn names(self, pattern: &str, action: &str) -> bool {
        if self.case_of_actions_counts {
            self.glob(pattern, action)
        } else {
            self.glob(&pattern.to_lowercase(), &action.to_lowercase())
        }
    }

    fn is_on(self, pattern: &str, resource: &str) -> bool {
        let fields = |text: &str| text.splitn(5, ':').map(str::to_owned).collect::<Vec<_>>();
        if self.stars_cross_colons || fields(pattern).len() < 5 {
            self.glob(pattern, resource)
        } else {
            fields(pattern).iter().zip(fields(resource)).all(|(p, field)| self.glob(p, &field))
        }
    }

    fn holds(self, operator: &str, key: &str, values: &[&str], asking: &Asking) -> bool {
        let mut conditions = asking.conditions.iter();
        let actual = conditions.find(|(other, _)| self.same_key(other, key));
        let actual = actual.map(|(_, value)| value.as_str());
        let (plain, negated) = match operator.split_once("Not") {
            Some((kind, rest)) => (format!("{kind}{rest}"), true),
            None => (operator.to_owned(), false),
        };
        let compares =
            |value: &&str| actual.is_some_and(|actual| self.compares(&plain, value, actual));
        match negated {
            false => values.iter().any(compares),
            true if self.values_are_negated_one_by_one => !values.iter().all(compares),
            true => !values.iter().any(compares),
        }
    }

    fn compares(self, operator: &str, value: &str, actual: &str) -> bool {
        let numbers = || Some((value.parse::<u8>().ok()?, actual.parse::<u8>().ok()?));
        match operator {
            "StringEquals" => value == actual,
            "StringEqualsIgnoreCase" => value.to_lowercase() == actual.to_lowercase(),
            "StringLike" => self.glob(value, actual),
            "NumericEquals" => numbers().is_some_and(|(value, actual)| actual == value),
            "NumericLessThan" => numbers().is_some_and(|(value, actual)| actual < value),
            // All that requests here hold is 10.1.2.3.
            "IpAddress" => actual == "10.1.2.3" && value.starts_with("10."),
            other => panic!("{other}"),
        }
    }

    fn glob(self, pattern: &str, text: &str) -> bool {
        fn glob<T: PartialEq>(pattern: &[T], text: &[T], star: &T, any: &T) -> bool {
            match (pattern.split_first(), text.split_first()) {
                (None, None) => true,
                (Some((p, rest)), None) => p == star && glob(rest, text, star, any),
                (Some((p, rest)), Some((_, after))) if p == star => {
                    glob(rest, text, star, any) || glob(pattern, after, star, any)
                }
                (Some((p, rest)), Some((t, after))) => {
                    (p == any || p == t) && glob(rest, after, star, any)
                }
                (None, Some(_)) => false,
            }
        }
        if self.question_marks_are_bytes {
            glob(pattern.as_bytes(), text.as_bytes(), &b'*', &b'?')
        } else {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            glob(&chars(pattern), &chars(text), &'*', &'?')
        }
    }
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().map(|text| text.as_str().unwrap()).collect(),
        other => panic!("{other} is neither a string nor a list"),
    }
}

/// Draws cases and counts on how many the test had something to say.
fn draw<S: Strategy>(cases: usize, strategy: &S, mut test: impl FnMut(S::Value) -> bool) -> usize {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &rand::random::<[u8; 32]>()),
    );
    (0..cases).filter(|_| test(strategy.new_tree(&mut runner).unwrap().current())).count()
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
    let values = ["a", "é", "a*", "?*", "?"];
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

/// T8: what SDKs do, by the operations that they call for it.
const TASKS: [(&str, &[&str]); 7] = [
    ("get", &["oss:GetObject", "oss:HeadObject"]),
    ("put", &["oss:PutObject"]),
    (
        "multipart",
        &["oss:InitiateMultipartUpload", "oss:UploadPart", "oss:CompleteMultipartUpload"],
    ),
    ("resume", &["oss:ListParts", "oss:UploadPart", "oss:CompleteMultipartUpload"]),
    ("abort", &["oss:AbortMultipartUpload"]),
    ("delete", &["oss:DeleteObject", "oss:DeleteMultipleObjects"]),
    ("list", &["oss:ListObjects", "oss:ListObjectsV2"]),
];

/// The tasks that a shipped policy lets a caller do in a folder.
fn tasks(policy: &str, folder: &str) -> String {
    let json = std::fs::read_to_string(format!("config/policies/{policy}.json")).unwrap();
    let album = || ("album".parse().unwrap(), ValueRule::text(Shape::Segment, None, 64).unwrap());
    let rules = ValueRules {
        params: json.contains("params.album").then(album).into_iter().collect(),
        claims: BTreeMap::new(),
        subject_max_bytes: 64,
    };
    let texts = NarrowingTexts {
        policy: &json,
        breadth: if policy == "read-all" { Breadth::Broad } else { Breadth::Narrow },
        session_name: None,
        source_identity: None,
    };
    let narrowing = Narrowing::parse(texts, rules).unwrap();
    let params = narrowing.rules().params.keys();
    let raw = RawValues {
        client: &"photo-app".parse().unwrap(),
        subject: Some(&"alice".parse().unwrap()),
        claims: &BTreeMap::new(),
        params: &params.map(|name| (name.to_string(), "2015".to_owned())).collect(),
        now: "2015-01-01T03:04:05Z".parse().unwrap(),
    };
    let rendered = narrowing.render(raw).unwrap().policy;
    let rendered = read(&serde_json::from_str(rendered.as_str()).unwrap());
    let allows = |operation: &str| {
        let listing = operation.contains("List") && !operation.contains("Parts");
        let key = if listing { String::new() } else { format!("/{folder}a.jpg") };
        let conditions = listing.then(|| ("oss:Prefix".to_owned(), folder.to_owned()));
        let resource = format!("acs:oss:oss-cn-hangzhou:11223344:sample-bucket{key}");
        let request = Request::new(operation, &resource, conditions.into_iter().collect());
        rendered.decide(&request.unwrap()).is_allowed()
    };
    let may = TASKS.iter().filter(|(_, operations)| operations.iter().all(|one| allows(one)));
    let may: Vec<_> = may.map(|(task, _)| *task).collect();
    if may.is_empty() { "nothing".to_owned() } else { may.join(" ") }
}

#[test]
fn the_shipped_policies_let_sdks_do_what_they_are_for_and_nothing_next_to_it() {
    let mut lines = Vec::new();
    for (policy, own, next) in [
        ("read-all", "2015/", "bob/"),
        ("daily-photos", "2015/01/01/", "2015/01/02/"),
        ("todays-photos", "2015/01/01/", "2015/01/02/"),
        ("one-album", "albums/2015/", "albums/2016/"),
        ("shared-album", "albums/2015/", "albums/20150/"),
        ("list-only", "albums/2015/", "albums/"),
        ("my-photos", "users/alice/", "users/alice0/"),
        ("upload-only", "uploads/photo-app/", "uploads/photo/"),
    ] {
        lines.push(format!("{policy}: {} | {}", tasks(policy, own), tasks(policy, next)));
    }
    let shipped = std::fs::read_dir("config/policies").unwrap().count();
    assert_eq!(lines.len(), shipped, "a policy is shipped that is not tried here");
    insta::assert_snapshot!(lines.join("\n"), @r"
read-all: get list | get list
daily-photos: get | nothing
todays-photos: get | nothing
one-album: get | nothing
shared-album: get list | nothing
list-only: list | nothing
my-photos: get put multipart resume abort delete list | nothing
upload-only: put multipart resume abort | nothing
");
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
