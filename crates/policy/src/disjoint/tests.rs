//! What the proof finds in templates that other checks refuse, and what it accepts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;
use crate::document::tree::Document;
use crate::evaluate::request::Request;
use crate::oss::catalogue;
use crate::template::value_rule::{Shape, ValueRule};
use crate::template::values::{RawValues, Values};
use crate::tests::draw::draw;

mod neighbours;

fn rules(policy: &str) -> ValueRules {
    let text = |shape| ValueRule::text(shape, None, 64).unwrap();
    let one_of = |values: [&str; 2]| ValueRule::one_of(&values.map(ToString::to_string)).unwrap();
    let declared = [
        ("album", text(Shape::Segment)),
        ("dir", text(Shape::Path)),
        ("size", one_of(["small", "large"])),
    ];
    let used =
        declared.into_iter().filter(|(name, _)| policy.contains(&format!("params.{name}}}")));
    ValueRules {
        params: used.map(|(name, rule)| (name.parse().unwrap(), rule)).collect(),
        claims: BTreeMap::from([("tenant".parse().unwrap(), text(Shape::Segment))]),
        subject_max_bytes: 64,
    }
}

/// The decision about a template, without the rules by which loading refuses some.
fn decided(policy: &str, callers: &Callers, shared: &[&str]) -> Disjointness {
    let rules = rules(policy);
    let shared: Vec<_> = shared.iter().map(|one| one.parse().unwrap()).collect();
    decide(&PolicyTemplate::unchecked(policy, &rules), &rules, callers, &shared)
}

fn decided_for_any(policy: &str) -> Disjointness {
    decided(policy, &Callers::default(), &[])
}

/// A policy of statements, each with its actions, its resources and a condition on the prefix.
fn policy(statements: &[(&str, &str, Value)]) -> String {
    let statements: Vec<_> = statements
        .iter()
        .map(|(action, path, condition)| {
            let resource = format!("acs:oss:*:*:{path}");
            let mut one = json!({"Effect": "Allow", "Action": action, "Resource": resource});
            if !condition.is_null() {
                one["Condition"] = condition.clone();
            }
            one
        })
        .collect();
    json!({"Version": "1", "Statement": statements}).to_string()
}

fn reading(path: &str) -> String {
    policy(&[("oss:GetObject", path, Value::Null)])
}

fn listing(operator: &str, prefix: &str) -> String {
    let condition = json!({operator: {"oss:Prefix": prefix}});
    policy(&[("oss:ListObjects", "sample-bucket", condition)])
}

fn shown(decided: &Disjointness) -> String {
    match decided {
        Disjointness::Proven => "proven".to_owned(),
        Disjointness::Shared(shared) => shared.to_string(),
        Disjointness::Unproven(unproven) => unproven.to_string(),
    }
}

#[test]
fn tenants_of_the_shipped_policies_are_disjoint() {
    for name in ["my-photos", "upload-only", "album-guest", "read-all", "todays-photos"] {
        let file = format!("{}/../../config/policies/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let policy = std::fs::read_to_string(file).unwrap();
        assert_eq!(decided_for_any(&policy), Disjointness::Proven, "{name}");
    }
}

#[test]
fn a_segment_of_its_own_at_a_fixed_place_is_proven() {
    for path in [
        "sample-bucket/users/${subject}/*",
        "sample-bucket/u-${subject}.d/${params.dir}/*.jpg",
        "sample-bucket/${subject.encoded}/${params.size}",
        "sample-bucket/${subject.hash}*",
        "sample-bucket/${claims.tenant}/${subject}/${now:%Y/%m}/*",
        "sample-bucket/${params.album}/${issuer}/${client}/${subject}/?",
        "sample-bucket/a?/${subject}/*",
    ] {
        assert_eq!(decided_for_any(&reading(path)), Disjointness::Proven, "{path}");
    }
    for (operator, prefix) in [
        ("StringLike", "users/${subject}/*"),
        ("StringEquals", "users/${subject}/"),
        ("StringEqualsIgnoreCase", "users/${subject.hash}/"),
    ] {
        assert_eq!(decided_for_any(&listing(operator, prefix)), Disjointness::Proven, "{prefix}");
    }
}

#[test]
fn without_case_a_character_beyond_ascii_may_be_any_text() {
    let decided = |prefix: &str| decided_for_any(&listing("StringEqualsIgnoreCase", prefix));
    assert_eq!(decided("s/${params.size}/${subject.hash}/"), Disjointness::Proven);
    assert_ne!(decided("\u{df}/${subject.hash}/"), Disjointness::Proven);
}

/// Each is refused at load by a rule of its own, too. The proof does not use these rules.
#[test]
fn two_callers_and_the_request_that_both_are_allowed_are_printed() {
    let denial_dodged = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "oss:GetObject", "Resource": [
            "acs:oss:*:*:sample-bucket/users/${subject}/*", "acs:oss:*:*:sample-bucket/shared/*"]},
        {"Effect": "Deny", "Action": "oss:GetObject",
         "Resource": "acs:oss:*:*:sample-bucket/shared/${params.dir}*"}]});
    let cases = [
        listing("StringEqualsIgnoreCase", "users/${subject}/"),
        listing("StringLike", "users/${subject}"),
        reading("sample-bucket/users/${subject}*"),
        reading("sample-*/${subject}/*"),
        reading("sample-bucket/*/${subject}/*"),
        reading("sample-bucket/${params.dir}/${subject}/*"),
        reading("sample-bucket/${claims.tenant}${subject}/*"),
        policy(&[
            ("oss:GetObject", "sample-bucket/private/${subject}/*", Value::Null),
            (
                "oss:ListObjects",
                "sample-bucket",
                json!({"StringLike": {"oss:Prefix": "${subject}/*"}}),
            ),
        ]),
        policy(&[
            ("oss:GetObject", "sample-bucket/${subject}/*", Value::Null),
            ("oss:ListObjects", "sample-bucket", Value::Null),
        ]),
        policy(&[
            ("oss:GetObject", "sample-bucket/users/${subject}/*", Value::Null),
            ("oss:PutObject", "sample-bucket/inbox/${claims.tenant}/*", Value::Null),
        ]),
        denial_dodged.to_string(),
    ];
    let lines: Vec<_> = cases.iter().map(|policy| shown(&decided_for_any(policy))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
a caller with ${subject}=`u` and one with ${subject}=`U` are both allowed `oss:ListObjects` on `acs:oss:*:*:sample-bucket` with oss:Prefix=`users/u/`
a caller with ${subject}=`u` is allowed `oss:ListObjects` on `acs:oss:*:*:sample-bucket` with oss:Prefix=`users/u`, and one with ${subject}=`uv` is allowed `oss:ListObjects` on `acs:oss:*:*:sample-bucket` with oss:Prefix=`users/uv`: they reach the same data
a caller with ${subject}=`u` and one with ${subject}=`uv` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/users/uv`
a caller with ${subject}=`k` and one with ${subject}=`i` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-/i/k/`
a caller with ${subject}=`r` and one with ${subject}=`p` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket//p/r/`
a caller with ${params.dir}=`o`, ${subject}=`q` and one with ${params.dir}=`o/q`, ${subject}=`s` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/o/q/s/`
a caller with ${claims.tenant}=`o`, ${subject}=`pq` and one with ${claims.tenant}=`op`, ${subject}=`q` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/opq/`
a caller with ${subject}=`w` is allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/private/w/`, and one with ${subject}=`private` is allowed `oss:ListObjects` on `acs:oss:*:*:sample-bucket` with oss:Prefix=`private/`: they reach the same data
a caller with ${subject}=`o` and one with ${subject}=`alice` are both allowed `oss:ListObjects` on `acs:oss:*:*:sample-bucket`
a caller with ${subject}=`u`, ${claims.tenant}=`alice` and one with ${subject}=`u`, ${claims.tenant}=`bob` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/users/u/`
a caller with ${subject}=`alice`, ${params.dir}=`alice` and one with ${subject}=`bob`, ${params.dir}=`alice` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/shared/`
");
}

/// Whether RAM reads `acs:OSS` as `acs:oss` is not documented; lint says that it probably matches nothing.
#[test]
fn a_service_in_another_letter_case_is_not_left_out_of_the_proof() {
    for resource in ["acs:OSS:*:*:sample-bucket/*", "acs:Oss:*:*:sample-bucket/users/${subject}*"] {
        let own = policy(&[
            ("oss:GetObject", "sample-bucket/users/${subject}/*", Value::Null),
            ("oss:PutObject", "OTHER", Value::Null),
        ]);
        let decided = decided_for_any(&own.replace("acs:oss:*:*:OTHER", resource));
        assert_ne!(decided, Disjointness::Proven, "{resource}");
    }
}

/// Every action of OSS on a whole bucket, beside objects of one's own.
#[test]
fn each_action_that_reaches_all_keys_of_a_bucket_is_a_listing_and_no_other_is() {
    let beside = |action: &str, shared: &[&str]| {
        let policy = policy(&[
            ("oss:GetObject", "sample-bucket/users/${subject}/*", Value::Null),
            (action, "sample-bucket", Value::Null),
        ]);
        decided(&policy, &Callers::default(), shared)
    };
    let refused = catalogue::actions().map(|name| format!("oss:{name}")).filter(|action| {
        match beside(action, &[]) {
            Disjointness::Proven => false,
            Disjointness::Shared(shared) => {
                assert!(shared.to_string().contains(action), "{action}: {shared}");
                true
            }
            Disjointness::Unproven(unproven) => panic!("{action}: {unproven}"),
        }
    });
    insta::assert_snapshot!(refused.collect::<Vec<_>>().join("\n"), @r"
oss:ListObjects
oss:ListObjectVersions
oss:ListMultipartUploads
oss:DoMetaQuery
oss:PutBucketInventory
oss:PutBucketLogging
oss:PutBucketReplication
oss:PutBucketRTC
oss:ReplicateList
");
    for pattern in ["oss:Do*", "oss:*Query", "OSS:dometaquery"] {
        assert!(matches!(beside(pattern, &[]), Disjointness::Shared(_)), "{pattern}");
    }
    let all = ["acs:oss:*:*:sample-bucket/*"];
    assert_eq!(beside("oss:DoMetaQuery", &all), Disjointness::Proven);
    // Only a listing has a prefix.
    let limited = policy(&[(
        "oss:DoMetaQuery",
        "sample-bucket",
        json!({"StringLike": {"oss:Prefix": "users/${subject}/*"}}),
    )]);
    assert_ne!(decided_for_any(&limited), Disjointness::Proven);
}

#[test]
fn what_is_meant_to_be_shared_is_exempt_and_nothing_else() {
    let both = |path: &str| {
        policy(&[
            ("oss:*", "sample-bucket/users/${subject}/*", Value::Null),
            ("oss:GetObject", path, Value::Null),
            (
                "oss:ListObjects",
                "sample-bucket",
                json!({"StringLike": {"oss:Prefix": ["users/${subject}/*", "public/*"]}}),
            ),
        ])
    };
    let public = ["acs:oss:*:*:sample-bucket/public/*"];
    let decide = |path: &str, shared: &[&str]| decided(&both(path), &Callers::default(), shared);
    assert!(matches!(decide("sample-bucket/public/*", &[]), Disjointness::Shared(_)));
    assert_eq!(decide("sample-bucket/public/*", &public), Disjointness::Proven);
    for wider in ["sample-bucket/pub*", "sample-bucket/public?*", "sample-bucket/users/*"] {
        let decided = decide(wider, &public);
        assert!(matches!(decided, Disjointness::Shared(_)), "{wider}: {decided:?}");
    }
}

#[test]
fn the_names_of_clients_count_and_one_client_is_no_two_callers() {
    let own = policy(&[
        ("oss:GetObject", "sample-bucket/${client}/*", Value::Null),
        ("oss:GetObject", "sample-bucket/tmp/${client}/*", Value::Null),
    ]);
    let of = |clients: &[&str]| {
        let clients = clients.iter().map(|id| id.parse().unwrap()).collect();
        decided(&own, &Callers { clients, issuers: vec![] }, &[])
    };
    assert_eq!(of(&["photo-app", "web-app"]), Disjointness::Proven);
    assert_eq!(of(&["tmp"]), Disjointness::Proven);
    assert!(matches!(of(&["photo-app", "tmp"]), Disjointness::Shared(_)));
    assert!(matches!(of(&[]), Disjointness::Shared(_)));
}

#[test]
fn a_listed_value_is_the_same_wherever_it_is_written() {
    let clients = ["photo-app", "web-app"].map(|id| id.parse().unwrap()).into();
    let callers = Callers { clients, issuers: vec![] };
    let twice = reading("sample-bucket/${client}/${client}/*");
    assert_eq!(decided(&twice, &callers, &[]), Disjointness::Proven);
}

#[test]
fn a_shared_resource_is_a_pattern() {
    let shared = ["acs:oss:*:*:sample-bucket/public/?.jpg", "acs:oss:*:*:sample-bucket/a*b"]
        .map(|one| one.parse::<SharedResource>().unwrap());
    assert_eq!(shared[0].as_str(), "acs:oss:*:*:sample-bucket/public/?.jpg");
    for (path, expected) in [
        ("public/a.jpg", true),
        ("public/.jpg", false),
        ("public/ab.jpg", false),
        ("public/a.jp", false),
        ("ab", true),
        ("a/b/b", true),
        ("a", false),
        ("abc", false),
    ] {
        let after = |positions, c| shared_resource::after(&shared, &positions, c);
        let key = format!("sample-bucket/{path}");
        let end = key.chars().fold(shared_resource::start(&shared), after);
        assert_eq!(shared_resource::is_shared(&shared, &end), expected, "{path}");
    }
}

#[test]
fn the_names_of_issuers_count_and_one_issuer_is_no_two_callers() {
    let own = policy(&[("oss:GetObject", "sample-bucket/${issuer}*", Value::Null)]);
    let of = |issuers: &[&str]| {
        let issuers = issuers.iter().map(|id| id.parse().unwrap()).collect();
        decided(&own, &Callers { clients: vec![], issuers }, &[])
    };
    assert_eq!(of(&["google", "github"]), Disjointness::Proven);
    assert_eq!(of(&["google"]), Disjointness::Proven);
    assert!(matches!(of(&["google", "google-2"]), Disjointness::Shared(_)));
    assert!(matches!(of(&[]), Disjointness::Shared(_)));
}

/// The first two of the resources are denied to all in a way that the proof does not follow.
#[test]
fn a_shared_object_is_found_behind_one_that_is_not_confirmed() {
    let guarded = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "oss:GetObject", "Resource": [
            "acs:oss:*:*:sample-bucket/shared/*", "acs:oss:*:*:sample-bucket/users/${subject}*"]},
        {"Effect": "Deny", "Action": "*", "Resource": [
            "acs:oss:*:*:sample-bucket/shared/", "acs:oss:*:*:sample-bucket/shared/?*"]}]});
    let decided = decided_for_any(&guarded.to_string());
    assert!(matches!(decided, Disjointness::Shared(_)), "{decided:?}");
}

#[test]
fn the_printed_requests_satisfy_the_conditions_and_have_an_action_that_the_policy_names() {
    let of = |actions: Value, path: &str, condition: Value| {
        let own = json!({"Effect": "Allow", "Action": "oss:GetObject",
            "Resource": "acs:oss:*:*:sample-bucket/users/${subject}/*"});
        let resource = format!("acs:oss:*:*:sample-bucket{path}");
        let one = json!({"Effect": "Allow", "Action": actions, "Resource": resource, "Condition": condition});
        shown(&decided_for_any(&json!({"Version": "1", "Statement": [own, one]}).to_string()))
    };
    let found = [
        of(
            json!("oss:GetObject"),
            "/a/*",
            json!({"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}, "Bool": {"acs:SecureTransport": "true"}}),
        ),
        of(json!("oss:GetObject"), "/a/*", json!({"StringNotEquals": {"acs:UserAgent": "curl"}})),
        of(json!(["oss:PutBucketAcl", "OSS:PUTOBJECTTAGGING"]), "/a/*", json!({})),
        of(json!(["oss:GetObject", "oss:listobjects"]), "", json!({})),
        of(json!(["oss:GetObject*"]), "/${client}*", json!({})),
        of(json!("oss:GetObject"), "/${now:%Y}/${params.album}*", json!({})),
        of(json!("oss:GetObject"), "/${params.size}/*", json!({})),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
a caller with ${subject}=`alice` and one with ${subject}=`bob` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/a/` with acs:SecureTransport=`true`, acs:SourceIp=`10.0.0.0`
a caller with ${subject}=`alice` and one with ${subject}=`bob` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/a/`
a caller with ${subject}=`alice` and one with ${subject}=`bob` are both allowed `OSS:PUTOBJECTTAGGING` on `acs:oss:*:*:sample-bucket/a/`
a caller with ${subject}=`u` and one with ${subject}=`alice` are both allowed `oss:ListObjects` on `acs:oss:*:*:sample-bucket`
a caller with ${subject}=`u`, ${client}=`alice` and one with ${subject}=`u`, ${client}=`bob` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/users/u/`
a caller with ${subject}=`alice`, ${params.album}=`t` and one with ${subject}=`bob`, ${params.album}=`t` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/1111/t`
a caller with ${subject}=`alice`, ${params.size}=`small` and one with ${subject}=`bob`, ${params.size}=`small` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/small/`
");
}

/// A policy with common objects and a denial of them.
fn guarded(denial: &Value) -> Disjointness {
    let guarded = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": ["oss:GetObject", "oss:PutObject"], "Resource": [
            "acs:oss:*:*:sample-bucket/users/${subject}/*", "acs:oss:*:*:sample-bucket/shared/*"]},
        denial]});
    decided_for_any(&guarded.to_string())
}

#[test]
fn objects_that_a_denial_without_condition_denies_to_all_are_not_shared() {
    let common = "acs:oss:*:*:sample-bucket/shared/*";
    for (actions, resource) in [
        (json!("*"), common),
        (json!("oss:*"), "acs:oss:*:*:sample-bucket/sh*"),
        (json!(["oss:PutObject", "oss:Get*"]), common),
    ] {
        let denial = json!({"Effect": "Deny", "Action": actions, "Resource": resource});
        assert_eq!(guarded(&denial), Disjointness::Proven, "{denial}");
    }
    for denial in [
        json!({"Effect": "Deny", "Action": "oss:GetObject", "Resource": common}),
        json!({"Effect": "Deny", "Action": "*", "Resource": "acs:oss:*:*:sample-bucket/shared/a*"}),
        json!({"Effect": "Deny", "Action": "*", "Resource": "acs:oss:*:*:other-bucket/shared/*"}),
        json!({"Effect": "Deny", "Action": "*", "Resource": common,
            "Condition": {"Bool": {"acs:SecureTransport": "false"}}}),
    ] {
        assert_ne!(guarded(&denial), Disjointness::Proven, "{denial}");
    }
}

/// A listing is decided on the bucket, whatever is denied on its objects.
#[test]
fn a_denial_on_objects_denies_no_listing() {
    let listed = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "oss:GetObject",
         "Resource": "acs:oss:*:*:sample-bucket/users/${subject}/*"},
        {"Effect": "Allow", "Action": "oss:ListObjects", "Resource": "acs:oss:*:*:sample-bucket",
         "Condition": {"StringLike": {"oss:Prefix": "shared/*"}}},
        {"Effect": "Deny", "Action": "*", "Resource": "acs:oss:*:*:sample-bucket/shared/*"}]});
    let decided = decided_for_any(&listed.to_string());
    assert!(matches!(decided, Disjointness::Shared(_)), "{decided:?}");
}

#[test]
fn what_only_a_denial_with_a_question_mark_keeps_apart_is_not_proven() {
    let denial = json!({"Effect": "Deny", "Action": "*",
        "Resource": ["acs:oss:*:*:sample-bucket/shared/", "acs:oss:*:*:sample-bucket/shared/?*"]});
    let decided = guarded(&denial);
    assert!(matches!(decided, Disjointness::Unproven(_)), "{decided:?}");
}

#[test]
fn a_shared_resource_names_its_bucket_and_has_no_placeholder() {
    for bad in [
        "",
        "*",
        "acs:oss:*:*:*",
        "acs:oss:*:*:sample-bucket",
        "acs:oss:*:*:sample-bucket/",
        "acs:oss:*:*:sample-*/a",
        "acs:oss:*:*:sample-bucket/${subject}/*",
        "sample-bucket/public/*",
    ] {
        assert!(bad.parse::<SharedResource>().is_err(), "{bad}");
    }
    assert!("acs:oss:*:*:sample-bucket/public/*".parse::<SharedResource>().is_ok());
}

/// The proof is about texts; this is why it is about values: an admitted value is its own text.
#[test]
fn an_admitted_value_is_rendered_unchanged() {
    let policy = reading("sample-bucket/${subject}/${claims.tenant}/${params.album}");
    let rules = rules(&policy);
    let template = PolicyTemplate::unchecked(&policy, &rules);
    for value in ["1", "1.0", "01", "+1", "1e0", "ALICE", "alice", "Zo\u{eb}", "true", "~", "a.b"] {
        let rendered = rendered(&template, &rules, value, value).unwrap();
        let resource = &rendered.statements[0].resource.as_slice()[0];
        assert_eq!(resource, &format!("acs:oss:*:*:sample-bucket/{value}/{value}/{value}"));
    }
}

/// The policy of a caller of whom subject and claim are `value`, with this parameter.
fn rendered(
    template: &PolicyTemplate,
    rules: &ValueRules,
    value: &str,
    param: &str,
) -> Option<Document<String>> {
    let params = rules.params.keys().map(|name| (name.to_string(), param.to_owned())).collect();
    let raw = RawValues {
        client: &"photo-app".parse().unwrap(),
        issuer: Some(&"company".parse().unwrap()),
        subject: Some(&value.parse().ok()?),
        claims: &BTreeMap::from([("tenant".to_owned(), value.to_owned())]),
        params: &params,
        now: "2015-01-02T03:04:05Z".parse().unwrap(),
    };
    let values = Values::admit(rules, &template.uses(), raw).ok()?;
    Some(template.fill(&values))
}

/// Texts of a world so small that different callers often meet.
fn text() -> impl Strategy<Value = String> {
    let piece = select(
        &["a", "b", "A", "/", "/", "*", "?", "${subject}", "${subject}/", "${params.album}/"][..],
    );
    // Half of them well-formed, so that many are proven. Without letters and wildcards the case of a value alone decides.
    let good = select(
        &[
            "b/${subject}/",
            "${subject}/*",
            "b/${params.album}/${subject}/*",
            "${subject}/",
            "A/${subject}/",
        ][..],
    );
    let any = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
    prop_oneof![any, good.prop_map(str::to_owned)]
}

fn template() -> impl Strategy<Value = String> {
    let operator = select(
        &["StringLike", "StringEquals", "StringEqualsIgnoreCase", "StringEqualsIgnoreCase"][..],
    );
    let own = text().prop_map(|text| format!("{text}/${{subject}}/"));
    // Half of the listings have the prefix of the objects, so that many of them are proven under each operator.
    let prefix = prop_oneof![text().prop_map(Some), Just(None)];
    let listing = prop::option::weighted(0.7, (operator, prefix));
    let denial = prop::option::weighted(0.3, prop_oneof![text(), Just("a*".to_owned())]);
    (text(), prop::option::weighted(0.3, own), listing, denial).prop_map(
        |(object, own, listing, denial)| {
            let resource = |key: &str| format!("acs:oss:*:*:bkt/{key}");
            let resources: Vec<_> = own.iter().chain([&object]).map(|key| resource(key)).collect();
            let mut statements =
                vec![json!({"Effect": "Allow", "Action": "oss:GetObject", "Resource": resources})];
            if let Some((operator, prefix)) = listing {
                let prefix = prefix.unwrap_or_else(|| object.replace('*', ""));
                statements.push(json!({"Effect": "Allow", "Action": "oss:ListObjects",
                    "Resource": "acs:oss:*:*:bkt", "Condition": {operator: {"oss:Prefix": prefix}}}));
            }
            if let Some(key) = denial {
                statements.push(
                    json!({"Effect": "Deny", "Action": "oss:GetObject", "Resource": resource(&key)}),
                );
            }
            json!({"Version": "1", "Statement": statements}).to_string()
        },
    )
}

/// All texts of up to so many of these characters.
fn texts(longest: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..longest {
        last = last
            .iter()
            .flat_map(|text| ['a', 'b', 'A', '/'].map(|c| format!("{text}{c}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// The keys of the small world that a policy reads, and those that it lists.
fn reached(document: &Document<String>, keys: &[String]) -> Vec<bool> {
    let allows = |action: &str, path: &str, prefix: Option<&str>| {
        let prefix = prefix.map(|prefix| ("oss:Prefix".to_owned(), prefix.to_owned()));
        let resource = format!("acs:oss:*:*:{path}");
        let request = Request::new(action, &resource, prefix.into_iter().collect()).unwrap();
        document.decide(&request).is_allowed()
    };
    let listed: Vec<_> =
        keys.iter().filter(|prefix| allows("oss:ListObjects", "bkt", Some(prefix))).collect();
    let reach = |key: &String| {
        !key.is_empty()
            && (allows("oss:GetObject", &format!("bkt/{key}"), None)
                || listed.iter().any(|prefix| key.starts_with(prefix.as_str())))
    };
    keys.iter().map(reach).collect()
}

#[test]
fn no_key_of_a_small_world_is_reached_by_two_callers_of_a_proven_template() {
    let keys = texts(5);
    let values: Vec<_> = texts(2).into_iter().filter(|text| !text.is_empty()).collect();
    let mut proven = 0;
    let others = draw(150, &template(), |policy: String| {
        let decided = decided_for_any(&policy);
        if decided != Disjointness::Proven || !policy.contains("${subject}") {
            return true;
        }
        proven += 1;
        let rules = rules(&policy);
        let template = PolicyTemplate::unchecked(&policy, &rules);
        let params = if rules.params.is_empty() { &["a"][..] } else { &["a", "b", "bA"] };
        // Of each value, what it reaches with any parameter.
        let mut seen: Vec<Option<&String>> = vec![None; keys.len()];
        for value in &values {
            for param in params {
                let Some(document) = rendered(&template, &rules, value, param) else { continue };
                for (i, _) in
                    reached(&document, &keys).into_iter().enumerate().filter(|(_, is)| *is)
                {
                    let other = *seen[i].get_or_insert(value);
                    assert!(
                        other == value,
                        "{policy}: `{other}` and `{value}` reach `{}`",
                        keys[i]
                    );
                }
            }
        }
        false
    });
    println!("{proven} proven of 150, {others} others");
    assert!(proven > 15, "only {proven} were proven");
}
