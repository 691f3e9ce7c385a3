//! What stands beside a caller's value, or in another statement, decides whether the value keeps callers apart.

use super::*;

/// The decision for two clients, each of whose names is in lower case.
fn for_two_clients(policy: &str) -> Disjointness {
    let clients = ["photo-app", "web-app"].map(|id| id.parse().unwrap()).into();
    decided(policy, &Callers { clients, issuers: vec![] }, &[])
}

fn objects(path: &str) -> Value {
    let resource = format!("acs:oss:*:*:sample-bucket/{path}");
    json!({"Effect": "Allow", "Action": "oss:GetObject", "Resource": resource})
}

fn listed(operator: &str, prefix: &str) -> Value {
    json!({"Effect": "Allow", "Action": "oss:ListObjects", "Resource": "acs:oss:*:*:sample-bucket",
        "Condition": {operator: {"oss:Prefix": prefix}}})
}

fn of(statements: &[&Value]) -> String {
    json!({"Version": "1", "Statement": statements}).to_string()
}

/// Each statement keeps the clients apart, and one client's objects are below what another lists.
#[test]
fn a_listing_without_case_reaches_objects_that_are_written_in_another_case() {
    for (prefix, path) in [
        ("A/${client}/", "a/photo-app/${client}/*"),
        ("a/${client}/", "A/photo-app/${client}/*"),
        ("[/${client}/", "?/photo-app/${client}/*"),
    ] {
        let (listed, objects) = (listed("StringEqualsIgnoreCase", prefix), objects(path));
        for alone in [&listed, &objects] {
            assert_eq!(for_two_clients(&of(&[alone])), Disjointness::Proven, "{alone}");
        }
        for both in [[&listed, &objects], [&objects, &listed]] {
            assert_ne!(for_two_clients(&of(&both)), Disjointness::Proven, "{both:?}");
        }
    }
}

#[test]
fn a_client_reaches_what_begins_with_its_repeated_name() {
    let (twice, other) =
        (objects("${client}/${client}*"), objects("photo-app/photo-app-${client}"));
    for alone in [&twice, &other] {
        assert_eq!(for_two_clients(&of(&[alone])), Disjointness::Proven, "{alone}");
    }
    let decided = for_two_clients(&of(&[&twice, &other]));
    assert!(matches!(decided, Disjointness::Shared(_)), "{decided:?}");
}

/// The denied object is the empty file of a folder, whose listing it does not deny.
#[test]
fn a_denied_object_exempts_no_listing_that_begins_with_its_key() {
    let denied = json!({"Effect": "Deny", "Action": "*",
        "Resource": "acs:oss:*:*:sample-bucket/a/photo-app/"});
    let (listed, objects) =
        (listed("StringEquals", "a/${client}/"), objects("a/photo-app/${client}/*"));
    let decided = for_two_clients(&of(&[&listed, &objects, &denied]));
    assert_ne!(decided, Disjointness::Proven);
}

#[test]
fn values_at_the_same_place_are_equal_whatever_is_beside_them() {
    for path in [
        "sample-bucket/${now:%Y}${subject.hash}/*",
        "sample-bucket/${subject.hash}${params.album}/*",
        "sample-bucket/${subject}/*${subject}",
    ] {
        assert_eq!(decided_for_any(&reading(path)), Disjointness::Proven, "{path}");
    }
}

#[test]
fn characters_that_no_hash_has_keep_a_listing_from_objects_below_hashes() {
    let (listed, objects) = (
        listed("StringEqualsIgnoreCase", "xx/${subject.hash}/"),
        objects("${subject.hash}${params.album}/*"),
    );
    assert_eq!(decided_for_any(&of(&[&listed, &objects])), Disjointness::Proven);
}

#[test]
fn listed_values_that_differ_in_case_alone_are_one_value_without_case() {
    let for_values = |values: [&str; 2], operator: &str| {
        let policy = of(&[&listed(operator, "${claims.tier}/")]);
        let rule = ValueRule::one_of(&values.map(ToString::to_string)).unwrap();
        let mut rules = rules(&policy);
        rules.claims.insert("tier".parse().unwrap(), rule);
        decide(&PolicyTemplate::unchecked(&policy, &rules), &rules, &Callers::default(), &[])
    };
    let without_case = "StringEqualsIgnoreCase";
    assert_ne!(for_values(["gold", "GOLD"], without_case), Disjointness::Proven);
    assert_eq!(for_values(["gold", "GOLD"], "StringEquals"), Disjointness::Proven);
    assert_eq!(for_values(["gold", "silver"], without_case), Disjointness::Proven);
}

#[test]
fn other_services_and_actions_on_buckets_reach_no_objects() {
    let own = objects("users/${subject}/*");
    for (action, resource) in [
        ("*", "acs:ram:*:*:*"),
        ("ram:*", "acs:oss:*:*:sample-bucket/*"),
        ("oss:GetBucketAcl", "acs:oss:*:*:sample-bucket/*"),
    ] {
        let other = json!({"Effect": "Allow", "Action": action, "Resource": resource});
        assert_eq!(decided_for_any(&of(&[&own, &other])), Disjointness::Proven, "{other}");
    }
}

/// A listing is a request for a bucket.
#[test]
fn all_actions_on_a_shared_object_list_nothing_below_it() {
    let object = "acs:oss:*:*:sample-bucket/public/logo.png";
    let shared = json!({"Effect": "Allow", "Action": "oss:*", "Resource": object});
    let policy = of(&[&objects("users/${subject}/*"), &shared]);
    assert_eq!(decided(&policy, &Callers::default(), &[object]), Disjointness::Proven);
}

#[test]
fn a_template_without_a_proof_is_refused_with_its_texts_and_the_ways_out() {
    let denial = json!({"Effect": "Deny", "Action": "*",
        "Resource": ["acs:oss:*:*:sample-bucket/shared/", "acs:oss:*:*:sample-bucket/shared/?*"]});
    let problem = |decided: Disjointness| decided.problem().map(|problem| problem.to_string());
    insta::assert_snapshot!(problem(guarded(&denial)).unwrap(), @"it is not proven that callers with different ${subject} reach different data by `acs:oss:*:*:sample-bucket/shared/*` and `acs:oss:*:*:sample-bucket/shared/*`: the texts have keys in common, and only a denial, a condition or a value's rule may keep callers from them; give each caller a path segment of its own at the same place of every resource and prefix, or, where sharing is meant, list the resource with a reason in `allow_shared`");
    assert_eq!(problem(decided_for_any(&reading("sample-bucket/${subject}/*"))), None);
}
