//! The policy of a grant's own session against what the grant renders for callers, by the exact comparison.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;
use crate::evaluate::request::Request;
use crate::exact::Inclusion;
use crate::matching::pattern::Pattern;
use crate::session::session_policy::SessionPolicy;
use crate::tests::draw::draw;
use crate::union::GrantUnion;
use crate::union::grant_need::GrantNeed;
use crate::union::tests::{grant, policy, read, rendered, statement, together};

const ALL: [ObjectActions; 3] = [ObjectActions::Put, ObjectActions::Get, ObjectActions::PutAndGet];

fn session(
    statements: &[Value],
    actions: ObjectActions,
) -> Result<GrantSessionPolicy, GrantSessionProblem> {
    grant(&policy(statements)).unwrap().grant_session_policy(actions)
}

/// The policy without any other action.
fn with_only(actions: ObjectActions, mut document: Document<String>) -> Document<String> {
    let others = json!({ "Effect": "Deny", "NotAction": actions.names(), "Resource": "*" });
    document.statements.extend(read(&policy(&[others])).statements);
    document
}

fn own(statements: &[&str]) -> Value {
    json!({ "Effect": "Allow", "Action": statements,
        "Resource": "acs:oss:*:*:bucket/users/${subject}/*" })
}

#[test]
fn placeholders_become_wildcards_or_listed_values_and_only_the_actions_that_are_signed_stay() {
    let statements = [
        json!({ "Effect": "Allow", "Action": ["oss:*Object", "oss:ListParts"], "Resource": [
            "acs:oss:*:*:bucket/users/${subject}/${params.size}/*",
            "acs:oss:*:*:bucket/${now:%Y}/${params.album}.jpg"] }),
        json!({ "Effect": "Allow", "Action": "oss:ListObjects", "Resource": "acs:oss:*:*:bucket",
            "Condition": { "StringLike": { "oss:Prefix": "users/${subject}/*" } } }),
        json!({ "Effect": "Deny", "NotAction": "oss:GetObject", "Resource": "acs:oss:*:*:bucket/*/raw/*",
            "Condition": { "Bool": { "acs:SecureTransport": "false" } } }),
    ];
    let of = |actions| session(&statements, actions).unwrap().as_str().to_owned();
    insta::assert_snapshot!(of(ObjectActions::Put), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject","Resource":["acs:oss:*:*:bucket/*/*.jpg","acs:oss:*:*:bucket/users/*/large/*","acs:oss:*:*:bucket/users/*/small/*"]},{"Effect":"Deny","Action":"oss:PutObject","Resource":"acs:oss:*:*:bucket/*/raw/*","Condition":{"Bool":{"acs:SecureTransport":"false"}}}]}"#);
    insta::assert_snapshot!(of(ObjectActions::Get), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":["acs:oss:*:*:bucket/*/*.jpg","acs:oss:*:*:bucket/users/*/large/*","acs:oss:*:*:bucket/users/*/small/*"]}]}"#);
    insta::assert_snapshot!(of(ObjectActions::PutAndGet), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":["acs:oss:*:*:bucket/*/*.jpg","acs:oss:*:*:bucket/users/*/large/*","acs:oss:*:*:bucket/users/*/small/*"]},{"Effect":"Deny","Action":"oss:PutObject","Resource":"acs:oss:*:*:bucket/*/raw/*","Condition":{"Bool":{"acs:SecureTransport":"false"}}}]}"#);
}

#[test]
fn a_denial_of_an_action_allows_it_no_more_than_an_allow_of_another() {
    let denial = json!({ "Effect": "Deny", "Action": "oss:PutObject", "Resource": "acs:oss:*:*:bucket/a/*" });
    let refused = session(&[own(&["oss:GetObject"]), denial.clone()], ObjectActions::Put);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "no Allow of the policy has the action `oss:PutObject`, which the grant signs: add it, or do not sign for it"
    );
    let refused = session(&[own(&["oss:GetObject"]), denial], ObjectActions::PutAndGet);
    assert!(matches!(refused, Err(GrantSessionProblem::ActionNotAllowed(_))));
}

#[test]
fn a_template_that_no_single_session_can_sign_for_is_refused_with_the_way_out() {
    let put = |more: Value| {
        let mut statement = own(&["oss:PutObject"]);
        statement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        statement
    };
    let long = |i: usize| {
        json!({ "Effect": "Allow", "Action": "oss:PutObject",
        "Resource": format!("acs:oss:*:*:bucket/${{params.size}}/{}{i}/${{params.size}}/*", "x".repeat(200)) })
    };
    let cases = [
        vec![put(
            json!({ "Condition": { "StringEquals": { "oss:Prefix": "users/${subject}/" } } }),
        )],
        vec![
            put(json!({})),
            put(
                json!({ "Effect": "Deny", "Resource": "acs:oss:*:*:bucket/users/${subject}/raw/*" }),
            ),
        ],
        vec![
            put(json!({})),
            json!({ "Effect": "Deny", "NotAction": "oss:GetObject", "Resource": "*",
                "Condition": { "StringNotLike": { "oss:Prefix": "users/${subject}/*" } } }),
        ],
        vec![own(&["oss:GetObject"])],
        (0..5).map(long).collect(),
    ];
    let problem =
        |case: &Vec<Value>| format!("{}\n", session(case, ObjectActions::Put).unwrap_err());
    insta::assert_snapshot!(cases.iter().map(problem).collect::<String>(), @r"
    `Statement[0].Condition.StringEquals.oss:Prefix` uses `${subject}`: one session signs for all callers of the grant, so no caller's value can be put there; use the placeholder in the `Resource` of an Allow instead
    `Statement[1].Resource` uses `${subject}` in a Deny: one session signs for all callers of the grant, so it would be denied to all of them; leave what is denied out of the Allow instead
    `Statement[1].Condition.StringNotLike.oss:Prefix` uses `${subject}` in a Deny: one session signs for all callers of the grant, so it would be denied to all of them; leave what is denied out of the Allow instead
    no Allow of the policy has the action `oss:PutObject`, which the grant signs: add it, or do not sign for it
    the policy of the session that signs for all callers of the grant has 2684 bytes, and STS accepts at most 2047: name fewer resources, or list fewer values of parameters and claims
    ");
}

#[test]
fn what_concerns_other_actions_alone_is_no_problem() {
    let statements = [
        own(&["oss:PutObject"]),
        json!({ "Effect": "Deny", "Action": "oss:Get*", "Resource": "acs:oss:*:*:bucket/users/${subject}/raw/*" }),
    ];
    assert!(session(&statements, ObjectActions::Put).is_ok());
    assert!(session(&statements, ObjectActions::PutAndGet).is_err());
}

#[test]
fn a_session_that_confirms_uploads_reads_objects_of_a_pattern_and_does_nothing_else() {
    let bucket = "bucket".parse().unwrap();
    let reading = |pattern| GrantSessionPolicy::reading(&bucket, pattern);
    insta::assert_snapshot!(reading("users/*/*.jpg").unwrap().as_str(), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/users/*/*.jpg"}]}"#);
    for bad in ["", "users/${subject}/*", "a\n", "a}"] {
        assert_eq!(reading(bad), Err(GrantSessionProblem::KeyPattern(bad.to_owned())), "{bad}");
    }
    assert_eq!(reading(&"x".repeat(3000)), Err(GrantSessionProblem::TooLong { bytes: 3106 }));
}

#[test]
fn a_grants_session_may_do_what_some_caller_may_do_to_objects_and_nothing_else() {
    let policies = prop::collection::vec(statement(), 1..4);
    let values = (select(&["alice", "bob", "a"][..]), select(&["2015", "x.y"][..]));
    let cases = (policies, values, select(&ALL[..]));
    let checked = draw(1500, &cases, |(statements, (subject, album), actions)| {
        let Some(grant) = grant(&policy(&statements)) else { return false };
        let Ok(session) = grant.grant_session_policy(actions) else { return false };
        assert!(session.as_str().len() <= MAX_POLICY_BYTES);
        let session = read(session.as_str());
        // No placeholder is left over as literal text.
        assert!(session.values().all(|text| !text.contains('$')), "{session:?}");
        let union = with_only(actions, together(&GrantUnion::of([&grant]).policies()));
        assert_eq!(session.inclusion_in(&union), Inclusion::Included, "{statements:?}");
        assert_eq!(union.inclusion_in(&session), Inclusion::Included, "{statements:?}");
        let need = GrantNeed::new(&grant, false, Some(actions), None);
        let need = together(&GrantUnion::of([need]).policies());
        assert_eq!(session.inclusion_in(&need), Inclusion::Included, "{statements:?}");
        assert_eq!(need.inclusion_in(&session), Inclusion::Included, "{statements:?}");
        let caller = with_only(actions, rendered(&grant, subject, album));
        assert_eq!(caller.inclusion_in(&session), Inclusion::Included, "{statements:?}");
        true
    });
    assert!(checked > 100, "{checked}");
}

/// OSS decides what is signed by the policy of the grant's session alone, whatever the request's other properties are.
#[test]
fn whatever_is_signed_for_a_caller_its_own_policy_allows() {
    const PATHS: [&str; 8] = [
        "users/alice/a.jpg",
        "users/bob/a.jpg",
        "users/alice",
        "albums/2015/a.jpg",
        "albums/x.y/a.jpg",
        "2016/01/a",
        "large/v3",
        "photo-app/a",
    ];
    let policies = prop::collection::vec(statement(), 1..4);
    let values = (select(&["alice", "bob", "a"][..]), select(&["2015", "x.y"][..]));
    let actions = select(&[ObjectActions::Put, ObjectActions::Get][..]);
    let cases = (policies, values, actions, select(&PATHS[..]));
    let mut refused = 0;
    let signed = draw(3000, &cases, |(statements, (subject, album), actions, path)| {
        let Some(grant) = grant(&policy(&statements)) else { return false };
        let Ok(session) = grant.grant_session_policy(actions) else { return false };
        let caller = rendered(&grant, subject, album);
        let resource = format!("acs:oss:*:*:bucket/{path}");
        let request = Request::new(actions.names()[0], &resource, BTreeMap::new()).unwrap();
        if !session.signs_for(&SessionPolicy::for_tests(&caller.minified()), &request) {
            refused += 1;
            return false;
        }
        let mut of_object = read(session.as_str());
        of_object.statements.retain_mut(|statement| {
            let matches = |pattern: &String| Pattern(pattern).matches(&resource);
            let concerns = statement.resource.as_slice().iter().any(matches);
            statement.resource = Strings::One(resource.clone());
            concerns
        });
        let found = with_only(actions, of_object).inclusion_in(&caller);
        assert_eq!(found, Inclusion::Included, "{path} {subject} {album} {statements:?}");
        true
    });
    assert!(signed > 50 && refused > 50, "{signed} were signed, {refused} refused");
}
