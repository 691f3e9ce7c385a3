//! The exact decision and containment against the evaluator, over everything that a small alphabet can write.

use std::collections::BTreeMap;

use super::language::FRESH;
use super::*;
use crate::containment::requested_policy::RequestedPolicy;
use crate::evaluate::request::Request;
use crate::matching::resource::fields;

fn policy(statements: &str) -> Document<String> {
    let json = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
    Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap()
}

fn allow(resource: &str) -> Document<String> {
    policy(&format!(
        r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:{resource}"}}"#
    ))
}

/// All texts over the alphabet up to the length, the shortest first.
fn texts(alphabet: &[char], longest: usize) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut last = texts.clone();
    for _ in 0..longest {
        last = last
            .iter()
            .flat_map(|text| alphabet.iter().map(move |c| format!("{text}{c}")))
            .collect();
        texts.extend(last.iter().cloned());
    }
    texts
}

/// Whether the evaluator, which shares nothing with the decision, agrees with the witness.
fn shows(witness: &Witness, one: &Document<String>, other: &Document<String>) -> bool {
    let Witness { action, resource, conditions } = witness.clone();
    let request = Request::new(&action, &resource, conditions).unwrap();
    one.decide(&request).is_allowed() && !other.decide(&request).is_allowed()
}

/// The longest pattern. With `EXACT_LONGEST=4` it tries 608,400 pairs, for minutes in a release build.
fn longest() -> usize {
    #[expect(clippy::disallowed_methods, reason = "for the test alone")]
    std::env::var("EXACT_LONGEST").map_or(3, |longest| longest.parse().unwrap())
}

/// Every pair of patterns up to three characters over `a`, `b`, `/`, `*` and `?`, as paths of resources, against all
/// texts of up to six characters.
#[test]
fn inclusion_of_every_pair_of_short_patterns_is_what_all_short_texts_say() {
    let patterns: Vec<_> = texts(&['a', 'b', '/', '*', '?'], longest()).split_off(1);
    let requests: Vec<_> = texts(&['a', 'b', '/', 'x'], 6)
        .split_off(1)
        .into_iter()
        .map(|text| {
            let resource = format!("acs:oss:r:1:{text}");
            Request::new("oss:GetObject", &resource, BTreeMap::new()).unwrap()
        })
        .collect();
    let policies: Vec<_> = patterns.iter().map(|pattern| allow(pattern)).collect();
    let allowed: Vec<Vec<u64>> = policies
        .iter()
        .map(|policy| {
            let words = requests.chunks(64).map(|chunk| {
                chunk.iter().enumerate().fold(0, |word, (i, request)| {
                    word | (u64::from(policy.decide(request).is_allowed()) << i)
                })
            });
            words.collect()
        })
        .collect();
    let pairs = |ones: &[(&Document<String>, &Vec<u64>)]| {
        let (mut included, mut contained) = (0, 0);
        for (one, ours) in ones {
            for (other, theirs) in policies.iter().zip(&allowed) {
                let differ = ours.iter().zip(theirs).any(|(ours, theirs)| ours & !theirs != 0);
                let is_contained = RequestedPolicy((*one).clone()).within(other).is_ok();
                assert!(!(is_contained && differ), "contained: {one:?} {other:?}");
                contained += usize::from(is_contained);
                match one.inclusion_in(other) {
                    Inclusion::Included => {
                        assert!(!differ, "{one:?} {other:?}");
                        // A path is never empty, which containment leaves aside: `*` is within `?*`.
                        let [.., path] = fields(&one.statements[0].resource.as_slice()[0]).unwrap();
                        assert!(
                            is_contained || path.chars().all(|c| c == '*'),
                            "{one:?} {other:?}"
                        );
                        included += 1;
                    }
                    Inclusion::Beyond(witness) => {
                        assert!(shows(&witness, one, other), "{witness:?} {one:?} {other:?}");
                    }
                    Inclusion::TooComplex(bound) => panic!("{bound} {one:?} {other:?}"),
                }
            }
        }
        (included, contained)
    };
    let ones: Vec<_> = policies.iter().zip(&allowed).collect();
    let (half, other_half) = ones.split_at(ones.len() / 2);
    let ((included, contained), (more_included, more_contained)) = std::thread::scope(|scope| {
        let other = scope.spawn(|| pairs(other_half));
        (pairs(half), other.join().unwrap())
    });
    let (included, contained) = (included + more_included, contained + more_contained);
    let all = policies.len() * policies.len();
    println!("{all} pairs: {included} included by the exact decision, {contained} by containment");
    assert!(included > policies.len());
}

#[test]
fn unions_denials_negations_and_conditions_are_decided_exactly() {
    let get = |resource: &str, more: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:{resource}"{more}}}"#
        )
    };
    let when = |condition: &str| format!(r#","Condition":{{{condition}}}"#);
    let deny = |resource: &str| get(resource, "").replace("Allow", "Deny");
    let not = |actions: &str| {
        format!(r#"{{"Effect":"Allow","NotAction":{actions},"Resource":"acs:oss:*:*:b/*"}}"#)
    };
    for (one, other, is_included) in [
        // A union that none of its parts includes.
        (get("b/?", ""), [get("b/a", ""), get("b/?", "")].join(","), true),
        (get("b/*", ""), [get("b/a*", ""), get("b/b*", "")].join(","), false),
        ([get("b/a", ""), get("b/b", "")].join(","), get("b/?", ""), true),
        // Denials on either side.
        ([get("b/*", ""), deny("b/a*")].join(","), get("b/*", ""), true),
        (get("b/*", ""), [get("b/*", ""), deny("b/a*")].join(","), false),
        ([get("b/*", ""), deny("b/a*")].join(","), [get("b/*", ""), deny("b/ab*")].join(","), true),
        // NotAction.
        (get("b/*", ""), not(r#""oss:Put*""#), true),
        (not(r#""oss:*""#), not(r#""oss:Put*""#), true),
        (not(r#""oss:Put*""#), not(r#"["oss:Put*","oss:Delete*"]"#), false),
        // A smaller network, an earlier end, a lower number.
        (
            get("b/*", &when(r#""IpAddress":{"acs:SourceIp":"10.1.0.0/16"}"#)),
            get("b/*", &when(r#""IpAddress":{"acs:SourceIp":["10.0.0.0/8","192.168.0.0/16"]}"#)),
            true,
        ),
        (
            get("b/*", &when(r#""IpAddress":{"acs:SourceIp":"10.0.0.0/7"}"#)),
            get("b/*", &when(r#""IpAddress":{"acs:SourceIp":"10.0.0.0/8"}"#)),
            false,
        ),
        (
            get("b/*", &when(r#""DateLessThan":{"acs:CurrentTime":"2016-01-01T00:00:00Z"}"#)),
            get("b/*", &when(r#""DateLessThanEquals":{"acs:CurrentTime":"2016-01-01T00:00:00Z"}"#)),
            true,
        ),
        (
            get("b/*", &when(r#""NumericLessThanEquals":{"oss:MaxKeys":"100"}"#)),
            get("b/*", &when(r#""NumericLessThan":{"oss:MaxKeys":"100"}"#)),
            false,
        ),
        // A negated operator holds where the key is absent.
        (
            get("b/*", &when(r#""StringNotLike":{"oss:Prefix":"a*"}"#)),
            get("b/*", &when(r#""StringLike":{"oss:Prefix":"*"}"#)),
            false,
        ),
        (
            get("b/*", &when(r#""StringEquals":{"oss:Prefix":["a","b"]}"#)),
            get("b/*", &when(r#""StringNotEquals":{"oss:Prefix":"c"}"#)),
            true,
        ),
        (
            get("b/*", &when(r#""StringEqualsIgnoreCase":{"oss:Prefix":"A"}"#)),
            get("b/*", &when(r#""StringEquals":{"oss:Prefix":["a","A"]}"#)),
            true,
        ),
        (
            get("b/*", &when(r#""StringEqualsIgnoreCase":{"oss:Prefix":"k"}"#)),
            get("b/*", &when(r#""StringEquals":{"oss:Prefix":["k","K"]}"#)),
            false,
        ),
        // The two halves of what a key can be.
        (
            get("b/*", ""),
            [
                get("b/*", &when(r#""StringLike":{"oss:Prefix":"a*"}"#)),
                get("b/*", &when(r#""StringNotLike":{"oss:Prefix":"a*"}"#)),
            ]
            .join(","),
            true,
        ),
    ] {
        let (one, other) = (policy(&one), policy(&other));
        match one.inclusion_in(&other) {
            Inclusion::Included => assert!(is_included, "{one:?} {other:?}"),
            Inclusion::Beyond(witness) => {
                assert!(!is_included, "{witness:?} {one:?} {other:?}");
                assert!(shows(&witness, &one, &other), "{witness:?}");
            }
            Inclusion::TooComplex(bound) => panic!("{bound}"),
        }
    }
}

#[test]
fn a_witness_reads_like_a_request_that_somebody_would_make() {
    let one = allow("sample-bucket/users/*");
    let other = allow("sample-bucket/users/alice/*");
    let Inclusion::Beyond(witness) = one.inclusion_in(&other) else { panic!("it is wider") };
    assert_eq!(
        (witness.action.as_str(), witness.resource.as_str()),
        ("oss:GetObject", "acs:oss:*:*:sample-bucket/users/object"),
    );
}

/// Names that serve are those that OSS has, whatever the automata found first.
#[test]
fn a_witness_has_names_of_oss_where_any_name_serves() {
    let one = |action: &str, resource: &str| {
        policy(&format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}"#))
    };
    let nothing = one("ram:GetUser", "acs:ram:*:*:user/nobody");
    let shown = |action: &str, resource: &str, other: &Document<String>| {
        let Inclusion::Beyond(witness) = one(action, resource).inclusion_in(other) else {
            panic!("it is wider")
        };
        assert!(shows(&witness, &one(action, resource), other), "{witness}");
        witness.to_string()
    };
    let lines = [
        shown("*", "*", &nothing),
        shown("oss:*", "acs:oss:*:*:sample-bucket", &nothing),
        shown("oss:*", "*", &one("oss:Get*", "*")),
        shown("oss:List*", "*", &nothing),
        shown("oss:getobject", "acs:oss:*:*:sample-bucket/2015/*.jpg", &nothing),
        shown("oss:GetObject", "acs:oss:oss-cn-hangzhou:*:sample-bucket/*", &nothing),
        shown("*", "*", &one("oss:*", "*")),
        shown("ram:*", "acs:ram:*:*:user/*", &nothing),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
oss:GetObject on acs:oss:*:*:bucket/object
oss:ListObjects on acs:oss:*:*:sample-bucket
oss:PutObject on acs:oss:*:*:bucket/object
oss:ListParts on acs:oss:*:*:bucket/object
oss:getobject on acs:oss:*:*:sample-bucket/2015/object.jpg
oss:GetObject on acs:oss:oss-cn-hangzhou::sample-bucket/object
ram:GetUser on acs:x:::x
ram:x on acs:ram:::user/
");
}

/// Of two policies of one identity a denial of one counts for both; of two sessions it does not.
#[test]
fn a_union_of_policies_is_compared_as_a_whole() {
    let get = |effect: &str, path: &str| {
        let json = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"{effect}","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/{path}"}}]}}"#
        );
        ComparablePolicy::parse(&json).unwrap()
    };
    let (all, a, secret) = (get("Allow", "*"), get("Allow", "a*"), get("Deny", "secret/*"));
    let guarded = all.attached_with(&secret);
    let any_of = |policies: &[&ComparablePolicy]| {
        ComparablePolicy::any_of(policies.iter().map(|one| (*one).clone()))
    };
    let included = Inclusion::Included;
    assert_eq!(guarded.inclusion_in(&all), included);
    assert_eq!(a.inclusion_in(&guarded), included);
    let Inclusion::Beyond(witness) = all.inclusion_in(&guarded) else { panic!("it is wider") };
    assert!(witness.resource.starts_with("acs:oss:*:*:bucket/secret/"), "{witness}");
    // The other session may read what the first one denies itself.
    assert_eq!(all.inclusion_in(&any_of(&[&guarded, &get("Allow", "secret/*")])), included);
    assert_eq!(any_of(&[&guarded, &a]).inclusion_in(&guarded), included);
    assert!(matches!(any_of(&[&guarded, &all]).inclusion_in(&guarded), Inclusion::Beyond(_)));
    // No policy allows nothing.
    assert_eq!(any_of(&[]).inclusion_in(&a), included);
    assert!(matches!(a.inclusion_in(&any_of(&[])), Inclusion::Beyond(_)));
}

#[test]
fn what_has_too_many_ways_to_overlap_is_not_decided() {
    let wild = |tail: usize| allow(&format!("b/*a{}", "?".repeat(tail)));
    assert_eq!(wild(16).inclusion_in(&wild(15)), Inclusion::TooComplex(TooComplex::Patterns));
}

/// Whether the new policy allows more, as `policy compare` says.
fn is_wider(old: &str, new: &str) -> bool {
    let parse = |statements: &str| {
        ComparablePolicy::parse(&format!(r#"{{"Version":"1","Statement":[{statements}]}}"#))
            .unwrap()
    };
    match parse(new).inclusion_in(&parse(old)) {
        Inclusion::Included => false,
        Inclusion::Beyond(_) => true,
        Inclusion::TooComplex(bound) => panic!("{bound}"),
    }
}

#[test]
fn characters_that_no_pattern_names_are_never_used_up() {
    let get = |resources: &str| {
        format!(r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":[{resources}]}}"#)
    };
    let each = FRESH.chars().chain([':', '/', 'b']).map(|c| format!(r#""acs:oss:*:*:b/{c}""#));
    let old = get(&each.collect::<Vec<_>>().join(","));
    assert!(is_wider(&old, &get(r#""acs:oss:*:*:b/?""#)));
}

#[test]
fn a_placeholder_is_matched_by_a_star_alone() {
    let get = |resource: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:b/{resource}"}}"#
        )
    };
    for old in ["?", "*.*", "*album*", "$*", "????????????????*", "${params.other}"] {
        assert!(is_wider(&get(old), &get("${params.album}")), "{old}");
    }
    for old in ["*", "${params.album}", "${params.album}*"] {
        assert!(!is_wider(&get(old), &get("${params.album}")), "{old}");
    }
}

#[test]
fn placeholders_are_told_apart() {
    let get = |resource: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:b/{resource}"}}"#
        )
    };
    let new = "${params.a}/${params.b}";
    for old in
        ["${params.a}/?", "?/${params.b}", "${params.a}/${params.c}", "${params.b}/${params.a}"]
    {
        assert!(is_wider(&get(old), &get(new)), "{old}");
    }
    for old in [new, "${params.a}/*", "*/${params.b}", "*"] {
        assert!(!is_wider(&get(old), &get(new)), "{old}");
    }
}

#[test]
fn numbers_and_dates_are_compared_by_their_order() {
    for (kind, key, low, high) in [
        ("Numeric", "oss:MaxKeys", "4", "5"),
        ("Date", "acs:CurrentTime", "2016-01-01T00:00:00Z", "2016-01-02T00:00:00Z"),
    ] {
        let when = |(relation, value): (&str, &str)| {
            format!(
                r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":"*","Condition":{{"{kind}{relation}":{{"{key}":"{value}"}}}}}}"#
            )
        };
        for (wide, narrow) in [
            (("GreaterThan", low), ("GreaterThan", high)),
            (("GreaterThanEquals", high), ("GreaterThan", high)),
            (("GreaterThan", low), ("Equals", high)),
            (("LessThan", high), ("LessThan", low)),
            (("LessThanEquals", low), ("LessThan", low)),
            (("LessThan", high), ("Equals", low)),
        ] {
            assert!(!is_wider(&when(wide), &when(narrow)), "{kind}: {wide:?} {narrow:?}");
            assert!(is_wider(&when(narrow), &when(wide)), "{kind}: {narrow:?} {wide:?}");
        }
    }
}

#[test]
fn the_ends_of_numbers_and_dates_are_tried_too() {
    let when = |operator: &str, key: &str, value: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":"*","Condition":{{"{operator}":{{"{key}":"{value}"}}}}}}"#
        )
    };
    let most = format!("17{}", "0".repeat(307));
    let (below, above) = ("NumericLessThanEquals", "NumericGreaterThanEquals");
    let key = "oss:MaxKeys";
    let old = [when(below, key, &format!("-{most}")), when(above, key, &most)].join(",");
    assert!(is_wider(&old, &when(below, key, &most)));
    let last = "9999-12-31T23:59:59-08:00";
    let old = when("DateLessThan", "acs:CurrentTime", "2016-01-01T00:00:00Z");
    let new = when("DateGreaterThanEquals", "acs:CurrentTime", last);
    assert!(is_wider(&old, &[old.clone(), new].join(",")));
}

#[test]
fn the_work_of_a_comparison_is_bounded() {
    let many: Vec<_> = (0..2000).map(|i| format!(r#""acs:oss:*:*:b/{i:04}/*""#)).collect();
    let one =
        format!(r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":[{}]}}"#, many.join(","));
    let one = policy(&one);
    assert_eq!(one.inclusion_in(&one), Inclusion::TooComplex(TooComplex::Patterns));
}

#[test]
fn a_denial_that_the_other_policy_lacks_counts_where_the_rest_is_not_included() {
    let policy = |denied: &str| {
        let [keys, denied] = ["*", denied].map(|key| format!("acs:oss:*:*:sample-bucket/a/{key}"));
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"{keys}"}},
            {{"Effect":"Deny","Action":"oss:GetObject","Resource":"{denied}"}}]}}"#
        )
    };
    let other = Document::plain(&policy("secret/*")).unwrap();
    for (json, is_included) in [
        (policy("secret/*"), true),
        (policy("secret*"), true),
        (policy("public/*"), false),
        ("no policy".to_owned(), false),
    ] {
        let inclusion = inclusion_of_text(&json, &other);
        assert_eq!(matches!(inclusion, Inclusion::Included), is_included, "{json}");
    }
}
