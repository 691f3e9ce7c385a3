//! What the most expensive policies of a caller cost. `cargo test --release -p appserver-policy exact::cost -- --nocapture`
//! prints it.

use std::fmt::Write as _;
use std::time::Instant;

use super::*;

const LARGEST: usize = 2047;

/// The largest policy of statements that are made by their number.
fn filled(statement: impl Fn(usize) -> String) -> String {
    let mut statements = String::new();
    for n in 0.. {
        let mut next = statements.clone();
        let _ = write!(next, "{}{}", if n == 0 { "" } else { "," }, statement(n));
        if next.len() > LARGEST - 30 {
            break;
        }
        statements = next;
    }
    format!(r#"{{"Version":"1","Statement":[{statements}]}}"#)
}

/// Whatever a caller sends is decided or refused within the bounds of a request.
#[test]
fn no_policy_of_a_caller_costs_more_than_the_bounds_of_a_request() {
    let allow = |resource: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:b/{resource}"}}"#
        )
    };
    let condition = |n: usize, values: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"oss:*","Resource":"*","Condition":{{"StringLike":{{"oss:K{n}":[{values}]}}}}}}"#
        )
    };
    let one = |inner: String| format!(r#"{{"Version":"1","Statement":[{inner}]}}"#);
    let list = |of: &dyn Fn(usize) -> String, count: usize| {
        (0..count).map(|n| format!("\"{}\"", of(n))).collect::<Vec<_>>().join(",")
    };
    let granted =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}"#;
    let granted: Document<String> =
        Document::read(granted, |_, raw| Ok(raw.to_owned())).expect("a policy");
    let letters = |n: usize| char::from(b'a' + u8::try_from(n % 26).expect("a letter"));
    let policies = [
        ("one long glob", one(allow(&"*a?".repeat(600)))),
        ("many globs", filled(|n| allow(&format!("*{}*{}*", letters(n), letters(n / 26 + 1))))),
        ("far globs", filled(|n| allow(&format!("*{}????????????", letters(n))))),
        (
            "many resources",
            one(format!(
                r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":[{}]}}"#,
                list(&|n| format!("acs:oss:*:*:b/*{}*{}?", letters(n), letters(n * 7 + 3)), 70)
            )),
        ),
        (
            "many keys of objects",
            one(format!(
                r#"{{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":[{}]}}"#,
                list(
                    &|n| format!(
                        "acs:oss:*:*:sample-bucket/users/{n}-8f14e45fceea167a5a36dedd4bea2543/photo-{n}.jpg"
                    ),
                    20
                )
            )),
        ),
        (
            "many actions",
            one(format!(
                r#"{{"Effect":"Allow","Action":[{}],"Resource":"*"}}"#,
                list(&|n| format!("oss:*{}*{}*", letters(n), letters(n * 5 + 1)), 120)
            )),
        ),
        ("many keys", filled(|n| condition(n, r#""*a*","*b*c?""#))),
        (
            "many values",
            one(condition(
                0,
                &list(&|n| format!("*{}*{}???", letters(n), letters(n * 3 + 2)), 150),
            )),
        ),
        (
            "numbers",
            one(format!(
                r#"{{"Effect":"Allow","Action":"oss:*","Resource":"*","Condition":{{"NumericLessThan":{{"oss:N":[{}]}}}}}}"#,
                list(&|n| n.to_string(), 300)
            )),
        ),
    ];
    for (name, policy) in policies {
        #[expect(clippy::disallowed_methods, reason = "the cost is printed")]
        let started = Instant::now();
        let inclusion = inclusion_of_text(&policy, &granted);
        let took = started.elapsed();
        if name == "many keys of objects" {
            assert_eq!(inclusion, Inclusion::Included, "applications send such policies");
        }
        println!("{name}: {} bytes, {} ms, {inclusion:?}", policy.len(), took.as_millis());
        assert!(!matches!(inclusion, Inclusion::Beyond(_)), "{name}: everything is granted");
    }
}
