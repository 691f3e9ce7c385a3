//! What a caller learns about a policy of its own that is refused, and which denials of its own it may send.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::template::value_rule::ValueRules;
use crate::{Breadth, GrantTemplate, GrantTexts, RawValues, RequestedPolicy};

fn allow(actions: &Value, keys: &Value) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": keys})
}

fn deny(actions: &str, keys: &Value) -> Value {
    json!({"Effect": "Deny", "Action": actions, "Resource": keys})
}

fn key(key: &str) -> Value {
    Value::from(format!("acs:oss:*:*:sample-bucket/{key}"))
}

/// Whether a session is rendered, or why not, for a grant to read `a/*` but `a/secret/*`.
fn rendered(statements: &[Value]) -> Result<(), String> {
    let granted = [
        allow(&json!(["oss:GetObject", "oss:GetObjectAcl"]), &key("a/*")),
        deny("oss:*", &key("a/secret/*")),
    ];
    rendered_within(&granted, statements)
}

fn rendered_within(granted: &[Value], statements: &[Value]) -> Result<(), String> {
    let policy =
        |statements: &[Value]| json!({"Version": "1", "Statement": statements}).to_string();
    let granted = policy(granted);
    let rules =
        ValueRules { params: BTreeMap::new(), claims: BTreeMap::new(), subject_max_bytes: 64 };
    let texts = GrantTexts {
        policy: &granted,
        breadth: Breadth::Narrow,
        session_name: None,
        source_identity: None,
    };
    let template = GrantTemplate::parse(texts, rules).unwrap();
    let raw = RawValues {
        issuer: None,
        client: &"photo-app".parse().unwrap(),
        subject: None,
        claims: &BTreeMap::new(),
        params: &BTreeMap::new(),
        now: chrono::DateTime::UNIX_EPOCH,
    };
    let requested = RequestedPolicy::parse(&policy(statements)).unwrap();
    template.render_within(raw, &requested).map(drop).map_err(|refusal| refusal.to_string())
}

fn refusal(statements: &[Value]) -> String {
    rendered(statements).unwrap_err()
}

#[test]
fn a_witness_is_a_request_that_the_whole_policy_allows() {
    let get = json!("oss:GetObject");
    // `b/object` would be the first to be named, and it is denied.
    let in_part = [allow(&get, &key("b/*")), deny("oss:*", &key("b/object*"))];
    insta::assert_snapshot!(refusal(&in_part), @"Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:sample-bucket/b/*`; the policy allows oss:GetObject on acs:oss:*:*:sample-bucket/b/, and the grant does not");
    let denied = [
        allow(&get, &key("?/*")),
        deny("oss:GetObject", &json!(["acs:oss:*:*:sample-bucket/?/*"])),
    ];
    insta::assert_snapshot!(refusal(&denied), @"Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:sample-bucket/?/*`; a Deny of the policy itself does not count here: leave out of the Allow what it denies");
    let mixed = [
        allow(&json!(["oss:GetObject", "oss:PutObject"]), &key("a/*")),
        deny("oss:PutObject", &json!("*")),
    ];
    insta::assert_snapshot!(refusal(&mixed), @"Statement[0]: no statement of the grant allows all of `oss:PutObject` on `acs:oss:*:*:sample-bucket/a/*`; a Deny of the policy itself does not count here: leave out of the Allow what it denies");
    insta::assert_snapshot!(refusal(&[allow(&json!("oss:PutObject"), &key("a/*"))]), @"Statement[0]: no statement of the grant allows all of `oss:PutObject` on `acs:oss:*:*:sample-bucket/a/*`; the policy allows oss:PutObject on acs:oss:*:*:sample-bucket/a/object, and the grant does not");
}

#[test]
fn conditions_are_compared_where_the_grant_has_the_actions_and_resources() {
    let listing = |prefix: &str| {
        json!({"Effect": "Allow", "Action": "oss:ListObjects", "Resource": "acs:oss:*:*:sample-bucket",
            "Condition": {"StringLike": {"oss:Prefix": prefix}}})
    };
    let refused = |statement: Value| rendered_within(&[listing("a/*")], &[statement]).unwrap_err();
    let elsewhere = refused(listing("b/*"));
    let mut other_action = listing("b/*");
    other_action["Action"] = json!("oss:ListObjectVersions");
    insta::assert_snapshot!(format!("{elsewhere}\n{}", refused(other_action)), @r#"
Statement[0].Condition.StringLike.oss:Prefix: its values reach beyond the grant's, or cannot be compared with them; leave the key out, and the grant's apply; the policy allows oss:ListObjects on acs:oss:*:*:sample-bucket with oss:Prefix="b/", and the grant does not
Statement[0]: no statement of the grant allows all of `oss:ListObjectVersions` on `acs:oss:*:*:sample-bucket`; the policy allows oss:ListObjectVersions on acs:oss:*:*:sample-bucket with oss:Prefix="b/", and the grant does not
"#);
}

#[test]
fn an_operation_that_is_decided_as_another_action_has_no_witness() {
    for operation in ["oss:HeadObject", "oss:SelectObject", "oss:CopyObject"] {
        let refusal = refusal(&[allow(&json!(operation), &key("a/b.jpg"))]);
        assert!(refusal.contains("is decided as"), "{refusal}");
        assert!(!refusal.contains("the policy allows"), "{refusal}");
    }
}

#[test]
fn denials_of_a_caller_only_narrow_however_many_they_are() {
    let read = || allow(&json!("oss:GetObject"), &key("a/*.jpg"));
    for count in [3, 8, 12, 20] {
        let patterns: Vec<_> = (0..count).map(|n| key(&format!("a/*/p{n}/*"))).collect();
        let each = patterns.iter().map(|pattern| deny("oss:*", pattern));
        let each: Vec<_> = std::iter::once(read()).chain(each).collect();
        assert_eq!(rendered(&each), Ok(()), "{count} statements");
        let one = [read(), deny("oss:GetObject", &json!(patterns))];
        assert_eq!(rendered(&one), Ok(()), "{count} patterns");
    }
}

#[test]
fn a_policy_that_is_too_complex_is_refused_with_the_statement_to_simplify() {
    let patterns: Vec<_> = (0..25).map(|n| key(&format!("a/*p{n}*q?"))).collect();
    let statements = [
        allow(&json!("oss:GetObject"), &key("a/b*")),
        allow(&json!("oss:GetObject"), &json!(patterns)),
    ];
    insta::assert_snapshot!(refusal(&statements), @"its patterns overlap in too many ways to compare them with the grant's; use fewer `*` and `?`, first in Statement[1], which has the most");
}
