//! Every parser of RAM policies in this product accepts the same policies, and STS accepts every policy of a caller that the service accepts.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::draw::{draw, or_any};
use super::{rendered, sts_takes, undeclared, within_everything};
use appserver_policy::{
    Breadth, ContainmentError, GrantTemplate, GrantTexts, PolicyRefusal, RenderProblem,
    RequestedPolicy, RolePolicy, Shape, ValueRule, ValueRules, lint_file,
};

const CORPUS: &str = include_str!("../../../../tests/vectors/policy-grammar.json");

/// Whether the policy is accepted, and if so what is sent to STS.
type Reader = fn(&str) -> Option<String>;

const READERS: [(&str, Reader); 5] = [
    ("template", |json| {
        let template = undeclared(json, Breadth::Broad)?;
        Some(rendered(&template, "x").expect("nothing is asked for").into_json())
    }),
    ("lint", |json| lint_file(json, Breadth::Broad, &[]).problems.is_empty().then(String::new)),
    ("role", |json| RolePolicy::parse(json).ok().map(|_| String::new())),
    ("own", |json| {
        let asked = RequestedPolicy::parse(json).ok()?;
        match within_everything(&asked) {
            Ok(rendered) => Some(rendered.policy.into_json()),
            // It is valid, and only too long to be sent, or not compared with what is granted.
            Err(RenderProblem::Policy(
                PolicyRefusal::NotContained { error: ContainmentError::TooLong { .. }, .. }
                | PolicyRefusal::TooComplex { .. },
            )) => Some(String::new()),
            Err(problem) => panic!("everything is granted: {problem}"),
        }
    }),
    ("emulator", |json| sts_takes(json).then(String::new)),
];

/// The parsers that accept the policy. Lint uses the template's parser, and agrees with it.
fn takers(policy: &str) -> Vec<&'static str> {
    let taken = READERS.map(|(name, reader)| {
        let sent = reader(policy)?;
        let known = sent.is_empty() || sts_takes(&sent);
        assert!(known, "{name} takes {policy} and STS would be sent {sent}");
        Some(name)
    });
    assert_eq!(taken[0].is_some(), taken[1].is_some(), "lint is not the template: {policy}");
    taken.into_iter().flatten().filter(|name| *name != "lint").collect()
}

fn with(statement: &str) -> [String; 2] {
    let sound =
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a"}"#;
    let policy = |probe: &str| format!(r#"{{"Version":"1","Statement":[{sound},{probe}]}}"#);
    [policy(statement), policy(&statement.replace(r#""Effect":"Allow""#, r#""Effect":"Deny""#))]
}

/// The probes of one verdict, each as a whole policy that allows and as one that denies.
fn probes(group: &Value) -> Vec<String> {
    let list = |name: &str| group[name].as_array().cloned().unwrap_or_default();
    let resource = "acs:oss:*:*:sample-bucket/a";
    let mut statements: Vec<String> = Vec::new();
    let statement = |action: &Value, resource: &Value, condition: Value| {
        let condition = if condition.is_null() {
            String::new()
        } else {
            format!(r#","Condition":{condition}"#)
        };
        format!(r#"{{"Effect":"Allow","Action":{action},"Resource":{resource}{condition}}}"#)
    };
    for action in list("actions") {
        statements.push(statement(&action, &json!(resource), Value::Null));
        statements.push(statement(
            &json!(["oss:GetObject", action]),
            &json!(resource),
            Value::Null,
        ));
    }
    for probe in list("resources") {
        statements.push(statement(&json!("oss:GetObject"), &probe, Value::Null));
        statements.push(statement(&json!("oss:GetObject"), &json!([resource, probe]), Value::Null));
    }
    for condition in list("conditions") {
        statements.push(statement(&json!("oss:GetObject"), &json!(resource), condition));
    }
    statements.extend(list("statements").iter().map(|raw| raw.as_str().unwrap().to_owned()));
    let sound = statement(&json!("oss:GetObject"), &json!(resource), Value::Null);
    let policies = list("policies");
    let policies = policies.iter().map(|raw| raw.as_str().unwrap().replace('S', "\u{1}"));
    // `S` in a key, such as `Statement`, is followed by a letter.
    let filled = |raw: String| {
        let mut filled = String::new();
        for (i, part) in raw.split('\u{1}').enumerate() {
            let key = part.starts_with(|c: char| c.is_ascii_alphabetic());
            let gap = if i == 0 {
                ""
            } else if key {
                "S"
            } else {
                sound.as_str()
            };
            filled += gap;
            filled += part;
        }
        filled
    };
    statements.iter().flat_map(|one| with(one)).chain(policies.map(filled)).collect()
}

#[test]
fn every_parser_of_ram_policies_accepts_the_same() {
    let corpus: Value = serde_json::from_str(CORPUS).unwrap();
    let everyone = vec!["template", "role", "own", "emulator"];
    let (mut probed, mut wrong) = (0, Vec::new());
    let mut expect = |policy: &str, expected: &[&str]| {
        let found = takers(policy);
        if found != expected {
            wrong.push(format!("{policy}: {}", found.join(" ")));
        }
        probed += 1;
    };
    for policy in probes(&corpus["accepted"]) {
        expect(&policy, &everyone);
    }
    for policy in probes(&corpus["refused"]) {
        expect(&policy, &[]);
    }
    for narrower in corpus["narrower"].as_array().unwrap() {
        let refusing: Vec<_> = narrower["refuse"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let expected: Vec<_> =
            everyone.iter().copied().filter(|name| !refusing.contains(name)).collect();
        let statement = narrower["statement"].to_string();
        match narrower["alone"].as_bool() {
            Some(true) => expect(
                &json!({"Version": "1", "Statement": [narrower["statement"]]}).to_string(),
                &expected,
            ),
            _ => with(&statement).iter().for_each(|policy| expect(policy, &expected)),
        }
    }
    for sample in corpus["samples"].as_array().unwrap() {
        let own = sample["own"].as_bool().unwrap_or(true);
        let expected: Vec<_> =
            everyone.iter().copied().filter(|name| own || *name != "own").collect();
        // As documentation prints it, and as Terraform and the console write it.
        for text in
            [serde_json::to_string_pretty(&sample["policy"]).unwrap(), sample["policy"].to_string()]
        {
            expect(&text, &expected);
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "taken by others than the corpus says");
    assert!(probed > 400, "only {probed} were probed");
}

#[test]
fn a_byte_order_mark_is_removed_and_never_reaches_sts() {
    let policy = &with(
        r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/b"}"#,
    )[0];
    // None is sent to STS, whose answer is not documented.
    assert_eq!(takers(&format!("\u{feff}{policy}")), ["template", "role", "own"]);
    for mangled in [
        format!("\u{feff}\u{feff}{policy}"),
        format!(" \u{feff}{policy}"),
        format!("{policy}\u{feff}"),
    ] {
        assert_eq!(takers(&mangled), Vec::<&str>::new(), "{mangled:?}");
    }
}

fn operator() -> impl Strategy<Value = String> {
    const ALL: &[&str] = &[
        "Bool",
        "DateLessThan",
        "IpAddress",
        "IpAddressIncludeBorder",
        "NotIpAddress",
        "NumericEquals",
        "StringEquals",
        "StringLike",
        "StringNotLike",
    ];
    prop_oneof![1 => select(ALL), 1 => Just("StringLike")].prop_map(str::to_owned)
}

/// Statements whose parts are often valid and sometimes arbitrary.
fn statement() -> impl Strategy<Value = Value> {
    let odd = |good: &'static [&'static str], odd: &'static str| prop_oneof![12 => select(good).prop_map(str::to_owned), 1 => odd, 1 => or_any(good)];
    let value = odd(
        &[
            "",
            "a/*",
            "true",
            "True",
            "10",
            "1e0",
            "2016-01-13T12:00:00Z",
            "2016-01-13",
            "10.0.0.0/8",
            "10.0.0.0/33",
            "*",
        ],
        "[-+0-9.eTZ:/*]{0,8}",
    );
    (
        select(&["Allow", "Deny"][..]),
        odd(&["oss:GetObject", "oss:*", "*", "oss*"], "[os*?:]{0,5}"),
        odd(&["acs:oss:*:*:bkt/é/*", "acs:oss:*:*:bkt", "*", "**"], "[acs:o*?/]{0,8}"),
        operator(),
        odd(&["oss:Prefix", "acs:SourceIp", "Prefix"], "[a:$ ]{0,4}"),
        prop::collection::vec(value, 1..3),
    )
        .prop_map(|(effect, action, resource, operator, key, values)| {
            json!({"Effect": effect, "Action": action, "Resource": resource,
                   "Condition": {operator: {key: values}}})
        })
}

#[test]
fn every_policy_is_refused_by_us_or_accepted_by_sts() {
    let policy = prop::collection::vec(statement(), 1..3)
        .prop_map(|statements| json!({"Version": "1", "Statement": statements}).to_string());
    // The emulated STS must accept every accepted policy as it would be sent.
    let taken = draw(4_000, &policy, |policy| {
        let taken = takers(&policy);
        // None of ours is laxer, and the role's parser is as strict as the emulator.
        let by = |name| taken.contains(&name);
        assert_eq!(by("role"), by("emulator"), "{policy}");
        assert!(by("emulator") || taken.is_empty(), "{policy}: {taken:?}");
        by("own")
    });
    assert!(taken > 200, "only {taken} were taken");
}

#[test]
fn a_placeholder_value_fits_its_operator_or_is_refused_at_load() {
    let policy = |condition: &str| {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:ListObjects",
                "Resource":"acs:oss:*:*:sample-bucket","Condition":{{{condition}}}}}]}}"#
        )
    };
    let load = |condition: &str| {
        let policy = policy(condition);
        let text = ValueRule::text(Shape::Segment, None, 16).unwrap();
        let rules = ValueRules {
            params: [("limit".parse().unwrap(), text)].into(),
            claims: Default::default(),
            subject_max_bytes: 64,
        };
        let texts = GrantTexts {
            policy: &policy,
            breadth: Breadth::Narrow,
            session_name: Some("name"),
            source_identity: None,
        };
        let template =
            GrantTemplate::parse(texts, rules).map_err(|problems| problems[0].to_string())?;
        let sent = rendered(&template, "seven").unwrap().into_json();
        if sts_takes(&sent) { Ok(()) } else { Err(format!("STS would be sent {sent}")) }
    };
    for taken in [
        r#""DateLessThan":{"acs:CurrentTime":"${now:%Y-%m-%d}T23:59:59Z"}"#,
        r#""NumericEquals":{"a:b":"${now:%Y}"}"#,
        r#""StringLike":{"oss:Prefix":"${params.limit}/*"}"#,
    ] {
        load(taken).unwrap_or_else(|problem| panic!("{taken}: {problem}"));
    }
    for refused in [
        r#""DateLessThan":{"acs:CurrentTime":"${now:%Y-%m-%d}"}"#,
        r#""Bool":{"a:b":"${now:%Y}"}"#,
        r#""NumericEquals":{"a:b":"${now:%Y-%m}"}"#,
        r#""IpAddress":{"acs:SourceIp":"10.0.0.${now:%Y}"}"#,
        r#""NumericLessThan":{"oss:MaxKeys":"${params.limit}"}"#,
        r#""IpAddress":{"acs:SourceIp":"10.0.0.0/${params.limit}"}"#,
    ] {
        let problem = load(refused).unwrap_err();
        assert!(problem.starts_with("Statement[0].Condition."), "{refused}: {problem}");
    }
}
