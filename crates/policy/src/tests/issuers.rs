//! Pairs of issuer and subject never meet, where a template tells issuers apart.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::matching::pattern::Pattern;
use crate::template::value_rule::ValueRules;
use crate::template::value_rule::{Shape, ValueRule};
use crate::template::values::{RawValues, ValueProblem};
use crate::{Breadth, GrantTemplate, GrantTexts, RenderedSession};

const BUCKET: &str = "acs:oss:*:*:sample-bucket";

/// A grant on `path`, and on listing it.
fn grant(path: &str, session_name: Option<&str>) -> Result<GrantTemplate, String> {
    let policy = format!(
        r#"{{"Version":"1","Statement":[
            {{"Effect":"Allow","Action":"oss:GetObject","Resource":"{BUCKET}/{path}/*"}},
            {{"Effect":"Allow","Action":"oss:ListObjects","Resource":"{BUCKET}",
              "Condition":{{"StringLike":{{"oss:Prefix":"{path}/*"}}}}}}]}}"#
    );
    let rules = ValueRules {
        params: BTreeMap::new(),
        claims: BTreeMap::from([(
            "tenant".parse().unwrap(),
            ValueRule::text(Shape::Segment, None, 64).unwrap(),
        )]),
        subject_max_bytes: 64,
    };
    let texts = GrantTexts {
        policy: &policy,
        breadth: Breadth::Narrow,
        session_name,
        source_identity: None,
    };
    GrantTemplate::parse(texts, rules)
        .map_err(|problems| problems.iter().map(|p| format!("{p}\n")).collect())
}

fn render(
    grant: &GrantTemplate,
    issuer: Option<&str>,
    subject: &str,
    tenant: &str,
) -> Result<RenderedSession, ValueProblem> {
    let issuer = issuer.map(|issuer| issuer.parse().unwrap());
    grant.render(RawValues {
        client: &"photo-app".parse().unwrap(),
        issuer: issuer.as_ref(),
        subject: Some(&subject.parse().unwrap()),
        claims: &BTreeMap::from([("tenant".to_owned(), tenant.to_owned())]),
        params: &BTreeMap::new(),
        now: chrono::DateTime::UNIX_EPOCH,
    })
}

fn resource(session: &RenderedSession) -> String {
    let policy: serde_json::Value = serde_json::from_str(session.policy.as_str()).unwrap();
    policy["Statement"][0]["Resource"].as_str().unwrap().to_owned()
}

/// Which of a grant's texts merge users, and by which texts.
fn merging(path: &str, session_name: Option<&str>, by_client: bool) -> String {
    let merging = grant(path, session_name).unwrap().issuer_collisions(by_client);
    let keys = merging.into_iter().map(|(key, texts)| format!("{key}: {}", texts.join(", ")));
    keys.collect::<Vec<_>>().join("; ")
}

#[test]
fn each_text_that_takes_a_subject_or_a_claim_must_tell_issuers_apart() {
    for sound in [
        "users/${issuer}/${subject}",
        "users/${subject}/${issuer}",
        "${issuer}/x/${claims.tenant}",
        "users/${subject.hash}",
        "${claims.tenant}/${subject.hash}",
        "${issuer}/${subject.encoded}",
        "shared",
        "${client}",
    ] {
        assert_eq!(merging(sound, None, false), "", "{sound}");
    }
    insta::assert_snapshot!(merging("users/${subject}", None, false), @"policy: acs:oss:*:*:sample-bucket/users/${subject}/*, users/${subject}/*; session_name: ${client}.${subject}");
    insta::assert_snapshot!(merging("users/${subject.encoded}", Some("${client}"), false), @"policy: acs:oss:*:*:sample-bucket/users/${subject.encoded}/*, users/${subject.encoded}/*");
    insta::assert_snapshot!(merging("${client}/${claims.tenant}", None, false), @"policy: ${client}/${claims.tenant}/*, acs:oss:*:*:sample-bucket/${client}/${claims.tenant}/*");
    insta::assert_snapshot!(merging("users/${issuer}/${subject}", Some("${subject}"), false), @"session_name: ${subject}");
    insta::assert_snapshot!(merging("shared", Some("${claims.tenant}"), false), @"session_name: ${claims.tenant}");
    // Where each client has one issuer.
    assert_eq!(merging("${client}/${subject}", None, true), "");
    assert_ne!(merging("users/${subject}", None, true), "");
}

/// The default name says as much as the policy.
#[test]
fn sessions_are_named_by_the_issuer_where_the_policy_is() {
    let name = |path: &str, subject: &str| {
        let session = render(&grant(path, None).unwrap(), Some("company"), subject, "t");
        session.unwrap().session_name.to_string()
    };
    assert_eq!(name("${issuer}/${subject}", "alice"), "photo-app.company.alice");
    assert_eq!(name("${subject.hash}", "alice"), "photo-app.company.alice");
    assert_eq!(name("${subject}", "alice"), "photo-app.alice");
    assert_eq!(name("${issuer}", "alice"), "photo-app");
    assert!(name("${issuer}/${subject.encoded}", "auth0|5f7c").starts_with("hash-"));
}

#[test]
fn an_odd_subject_is_encoded_or_hashed_and_a_plain_one_that_looks_encoded_is_refused() {
    let of = |path: &str, subject: &str| {
        render(&grant(path, None).unwrap(), Some("company"), subject, "t")
            .map(|session| resource(&session).replace(BUCKET, ""))
            .map_err(|problem| problem.to_string())
    };
    let hash = "70731dc23a995987264feba7ef91a35c50825e8974fd5b0b2a65e14887ed5894";
    assert_eq!(of("u/${subject.encoded}", "auth0|5f7c"), Ok("/u/auth0~7c5f7c/*".to_owned()));
    assert_eq!(of("u/${subject.hash}", "auth0|5f7c"), Ok(format!("/u/{hash}/*")));
    assert!(of("u/${subject}", "auth0|5f7c").is_err());
    assert_eq!(of("u/${subject}", "a~7C"), Ok("/u/a~7C/*".to_owned()));
    insta::assert_snapshot!(of("u/${subject}", "auth0~7c5f7c").unwrap_err(), @"the subject must be without `~` before two hexadecimal digits, which stand for a character of another user's where subjects are encoded");
    // What counts is how long it becomes.
    assert!(of("u/${subject.encoded}", &"|".repeat(21)).is_ok());
    insta::assert_snapshot!(of("u/${subject.encoded}", &"|".repeat(22)).unwrap_err(), @"the subject must be at most 64 bytes when it is encoded");
    assert!(of("u/${subject.hash}", &"|".repeat(256)).is_ok());
    let nobodys = render(&grant("${issuer}", None).unwrap(), None, "alice", "t").unwrap_err();
    assert_eq!(nobodys, ValueProblem::MissingIssuer);
}

#[test]
fn one_policy_writes_its_subjects_in_one_form() {
    for (one, other) in [
        ("${subject}", "${subject.hash}"),
        ("${subject}", "${subject.encoded}"),
        ("${subject.encoded}", "${subject.hash}"),
    ] {
        let refused = grant(&format!("{one}/{other}"), None).err().unwrap();
        assert_eq!(
            refused,
            "the policy: subjects are written in different forms, and one user's in one form could be another's in the \
             other: use one of `${subject}`, `${subject.encoded}` and `${subject.hash}` throughout the policy\n"
        );
        assert!(grant(&format!("{one}/{one}"), Some(&format!("{one}.{other}"))).is_ok());
    }
}

fn subject() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,2}", "[a|~7c]{1,4}", "(company|partner|alice)", "[a-f0-9]{64}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn users_of_different_issuers_reach_nothing_of_each_other(
        one in subject(), two in subject(), tenants in ("[ab]", "[ab]"), same in any::<bool>(),
    ) {
        let two = if same { one.clone() } else { two };
        for path in [
            "users/${issuer}/${subject}",
            "users/${subject}/${issuer}",
            "u-${issuer}.d/x-${subject.encoded}",
            "users/${subject.hash}",
            "${claims.tenant}/${subject.hash}",
            "${issuer}/${claims.tenant}/${subject}",
        ] {
            let grant = grant(path, None).unwrap();
            let ours = render(&grant, Some("company"), &one, &tenants.0);
            let theirs = render(&grant, Some("partner"), &two, &tenants.1);
            let (Ok(ours), Ok(theirs)) = (ours, theirs) else { continue };
            prop_assert_ne!(&ours.session_name, &theirs.session_name);
            let [mine, others] = [&ours, &theirs].map(resource);
            let key = others.replace('*', "x");
            prop_assert!(!Pattern(&mine).matches(&key), "{} reaches {}", mine, key);
        }
    }
}
