//! Claims reach a policy unchanged, and different claims stay different.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// A token with these members in its claims, verbatim.
fn token_saying(members: &str) -> SecretString {
    let secs = now().timestamp() + 3600;
    let claims = format!(
        r#"{{"iss":"https://login.example.com/","aud":"photos","sub":"alice","exp":{secs},{members}}}"#
    );
    let claims: Box<RawValue> = serde_json::from_str(&claims).unwrap();
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET))
        .unwrap()
        .into()
}

/// An issuer whose claim `c` is read as each of the three types.
fn typed() -> Issuer {
    let kinds = [
        named("string", "c", ClaimKind::String),
        named("integer", "c", ClaimKind::Integer),
        named("boolean", "c", ClaimKind::Boolean),
    ];
    Issuer { claims: kinds.into(), ..issuer("https://login.example.com/") }
}

/// The rendering of `c` for each type.
fn renderings(issuers: &Issuers, written: &str) -> BTreeMap<String, String> {
    let token = token_saying(&format!(r#""c":{written}"#));
    issuers.verify(&token, now()).unwrap().claims().clone()
}

#[test]
fn integers_beyond_64_bits_stay_distinct_and_other_numbers_yield_no_claim() {
    let issuers = issuers(typed());
    let integer = |text: &str| renderings(&issuers, text).remove("integer");
    for text in ["20251129000000000001", "20251129000000000002", "-18446744073709551616", "0"] {
        assert_eq!(integer(text).as_deref(), Some(text));
    }
    for text in ["2.0251129e+19", "7.0", "7e0", "-0", "\"7\"", "true", "null", "[7]", "{\"a\":7}"] {
        assert_eq!(integer(text), None, "{text}");
    }
}

#[test]
fn a_claim_of_another_json_type_than_the_configured_one_is_absent() {
    let issuers = issuers(typed());
    let of = |written: &str| renderings(&issuers, written).into_keys().collect::<Vec<_>>();
    for (written, kinds) in [
        ("42", &["integer"][..]),
        ("\"42\"", &["string"]),
        ("true", &["boolean"]),
        ("\"true\"", &["string"]),
        ("null", &[]),
        ("[\"42\"]", &[]),
    ] {
        assert_eq!(of(written), kinds, "{written}");
    }
}

#[test]
fn a_token_with_a_duplicate_claim_is_refused() {
    let issuers = issuers(typed());
    for members in [r#""c":1,"c":2"#, r#""sub":"bob""#, r#""o":{"c":1,"c":1}"#] {
        let refused = issuers.verify(&token_saying(members), now()).unwrap_err();
        assert_eq!(refused, JwtProblem::Malformed, "{members}");
    }
}

#[test]
fn client_claim_values_are_looked_up_only_in_the_issuers_table() {
    let ids = [
        ("3F2504E0-4F89-41D3-9A0C-0305E82C3301", "ios"),
        ("com.example.Photos", "android"),
        ("1234567890-abc.apps.example.com", "android"),
        ("elsewhere", "photo-app"),
    ];
    let ids = ids.map(|(value, client)| (value.to_owned(), client.parse().unwrap()));
    let with_table = Issuer {
        client_claim: Some(path("azp")),
        client_ids: ids.into(),
        ..issuer("https://login.example.com/")
    };
    let issuers = issuers(with_table);
    let client = |azp: Value| {
        let mut claims = changed("aud", json!("all"));
        claims["azp"] = azp;
        issuers.verify(&token(&claims), now()).map(|caller| caller.client().to_string())
    };
    assert_eq!(client(json!("3F2504E0-4F89-41D3-9A0C-0305E82C3301")).as_deref(), Ok("ios"));
    for value in ["com.example.Photos", "1234567890-abc.apps.example.com"] {
        assert_eq!(client(json!(value)).as_deref(), Ok("android"), "{value}");
    }
    for other in [
        json!("3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
        // A client of another audience, and values that are not in the table.
        json!("elsewhere"),
        json!("ios"),
        json!("photo-app"),
        json!(["com.example.Photos"]),
        Value::Null,
    ] {
        assert_eq!(client(other.clone()).unwrap_err(), JwtProblem::Client, "{other}");
    }
}

/// Numbers that are equal in floating point, and strings that look like them.
fn written() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "-?[1-9][0-9]{0,25}",
        2 => "2025112900000000000[0-9]",
        1 => "-?[0-9](\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        2 => "\"-?[0-9]{1,22}\"",
        1 => "\"(true|false|null|[Aa\u{e9}]|e\u{301})\"",
        1 => "(true|false|null)",
    ]
}

proptest! {
    #[test]
    fn different_claims_have_different_renderings(one in written(), two in written()) {
        let issuers = issuers(typed());
        let [first, second] = [&one, &two].map(|text| renderings(&issuers, text));
        for (kind, rendering) in &first {
            let quoted = format!("\"{rendering}\"");
            prop_assert!(*rendering == one || quoted == one, "{} is read as {}", one, rendering);
            if one != two {
                prop_assert_ne!(second.get(kind), Some(rendering), "{} and {}", one, two);
            }
        }
    }
}

#[test]
fn a_pattern_is_displayed_without_its_anchors() {
    assert_eq!(ClaimRule::pattern("a|b").unwrap().to_string(), "a match of \"a|b\"");
    for (bad, shown) in [("(", "(\n"), ("a)|(?:b", "a)|(?:b\n"), ("(?x)a # b", "leave out the `#`")]
    {
        let error = ClaimRule::pattern(bad).unwrap_err().to_string();
        assert!(error.contains(shown) && !error.contains("^(?:"), "{error}");
    }
}

#[test]
fn rules_are_equal_if_they_are_of_one_kind_and_written_equally() {
    let rules = [
        ClaimRule::Equals("a".to_owned()),
        ClaimRule::Equals("b".to_owned()),
        ClaimRule::Matches("a".parse().unwrap()),
        ClaimRule::Matches("b".parse().unwrap()),
        ClaimRule::Contains(vec!["a".to_owned()]),
        ClaimRule::Contains(vec!["b".to_owned()]),
    ];
    for (i, one) in rules.iter().enumerate() {
        for (j, other) in rules.iter().enumerate() {
            assert_eq!(one == other, i == j, "{one:?} {other:?}");
        }
    }
}
