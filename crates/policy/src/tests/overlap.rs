//! What `overlaps` calls disjoint is disjoint: no object matches what both callers' policies allow, by objects or by
//! listings.

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::draw::draw;
use crate::template::value_rule::{Shape, ValueRule, ValueRules};
use crate::{Breadth, GrantTemplate, GrantTexts, RawValues};

/// Values that read like the names and the fixed text of the templates, and one that nothing names.
const SEGMENTS: [&str; 7] = ["a", "b", "ab", "photo", "company", "2016", UNNAMED];
const PATHS: [&str; 5] = ["a", "a/b", "b/a.jpg", "photo/a", "company/ab"];
const UNNAMED: &str = "q9zz";

/// The values of one caller, beside its client and its issuer.
#[derive(Clone, Copy, Debug)]
struct CallerValues {
    subject: &'static str,
    tenant: &'static str,
    folder: &'static str,
    album: &'static str,
}

impl CallerValues {
    /// The same caller with a user whom nothing names.
    fn unnamed(self, album: &'static str) -> Self {
        Self { subject: UNNAMED, tenant: UNNAMED, folder: UNNAMED, album }
    }
}

fn caller_values() -> impl Strategy<Value = CallerValues> {
    (select(&SEGMENTS), select(&SEGMENTS), select(&PATHS), select(&SEGMENTS)).prop_map(
        |(subject, tenant, folder, album)| CallerValues { subject, tenant, folder, album },
    )
}

fn key() -> impl Strategy<Value = String> {
    let fixed = ["a", "b", "ab", "photo", "company"];
    let placeholders = [
        "${subject}",
        "${subject.hash}",
        "${claims.tenant}",
        "u-${subject}",
        "${params.album}",
        "${issuer}",
        "${client}",
        "${now:%Y}",
    ];
    let segment = prop_oneof![2 => select(fixed.to_vec()), 3 => select(placeholders.to_vec())];
    let tail = select(vec!["", "", "/*", "/?", "/a*", ".jpg", "/${claims.folder}"]);
    let key = (vec(segment, 1..=3), tail).prop_map(|(segments, tail)| segments.join("/") + tail);
    // That two places of one parameter have the same value, `overlaps` does not follow.
    key.prop_filter("a parameter twice", |key| key.matches("params.").count() < 2)
}

/// How a policy allows a key: the object, or its listing under an operator.
const OBJECTS: &str = "objects";
const ACCESSES: [&str; 4] = [OBJECTS, OBJECTS, "StringLike", "StringEquals"];

fn template(key: &str) -> Option<GrantTemplate> {
    template_of(OBJECTS, key)
}

fn template_of(access: &str, key: &str) -> Option<GrantTemplate> {
    let statement = match access {
        OBJECTS => {
            format!(r#""Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/{key}""#)
        }
        operator => format!(
            r#""Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
                "Condition":{{"{operator}":{{"oss:Prefix":"{}"}}}}"#,
            if operator == "StringLike" { key.to_owned() } else { key.replace(['*', '?'], "") }
        ),
    };
    of_policy(&format!(r#"{{"Version":"1","Statement":[{{"Effect":"Allow",{statement}}}]}}"#))
}

fn of_policy(policy: &str) -> Option<GrantTemplate> {
    let rule = |shape| ValueRule::text(shape, None, 64).unwrap();
    let name = |raw: &str| raw.parse().unwrap();
    let rules = ValueRules {
        params: BTreeMap::from([(name("album"), rule(Shape::Segment))]),
        claims: BTreeMap::from([
            (name("tenant"), rule(Shape::Segment)),
            (name("folder"), rule(Shape::Path)),
        ]),
        subject_max_bytes: 64,
    };
    let texts = GrantTexts {
        policy,
        breadth: Breadth::Narrow,
        session_name: Some("name"),
        source_identity: None,
    };
    GrantTemplate::parse(texts, rules).ok()
}

/// The pattern of the objects that the rendered policy allows or lists.
fn allowed_objects(
    template: &GrantTemplate,
    client: &str,
    issuer: &str,
    values: CallerValues,
) -> String {
    let raw = RawValues {
        client: &client.parse().unwrap(),
        issuer: Some(&issuer.parse().unwrap()),
        subject: Some(&values.subject.parse().unwrap()),
        claims: &BTreeMap::from([
            ("tenant".to_owned(), values.tenant.to_owned()),
            ("folder".to_owned(), values.folder.to_owned()),
        ]),
        params: &BTreeMap::from([("album".to_owned(), values.album.to_owned())]),
        now: "2016-01-13T14:02:37Z".parse().unwrap(),
    };
    let policy = template.render(raw).unwrap().policy;
    let policy: serde_json::Value = serde_json::from_str(policy.as_str()).unwrap();
    let statement = &policy["Statement"][0];
    let path = statement["Resource"].as_str().unwrap().replace("acs:oss:*:*:", "");
    let listed = ["StringLike", "StringEquals"]
        .into_iter()
        .find_map(|operator| statement["Condition"][operator]["oss:Prefix"].as_str());
    listed.map_or(path.clone(), |prefix| format!("{path}/{prefix}*"))
}

/// Some of the objects that the pattern matches.
fn samples(pattern: &str) -> Vec<String> {
    let Some(at) = pattern.find(['*', '?']) else { return vec![pattern.to_owned()] };
    let fillings: &[&str] =
        if pattern[at..].starts_with('*') { &["", "a", "b/a", "photo"] } else { &["a", "b"] };
    let rest = samples(&pattern[at + 1..]);
    let begun = fillings.iter().map(|filling| format!("{}{filling}", &pattern[..at]));
    begun.flat_map(|begun| rest.iter().map(move |rest| format!("{begun}{rest}"))).collect()
}

/// RAM's wildcards once more, with none of this crate's code.
fn matches(pattern: &[u8], object: &[u8]) -> bool {
    match (pattern.split_first(), object.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => matches(rest, object),
        (Some((b'*', rest)), Some((_, after))) => matches(rest, object) || matches(pattern, after),
        (Some((p, rest)), Some((o, after))) => (*p == b'?' || p == o) && matches(rest, after),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn share_an_object(ours: &str, theirs: &str) -> bool {
    let finds = |one: &str, other: &str| {
        samples(one).iter().any(|object| matches(other.as_bytes(), object.as_bytes()))
    };
    finds(ours, theirs) || finds(theirs, ours)
}

#[test]
fn policies_that_do_not_overlap_share_no_object() {
    const CLIENTS: [&str; 2] = ["photo", "ab"];
    let names = (select(&CLIENTS), select(&CLIENTS));
    let accesses = (select(&ACCESSES), select(&ACCESSES));
    let values = vec((caller_values(), caller_values()), 12);
    let witnessed = Cell::new(0);
    let disjoint = draw(
        4000,
        &(key(), key(), accesses, names, values),
        |(one, other, accesses, clients, values)| {
            let (Some(ours), Some(theirs)) =
                (template_of(accesses.0, &one), template_of(accesses.1, &other))
            else {
                return false;
            };
            let shared = |mine: CallerValues, others: CallerValues| {
                share_an_object(
                    &allowed_objects(&ours, clients.0, "a", mine),
                    &allowed_objects(&theirs, clients.1, "company", others),
                )
            };
            let (our_client, their_client) =
                (clients.0.parse().unwrap(), clients.1.parse().unwrap());
            let (our_issuer, their_issuer) = ("a".parse().unwrap(), "company".parse().unwrap());
            let overlap =
                ours.overlaps((&our_client, &our_issuer), &theirs, (&their_client, &their_issuer));
            let found = values.iter().find(|(mine, others)| shared(*mine, *others));
            if overlap.is_some() {
                witnessed.set(witnessed.get() + usize::from(found.is_some()));
                return false;
            }
            if let Some((mine, others)) = found {
                // Shared all the same: what depends on no user, and what the operator opened to any user.
                let of_a_user = |key: &str| key.contains("${subject") || key.contains("${claims.");
                let by_anybody = || {
                    let albums =
                        SEGMENTS.iter().flat_map(|one| SEGMENTS.iter().map(move |two| (one, two)));
                    albums.into_iter().any(|(a, b)| shared(mine.unnamed(a), others.unnamed(b)))
                };
                let excused = match [of_a_user(&one), of_a_user(&other)] {
                    [false, false] => true,
                    [true, true] => false,
                    [true, false] | [false, true] => by_anybody(),
                };
                assert!(
                    excused,
                    "`{one}` with {mine:?} meets `{other}` with {others:?}; {accesses:?}, clients {clients:?}"
                );
            }
            true
        },
    );
    // Otherwise the test would prove nothing.
    assert!(disjoint > 1800, "only {disjoint} pairs do not overlap");
    assert!(witnessed.get() > 50, "only {} overlaps have a witness", witnessed.get());
}

/// Under an operator that ignores case, `Alice` lists what is under `alice`.
#[test]
fn prefixes_meet_in_another_letter_case_where_a_condition_ignores_case() {
    let listing = |operator: &str, prefix: &str| {
        let policy = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:ListObjects",
                "Resource":"acs:oss:*:*:sample-bucket","Condition":{{"{operator}":{{"oss:Prefix":"{prefix}"}}}}}}]}}"#
        );
        of_policy(&policy).unwrap()
    };
    let overlap = |ours: &GrantTemplate, theirs: &GrantTemplate| {
        let names = ["photo", "a", "company"].map(str::to_owned);
        let [client, a, company] = &names;
        let we = (&client.parse().unwrap(), &a.parse().unwrap());
        let they = (&client.parse().unwrap(), &company.parse().unwrap());
        ours.overlaps(we, theirs, they).is_some()
    };
    let users = listing("StringEquals", "${subject}/");
    for (operator, prefix, expected) in [
        ("StringEqualsIgnoreCase", "USERS/${client}/", true),
        ("StringEquals", "USERS/${client}/", false),
        ("StringEquals", "users/${client}/", true),
    ] {
        let named = listing("StringEquals", "users/${subject}/");
        let other = listing(operator, prefix);
        assert_eq!(overlap(&named, &other), expected, "{operator} {prefix}");
        // A user who is called like a folder lists what is under it.
        assert!(overlap(&users, &other), "{operator} {prefix}");
    }
}

#[test]
fn a_date_may_be_the_name_of_a_user_but_not_of_every_user() {
    let overlap = |one: &str, other: &str| {
        let [ours, theirs] = [one, other].map(|key| template(key).unwrap());
        let [client, company, a] = ["photo", "company", "a"];
        let we = (&client.parse().unwrap(), &a.parse().unwrap());
        let they = (&client.parse().unwrap(), &company.parse().unwrap());
        ours.overlaps(we, &theirs, they).is_some()
    };
    assert!(overlap("${now:%Y}/*", "${claims.tenant}/a"));
    assert!(!overlap("${now:%Y}/*", "users/${claims.tenant}/a"));
    assert!(!overlap("*", "${claims.tenant}/a"));
}

#[test]
fn what_all_callers_share_is_no_overlap_and_the_texts_of_an_overlap_are_quoted() {
    let [web, app] = ["web", "app"].map(|client| client.parse().unwrap());
    let [google, github] = ["google", "github"].map(|issuer| issuer.parse().unwrap());
    let overlap = |ours: &str, theirs: &str| {
        let [ours, theirs] = [ours, theirs].map(|key| template(key).unwrap());
        ours.overlaps((&web, &google), &theirs, (&app, &github))
    };
    // Any caller may choose any album.
    assert_eq!(overlap("${params.album}/*", "photo/*"), None);
    assert_eq!(overlap("${client}/*", "web/*"), None);
    assert_eq!(
        overlap("${client}/${subject}/*", "web/photo/*"),
        Some((
            "acs:oss:*:*:sample-bucket/${client}/${subject}/*".to_owned(),
            "acs:oss:*:*:sample-bucket/web/photo/*".to_owned()
        ))
    );
}
