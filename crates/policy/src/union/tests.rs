//! The union against what grants render, by the exact comparison.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;
use crate::exact::Inclusion;
use crate::session::grant_session_policy::ObjectActions;
use crate::session::grant_template::{GrantTemplate, GrantTexts};
use crate::template::policy_template::Breadth;
use crate::template::value_rule::{Shape, ValueRule, ValueRules};
use crate::template::values::RawValues;
use crate::tests::draw::draw;

pub(crate) fn grant(policy: &str) -> Option<GrantTemplate> {
    let listed = |count: usize| {
        let values = ["large", "small"].map(str::to_owned).into_iter();
        let more = (2..count).map(|i| format!("v{i}"));
        ValueRule::one_of(&values.chain(more).collect::<Vec<_>>()).unwrap()
    };
    let rules = ValueRules {
        params: BTreeMap::from([
            ("album".parse().unwrap(), ValueRule::text(Shape::Segment, None, 16).unwrap()),
            ("size".parse().unwrap(), listed(2)),
            ("many".parse().unwrap(), listed(17)),
        ]),
        claims: BTreeMap::new(),
        subject_max_bytes: 16,
    };
    let texts = GrantTexts {
        policy,
        breadth: Breadth::Broad,
        session_name: Some("${client}"),
        source_identity: None,
    };
    GrantTemplate::parse(texts, rules).ok()
}

fn shipped(name: &str) -> GrantTemplate {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies");
    grant(&std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap()).unwrap()
}

pub(crate) fn read(json: &str) -> Document<String> {
    Document::read(json, |_, raw| Ok(raw.to_owned())).unwrap()
}

/// The policies as RAM evaluates them: together.
pub(crate) fn together(policies: &[String]) -> Document<String> {
    assert!(policies.iter().all(|policy| policy.len() <= MAX_ROLE_POLICY_BYTES));
    Document::of(policies.iter().flat_map(|policy| read(policy).statements).collect())
}

pub(crate) fn rendered(grant: &GrantTemplate, subject: &str, album: &str) -> Document<String> {
    let raw = RawValues {
        issuer: None,
        client: &"photo-app".parse().unwrap(),
        subject: Some(&subject.parse().unwrap()),
        claims: &BTreeMap::new(),
        params: &[("album", album), ("size", "small"), ("many", "v9")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        now: "2016-01-13T14:02:37Z".parse().unwrap(),
    };
    read(grant.render(raw).unwrap().policy.as_str())
}

fn lines(names: &[&str]) -> String {
    let grants: Vec<_> = names.iter().map(|name| shipped(name)).collect();
    GrantUnion::of(&grants).policies().join("\n")
}

#[test]
fn the_shipped_policies_become_what_an_administrator_would_write() {
    insta::assert_snapshot!(lines(&["my-photos"]), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":"users/*/*"}}},{"Effect":"Allow","Action":["oss:AbortMultipartUpload","oss:DeleteObject","oss:GetObject","oss:ListParts","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/users/*/*"}]}"#);
    insta::assert_snapshot!(lines(&["album-guest", "my-photos"]), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["albums/*/*","users/*/*"]}}},{"Effect":"Allow","Action":["oss:AbortMultipartUpload","oss:DeleteObject","oss:GetObject","oss:ListParts","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/users/*/*"},{"Effect":"Allow","Action":["oss:AbortMultipartUpload","oss:GetObject","oss:ListParts","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/albums/*/*"}]}"#);
    insta::assert_snapshot!(lines(&["daily-photos", "one-album", "shared-album"]), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":["acs:oss:*:*:sample-bucket/2015/01/01/*.jpg","acs:oss:*:*:sample-bucket/albums/*/*"]},{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":"albums/*/*"}}}]}"#);
    // One grant includes the others.
    insta::assert_snapshot!(lines(&["daily-photos", "one-album", "read-all", "shared-album"]), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:Get*","oss:List*"],"Resource":"acs:oss:*:*:*"}]}"#);
}

#[test]
fn the_order_of_grants_makes_no_difference() {
    let names = ["album-guest", "my-photos", "one-album"];
    let reversed: Vec<_> = names.iter().rev().copied().collect();
    assert_eq!(lines(&names), lines(&reversed));
}

/// A policy of these statements.
pub(crate) fn policy(statements: &[Value]) -> String {
    json!({ "Version": "1", "Statement": statements }).to_string()
}

fn reading(resource: &str, more: Value) -> Value {
    let mut statement =
        json!({ "Effect": "Allow", "Action": "oss:GetObject", "Resource": resource });
    statement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    statement
}

fn union(policies: &[String]) -> String {
    let grants: Vec<_> = policies.iter().map(|policy| grant(policy).unwrap()).collect();
    GrantUnion::of(&grants).policies().join("\n")
}

#[test]
fn a_denial_stays_only_if_no_grant_loses_by_it() {
    let denial = |resource: &str| json!({ "Effect": "Deny", "Action": "oss:GetObject", "Resource": resource });
    let all = reading("acs:oss:*:*:bucket/*", json!({}));
    let denying = policy(&[all.clone(), denial("acs:oss:*:*:bucket/secret/*")]);
    insta::assert_snapshot!(union(std::slice::from_ref(&denying)), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/*"},{"Effect":"Deny","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/secret/*"}]}"#);
    // The other grant reads just what the first denies.
    let other = policy(&[reading("acs:oss:*:*:bucket/secret/a", json!({}))]);
    insta::assert_snapshot!(union(&[denying, other]), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/*"}]}"#);
    let per_caller = policy(&[all, denial("acs:oss:*:*:bucket/${subject}/*")]);
    insta::assert_snapshot!(union(&[per_caller]), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/*"}]}"#);
}

#[test]
fn a_condition_on_a_value_is_kept_where_a_wildcard_can_stand_for_it() {
    let when = |condition: Value| {
        union(&[policy(&[reading("acs:oss:*:*:bucket/a", json!({ "Condition": condition }))])])
    };
    insta::assert_snapshot!(when(json!({ "StringEquals": { "oss:Prefix": ["${subject}/", "a"] } })), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/a","Condition":{"StringLike":{"oss:Prefix":["*/","a"]}}}]}"#);
    insta::assert_snapshot!(when(json!({ "StringEquals": { "oss:Prefix": ["a*"] } })), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/a","Condition":{"StringEquals":{"oss:Prefix":"a*"}}}]}"#);
    insta::assert_snapshot!(when(json!({ "DateLessThan": { "acs:CurrentTime": "${now:%Y-%m-%dT%H}:00:00Z" } })), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/a"}]}"#);
}

#[test]
fn listed_values_are_written_out_if_they_are_few() {
    let resource = |resource: &str| union(&[policy(&[reading(resource, json!({}))])]);
    insta::assert_snapshot!(resource("acs:oss:*:*:bucket/${params.album}/${params.size}/${params.size}/*"), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":["acs:oss:*:*:bucket/*/large/large/*","acs:oss:*:*:bucket/*/small/small/*"]}]}"#);
    insta::assert_snapshot!(resource("acs:oss:*:*:bucket/${params.size}/${params.many}/*"), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":["acs:oss:*:*:bucket/large/*/*","acs:oss:*:*:bucket/small/*/*"]}]}"#);
    let when = |condition: Value| {
        union(&[policy(&[reading("acs:oss:*:*:bucket/a", json!({ "Condition": condition }))])])
    };
    // Both conditions on one key stay, because no wildcard is needed.
    insta::assert_snapshot!(when(json!({ "StringEquals": { "oss:Prefix": "${params.size}/" }, "StringLike": { "oss:Prefix": "s*" } })), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/a","Condition":{"StringEquals":{"oss:Prefix":"small/"},"StringLike":{"oss:Prefix":"s*"}}}]}"#);
}

/// What the tokens of a grant need.
fn needed(grant: &GrantTemplate) -> String {
    GrantNeed::from(grant).policies().remove(0)
}

#[test]
fn a_grant_that_only_signs_needs_what_it_signs_and_the_reading_of_what_it_confirms() {
    let mut grant = grant(&policy(&[
        json!({ "Effect": "Allow", "Action": ["oss:PutObject", "oss:GetObject", "oss:DeleteObject"],
            "Resource": "acs:oss:*:*:bucket/users/${subject}/*" }),
        json!({ "Effect": "Deny", "Action": "oss:GetObject", "Resource": "acs:oss:*:*:bucket/users/*/raw/*" }),
    ]))
    .unwrap();
    grant.set_object_key("users/${subject}/raw/${name}").unwrap();
    let bucket = "bucket".parse().unwrap();
    let union = |vends_tokens, signs, confirms: bool| {
        let need = GrantNeed::new(&grant, vends_tokens, signs, confirms.then_some(&bucket));
        GrantUnion::of([need]).policies().join("\n")
    };
    insta::assert_snapshot!(union(false, Some(ObjectActions::Put), false), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:bucket/users/*/*"}]}"#);
    insta::assert_snapshot!(union(false, Some(ObjectActions::PutAndGet), false), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:bucket/users/*/*"},{"Effect":"Deny","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/users/*/raw/*"}]}"#);
    // The denial of what callers get is none of what the server looks at.
    insta::assert_snapshot!(union(false, Some(ObjectActions::Put), true), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/users/*/raw/*"},{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:bucket/users/*/*"}]}"#);
    insta::assert_snapshot!(union(true, Some(ObjectActions::Put), true), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:DeleteObject","oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:bucket/users/*/*"}]}"#);
    assert_eq!(union(true, Some(ObjectActions::Put), false), union(true, None, false));
    let need = GrantNeed::new(&grant, false, Some(ObjectActions::Put), Some(&bucket));
    insta::assert_snapshot!(need.policies().join("\n"), @r#"
    {"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:bucket/users/?*/*"}]}
    {"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/users/?*/raw/?*"}]}
    "#);
}

#[test]
fn a_role_that_requires_a_character_of_each_value_allows_what_a_grant_needs() {
    let grant =
        grant(&policy(&[reading("acs:oss:*:*:bucket/users/${subject}/*", json!({}))])).unwrap();
    let role = policy(&[reading("acs:oss:*:*:bucket/users/?*/*", json!({}))]);
    let inclusion = |one: &str, other: &str| read(one).inclusion_in(&read(other));
    assert_eq!(inclusion(&needed(&grant), &role), Inclusion::Included);
    let planned = GrantUnion::of([&grant]).policies().remove(0);
    assert!(matches!(inclusion(&planned, &role), Inclusion::Beyond(_)));
    assert_eq!(inclusion(&needed(&grant), &planned), Inclusion::Included);
}

#[test]
fn many_grants_are_divided_among_documents_that_ram_takes() {
    let number = |i: u32| {
        let resources: Vec<_> = (0..20)
            .map(|j| format!("acs:oss:*:*:bucket-{i}/{}/{j}", "folder/".repeat(4)))
            .collect();
        policy(&[json!({ "Effect": "Allow", "Action": "oss:GetObject", "Resource": resources })])
    };
    let texts: Vec<_> = (0..20).map(number).collect();
    let grants: Vec<_> = texts.iter().map(|text| grant(text).unwrap()).collect();
    let policies = GrantUnion::of(&grants).policies();
    assert!(policies.len() > 3, "{}", policies.len());
    let resources =
        |document: &Document<String>| -> BTreeSet<String> { document.values().cloned().collect() };
    // Without placeholders and wildcards nothing can be left out but repetition.
    let needed = texts.iter().flat_map(|text| resources(&read(text))).collect();
    assert_eq!(resources(&together(&policies)), needed);
}

/// Grants whose resources have wildcards in many places, so that most comparisons are as expensive as they can be.
fn entangled(grants: u64, resources: u64) -> Vec<GrantTemplate> {
    let mut seed = 1_u64;
    let mut next = |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    let mut resource = || {
        let segments =
            (0..9).map(|_| ["*", "*", "*", "a", "bb", "aaa"][usize::try_from(next(6)).unwrap()]);
        format!("acs:oss:*:*:bucket/{}/*", segments.collect::<Vec<_>>().join("/"))
    };
    let mut texts = Vec::new();
    for _ in 0..grants {
        let resources: Vec<_> = (0..resources).map(|_| resource()).collect();
        let actions = ["oss:GetObject", "oss:PutObject"];
        texts.push(policy(&[
            json!({ "Effect": "Allow", "Action": actions, "Resource": resources }),
        ]));
    }
    texts.iter().map(|text| grant(text).unwrap()).collect()
}

#[test]
fn grants_that_are_too_entangled_to_be_merged_get_a_union_at_a_bounded_cost() {
    #[expect(clippy::disallowed_methods, reason = "the cost is bounded in time, too")]
    let started = std::time::Instant::now();
    let grants = entangled(20, 18);
    let union = GrantUnion::of(&grants);
    let took = started.elapsed();
    println!("{took:?}, {} policies", union.policies().len());
    assert!(!union.is_complete());
    assert!(took < std::time::Duration::from_mins(1), "{took:?}");
    // Nothing is lost: each resource is there, or another that includes it.
    let union = together(&union.policies());
    let resources =
        |document: &Document<String>| -> BTreeSet<String> { document.values().cloned().collect() };
    for grant in &grants {
        let needed = resources(&rendered(grant, "alice", "2015"));
        let is_covered = |one: &String| {
            let mut wide = union.values();
            wide.any(|wide| crate::matching::resource::ResourcePattern::contains(wide, one))
        };
        assert!(needed.iter().all(is_covered));
    }
    assert!(GrantUnion::of(&entangled(2, 3)).is_complete());
}

pub(crate) fn statement() -> impl Strategy<Value = Value> {
    let actions =
        subsequence(&["oss:GetObject", "oss:PutObject", "oss:Get*", "oss:getobject"][..], 1..=3);
    let resources = subsequence(
        &[
            "acs:oss:*:*:bucket/users/${subject}/*",
            "acs:oss:*:*:bucket/users/alice/*",
            "acs:oss:*:*:bucket/users/*",
            "acs:oss:*:*:bucket/albums/${params.album}/*.jpg",
            "acs:oss:*:*:bucket/albums/2015/?.jpg",
            "acs:oss:*:*:bucket/${now:%Y/%m}/*",
            "acs:oss:*:*:bucket/${params.size}/${params.many}",
            "acs:oss:*:*:bucket/${client}/a",
            "acs:oss:*:*:bucket",
        ][..],
        1..=3,
    );
    let condition = select(vec![
        json!({}),
        json!({}),
        json!({ "StringLike": { "oss:Prefix": ["users/${subject}/*", "users/${subject}/"] } }),
        json!({ "StringLike": { "oss:Prefix": "users/*" } }),
        json!({ "StringEquals": { "oss:Prefix": ["users/${subject}/", "a*"] } }),
        json!({ "StringEquals": { "oss:Prefix": "users/${subject}/" }, "StringLike": { "oss:Prefix": "users/*" } }),
        json!({ "StringEquals": { "oss:Prefix": "${params.size}/" }, "StringLike": { "oss:Prefix": "s*" } }),
        json!({ "StringNotEquals": { "oss:Prefix": "${params.size}/" } }),
        json!({ "StringNotLike": { "oss:Prefix": ["users/bob/*", "a"] } }),
        json!({ "StringNotLike": { "oss:Prefix": "users/${subject}/*" } }),
        json!({ "IpAddress": { "acs:SourceIp": ["10.0.0.0/8", "11.0.0.0/8"] } }),
        json!({ "NumericEquals": { "oss:MaxKeys": "${now:%Y}" } }),
        json!({ "Bool": { "acs:SecureTransport": "true" } }),
    ]);
    let effect = select(&["Allow", "Allow", "Allow", "Deny"][..]);
    let name = select(&["Action", "Action", "Action", "Action", "NotAction"][..]);
    (effect, name, actions, resources, condition).prop_map(
        |(effect, name, actions, resources, condition)| {
            let mut statement = json!({ "Effect": effect, "Resource": resources });
            statement[name] = json!(actions);
            if condition != json!({}) {
                statement["Condition"] = condition;
            }
            statement
        },
    )
}

#[test]
fn whatever_a_grant_renders_is_within_the_union() {
    let policies = prop::collection::vec(prop::collection::vec(statement(), 1..4), 1..5);
    let values = (select(&["alice", "bob", "a"][..]), select(&["2015", "x.y"][..]));
    let checked = draw(400, &(policies, values), |(policies, (subject, album))| {
        let grants: Vec<_> = policies.iter().filter_map(|of| grant(&policy(of))).collect();
        let union = together(&GrantUnion::of(&grants).policies());
        for grant in &grants {
            let rendered = rendered(grant, subject, album);
            let found = rendered.inclusion_in(&union);
            assert_eq!(found, Inclusion::Included, "{rendered:?}\n{union:?}\n{policies:?}");
            let needed = read(&needed(grant));
            assert_eq!(rendered.inclusion_in(&needed), Inclusion::Included, "{rendered:?}");
            assert_eq!(needed.inclusion_in(&union), Inclusion::Included, "{needed:?}\n{union:?}");
        }
        grants.len() > 1
    });
    assert!(checked > 100, "{checked}");
}

#[test]
fn the_union_of_one_grant_without_placeholders_is_the_grant() {
    let values = [
        ("${subject}", "alice"),
        ("${params.album}", "2015"),
        ("${params.size}", "small"),
        ("${params.many}", "v9"),
        ("${now:%Y/%m}", "2016/01"),
        ("${now:%Y}", "2016"),
        ("${client}", "photo-app"),
    ];
    let checked = draw(200, &prop::collection::vec(statement(), 1..5), |statements| {
        let text = policy(&statements);
        let text = values.iter().fold(text, |text, (from, to)| text.replace(from, to));
        let Some(grant) = grant(&text) else { return false };
        let (union, own) = (together(&GrantUnion::of([&grant]).policies()), read(&text));
        assert_eq!(union.inclusion_in(&own), Inclusion::Included, "{text}");
        assert_eq!(own.inclusion_in(&union), Inclusion::Included, "{text}");
        true
    });
    assert!(checked > 50, "{checked}");
}
