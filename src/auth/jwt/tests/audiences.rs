//! Audiences, clients and required claims.

use super::*;

const NAME: &str = "https://login.example.com/";

fn with_audiences(audiences: &[(&str, &[&str])], client_claim: Option<&str>) -> Issuer {
    let clients = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let audiences = audiences.iter().map(|(name, ids)| ((*name).to_owned(), clients(ids)));
    Issuer { audiences: audiences.collect(), client_claim: client_claim.map(path), ..issuer(NAME) }
}

/// Every order of the members.
fn permutations(members: &[&str]) -> Vec<Vec<String>> {
    if members.is_empty() {
        return vec![Vec::new()];
    }
    let without = |at: usize| [&members[..at], &members[at + 1..]].concat();
    (0..members.len())
        .flat_map(|at| {
            permutations(&without(at)).into_iter().map(move |mut rest| {
                rest.insert(0, members[at].to_owned());
                rest
            })
        })
        .collect()
}

/// A set has no order.
#[test]
fn the_client_of_a_token_does_not_depend_on_the_order_of_its_audiences() {
    let several: &[(&str, &[&str])] =
        &[("account", &["web"]), ("photos-api", &["ios", "web"]), ("old-api", &["ios"])];
    let one_each: &[(&str, &[&str])] = &[("a", &["web"]), ("b", &["web"]), ("c", &["ios"])];
    for (audiences, claim, azp, aud, expected) in [
        (several, Some("azp"), "ios", &["account", "photos-api"][..], Ok("ios")),
        (several, Some("azp"), "web", &["account", "photos-api"], Ok("web")),
        (several, Some("azp"), "ios", &["account", "foreign", "old-api"], Ok("ios")),
        (several, Some("azp"), "ios", &["account", "foreign"], Err(JwtProblem::Client)),
        (one_each, None, "ios", &["a", "b", "foreign"], Ok("web")),
        (one_each, None, "ios", &["a", "foreign", "c"], Err(JwtProblem::SeveralClients)),
        (one_each, None, "ios", &["foreign", "strange"], Err(JwtProblem::Audience)),
    ] {
        for order in permutations(aud) {
            let mut claims = changed("aud", json!(order));
            claims["azp"] = json!(azp);
            let outcome = verify_with(with_audiences(audiences, claim), &claims);
            match expected {
                Ok(client) => assert_eq!(outcome.unwrap().client().as_str(), client, "{order:?}"),
                Err(problem) => assert_eq!(outcome.unwrap_err(), problem, "{order:?}"),
            }
        }
    }
}

/// Cognito's access tokens have no `aud`. If another claim is configured and the token has an `aud`, both must match.
#[test]
fn a_configured_audience_claim_does_not_replace_the_check_of_aud() {
    let by_client_id = || Issuer { audience_claim: path("client_id"), ..issuer(NAME) };
    let with = |aud: Value| {
        let mut claims = changed("aud", aud);
        claims["client_id"] = json!("photos");
        claims
    };
    assert_eq!(
        verify_with(by_client_id(), &with(Value::Null)).unwrap().client().as_str(),
        "photo-app"
    );
    assert!(verify_with(by_client_id(), &with(json!(["x", "photos"]))).is_ok());
    for aud in [json!("x"), json!([]), json!(7), json!({})] {
        let refusal = verify_with(by_client_id(), &with(aud.clone())).unwrap_err();
        assert_eq!(refusal, JwtProblem::Audience, "{aud}");
    }
    let mut null = with(Value::Null);
    null["aud"] = Value::Null;
    assert_eq!(verify_with(by_client_id(), &null).unwrap_err(), JwtProblem::Audience);
    assert_eq!(verify_with(by_client_id(), &good()).unwrap_err(), JwtProblem::Audience);
}

/// 42 and "42" are never one user: an issuer's subjects are of one type.
#[test]
fn a_subject_must_have_the_configured_json_type() {
    let of = |subject_type| Issuer { subject_type, ..issuer(NAME) };
    let subject = |kind, claim: Value| {
        let caller = verify_with(of(kind), &changed("sub", claim))?;
        Ok::<_, JwtRefusal>(caller.subject().unwrap().as_str().to_owned())
    };
    assert_eq!(subject(SubjectType::Text, json!("42")).unwrap(), "42");
    for (claim, text) in
        [(json!(42), "42"), (json!(-1), "-1"), (json!(u64::MAX), "18446744073709551615")]
    {
        assert_eq!(subject(SubjectType::Integer, claim).unwrap(), text);
    }
    for (kind, claim) in [
        (SubjectType::Text, json!(42)),
        (SubjectType::Integer, json!("42")),
        (SubjectType::Integer, json!(42.0)),
        (SubjectType::Integer, json!(1e30)),
        (SubjectType::Integer, json!([42])),
        (SubjectType::Integer, json!(true)),
    ] {
        assert_eq!(subject(kind, claim.clone()).unwrap_err(), JwtProblem::Subject, "{claim}");
    }
}

#[test]
fn a_nested_claim_is_found_only_by_its_path() {
    let mut claims = good();
    claims["realm_access"] = json!({"roles": ["offline_access", "photos"]});
    claims["a/b"] = json!({"~": "x"});
    claims["https://example.com/plan"] = json!("gold");
    claims["cognito:groups"] = json!(["photos"]);
    let contains = |text: &str| ClaimRule::Contains(vec![text.to_owned()]);
    let is = |text: &str| ClaimRule::Equals(text.to_owned());
    for (claim, rule, admitted) in [
        ("/realm_access/roles", contains("photos"), true),
        ("/realm_access/roles", contains("admin"), false),
        ("realm_access.roles", contains("photos"), false),
        ("realm_access/roles", contains("photos"), false),
        ("/realm_access/roles/1", is("photos"), false),
        ("/a~1b/~0", is("x"), true),
        ("/a/b/~0", is("x"), false),
        ("https://example.com/plan", is("gold"), true),
        ("/sub", is("alice"), true),
        ("cognito:groups", contains("photos"), true),
    ] {
        let required = BTreeMap::from([(path(claim), rule)]);
        let outcome = verify_with(Issuer { required, ..issuer(NAME) }, &claims);
        assert_eq!(outcome.is_ok(), admitted, "{claim}");
    }
    let deep = Issuer {
        subject_claim: path("/a~1b/~0"),
        claims: BTreeMap::from([named("plan", "https://example.com/plan", ClaimKind::String)]),
        ..issuer(NAME)
    };
    let caller = verify_with(deep, &claims).unwrap();
    assert_eq!(caller.subject().unwrap().as_str(), "x");
    assert_eq!(caller.claims()["plan"], "gold");
    for bad in ["", "/", "/a//b", "/a/", "/a~2b", "/a~"] {
        assert!(ClaimPath::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}

#[test]
fn lists_and_scopes_contain_what_is_required_in_any_order() {
    let contains = |claim: &str, all: &[&str], value: Value| {
        let all = all.iter().map(|one| (*one).to_owned()).collect();
        let required = BTreeMap::from([(path(claim), ClaimRule::Contains(all))]);
        verify_with(Issuer { required, ..issuer(NAME) }, &changed(claim, value)).is_ok()
    };
    let both = &["photos.read", "photos.write"][..];
    for order in permutations(&["openid", "photos.read", "photos.write"]) {
        for claim in ["scope", "scp"] {
            assert!(contains(claim, both, json!(order)), "{claim} {order:?}");
            assert!(contains(claim, both, json!(order.join(" "))), "{claim} {order:?}");
        }
        assert!(contains("groups", both, json!(order)), "{order:?}");
    }
    assert!(!contains("scope", both, json!("photos.read")));
    assert!(!contains("scope", both, json!("photos.readphotos.write")));
    assert!(!contains("scope", &["read"], json!("photos.read")));
    assert!(!contains("scope", both, Value::Null));
    // A user may have chosen a string with spaces.
    assert!(!contains("name", &["admin"], json!("admin Alice")));
    assert!(contains("name", &["admin"], json!("admin")));
    assert!(contains("groups", &["7"], json!([7])));
}
