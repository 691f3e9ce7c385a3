//! The kind of a token, in every shape that a standard or a provider documents.

use super::*;

const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A description, a header, and claims that replace those of a valid token.
type Shape = (&'static str, Value, Value);

fn outcome(token_kind: TokenKind, header: &Value, more: &Value) -> Result<Caller, JwtRefusal> {
    let mut header = header.clone();
    header["alg"] = json!("RS256");
    let mut claims = good();
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let signer = signing::rsa_signer("one");
    let keys = Jwks::from_jwks(signing::key_set(&[&signer]).as_bytes(), &algorithms(&["RS256"]));
    let issuer = Issuer {
        token_kind,
        algorithms: algorithms(&["RS256"]),
        keys: ConfiguredKeys::Static(keys.unwrap()),
        ..issuer("https://login.example.com/")
    };
    issuers(issuer).verify(&signer.token_with_header(&header, &claims), now())
}

const KINDS: [TokenKind; 3] = [TokenKind::Any, TokenKind::Access, TokenKind::Id];

fn shapes_that_are_neither() -> Vec<Shape> {
    let jwt = || json!({"typ": "JWT"});
    let logout = || json!({"events": {LOGOUT: {}}, "sid": "08a5019c"});
    vec![
        ("logout token, OpenID's type", json!({"typ": "logout+jwt"}), logout()),
        ("logout token, JWT", jwt(), logout()),
        ("logout token, no type", json!({}), logout()),
        ("logout token, as an access token", json!({"typ": "at+jwt"}), logout()),
        ("logout token of Keycloak", jwt(), json!({"typ": "Logout", "events": {LOGOUT: {}}})),
        ("logout token by its word alone", jwt(), json!({"typ": "Logout"})),
        ("security event", json!({"typ": "secevent+jwt"}), json!({"events": {"urn:x": {}}})),
        ("notification of Apple", json!({}), json!({"events": "{\"type\":\"email-enabled\"}"})),
        ("events that are null", jwt(), json!({"events": null})),
        ("answer to an introspection", jwt(), json!({"token_introspection": {"active": true}})),
        ("refresh token of Keycloak", jwt(), json!({"typ": "Refresh", "scope": "openid"})),
        ("offline token of Keycloak", jwt(), json!({"typ": "Offline", "scope": "openid"})),
        ("registration token of Keycloak", jwt(), json!({"typ": "RegistrationAccessToken"})),
        ("action token of Keycloak", jwt(), json!({"typ": "reset-credentials", "nonce": "n"})),
        ("refresh token by `token_use`", jwt(), json!({"token_use": "refresh"})),
        ("refresh token with a hyphen", jwt(), json!({"token_type": "refresh-token"})),
        ("refresh token in one word", jwt(), json!({"type": "RefreshToken"})),
        ("refresh token of Simple JWT", jwt(), json!({"token_type": "refresh"})),
        ("refresh token of Flask-JWT-Extended", jwt(), json!({"type": "refresh", "fresh": false})),
        (
            "refresh token by RFC 8693",
            jwt(),
            json!({"token_type": "urn:ietf:params:oauth:token-type:refresh_token"}),
        ),
        ("refresh token of Spring", jwt(), json!({"ati": "a1", "scope": ["read"]})),
        ("refresh token of UAA", jwt(), json!({"granted_scopes": ["openid"], "jti": "1-r"})),
        ("refresh token with a version", jwt(), json!({"token_type": "refresh_token_v2"})),
        ("refresh token in words", jwt(), json!({"type": " Refresh token "})),
        ("logout token in words", jwt(), json!({"tty": "back-channel logout"})),
        ("offline token in one word", jwt(), json!({"token_use": "offline_token"})),
        ("refresh token by its type", json!({"typ": "rt+jwt"}), json!({})),
        ("a kind that has no word", jwt(), json!({"token_use": 7})),
        ("a proof of possession", json!({"typ": "dpop+jwt"}), json!({})),
        ("a type that is a number", json!({"typ": 7}), json!({})),
        ("contradictory", json!({"typ": "at+jwt"}), json!({"at_hash": "h"})),
        ("contradictory words", jwt(), json!({"token_use": "access", "typ": "ID"})),
    ]
}

fn shapes_of_access_tokens() -> Vec<Shape> {
    let jwt = || json!({"typ": "JWT"});
    vec![
        (
            "RFC 9068",
            json!({"typ": "at+jwt"}),
            json!({"client_id": "s6BhdRkqt3", "scope": "photos"}),
        ),
        ("RFC 9068, in full", json!({"typ": "application/at+JWT"}), json!({"jti": "dbe39bf3a3ba"})),
        ("Keycloak", jwt(), json!({"typ": "Bearer", "azp": "ios", "scope": "openid"})),
        ("Keycloak before 25", jwt(), json!({"typ": "Bearer", "nonce": "n"})),
        ("Keycloak, bound to a key", jwt(), json!({"typ": "DPoP", "cnf": {"jkt": "0ZcO"}})),
        ("Cognito", json!({}), json!({"token_use": "access", "client_id": "1example23456789"})),
        ("Okta", json!({}), json!({"scp": ["photos"], "cid": "0oabcd", "uid": "00u1"})),
        ("Auth0", jwt(), json!({"scope": "openid photos", "azp": "my_client_id"})),
        ("Simple JWT", jwt(), json!({"token_type": "access"})),
    ]
}

fn shapes_of_id_tokens() -> Vec<Shape> {
    let jwt = || json!({"typ": "JWT"});
    vec![
        ("with `nonce`", jwt(), json!({"nonce": "n-0S6_WzA2Mj"})),
        ("with `at_hash`", jwt(), json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"})),
        ("with `c_hash`", json!({}), json!({"c_hash": "LDktKdoQak3Pk0cnXxCltA"})),
        ("of FAPI", jwt(), json!({"s_hash": "9s6CBbOxiKE2d9d2ZuLqSw"})),
        ("Keycloak", jwt(), json!({"typ": "ID", "azp": "ios"})),
        ("Cognito", json!({}), json!({"token_use": "id", "cognito:username": "alice"})),
        ("Google", jwt(), json!({"azp": "1.apps.googleusercontent.com", "at_hash": "HK6E_P6D"})),
        ("Apple", json!({}), json!({"nonce_supported": true, "is_private_email": "true"})),
        ("by RFC 8693", jwt(), json!({"token_type": "urn:ietf:params:oauth:token-type:id_token"})),
    ]
}

#[test]
fn tokens_that_are_neither_access_nor_id_tokens_are_refused() {
    for (name, header, claims) in shapes_that_are_neither() {
        for kind in KINDS {
            let refusal = outcome(kind, &header, &claims).map(drop).expect_err(name);
            let expected = [JwtProblem::Kind, JwtProblem::Type, JwtProblem::Malformed];
            assert!(expected.iter().any(|problem| refusal == *problem), "{name}: {refusal}");
        }
    }
}

#[test]
fn an_issuer_accepts_access_tokens_id_tokens_or_both() {
    for (shapes, accepted) in [
        (shapes_of_access_tokens(), [true, true, false]),
        (shapes_of_id_tokens(), [true, false, true]),
    ] {
        for (name, header, claims) in shapes {
            let outcomes = KINDS.map(|kind| outcome(kind, &header, &claims));
            // Access tokens of Simple JWT, and tokens without any sign of their kind.
            assert_eq!(outcomes.each_ref().map(Result::is_ok), accepted, "{name}: {outcomes:?}");
        }
    }
    let unmarked = KINDS.map(|kind| outcome(kind, &json!({}), &json!({})).is_ok());
    assert_eq!(unmarked, [true; 3]);
}

/// Only a string can name an access or ID token.
#[test]
fn a_kind_claim_that_is_not_a_string_is_refused() {
    for claim in ["typ", "token_use", "token_type", "type", "tty"] {
        for value in [
            json!(null),
            json!(true),
            json!(false),
            json!(7),
            json!([]),
            json!(["refresh"]),
            json!(["access", "refresh"]),
            json!({}),
            json!({"refresh": true}),
        ] {
            for kind in KINDS {
                let outcome = outcome(kind, &json!({"typ": "JWT"}), &json!({claim: value}));
                let refusal = outcome.map(drop).expect_err(claim);
                assert!(refusal == JwtProblem::Kind, "{claim} {value}: {refusal}");
            }
        }
    }
}

/// The operator declares by a required value that `type` or `typ` means something else for this issuer. Security events are
/// refused even then.
#[test]
fn a_kind_claim_with_a_required_value_does_not_decide_the_kind() {
    let requiring = |claim: &str, word: &str| Issuer {
        required: BTreeMap::from([(path(claim), ClaimRule::Equals(word.to_owned()))]),
        ..issuer("https://login.example.com/")
    };
    for (claim, word) in [("typ", "user-session"), ("type", "offline"), ("ati", "7")] {
        assert!(
            verify_with(requiring(claim, word), &changed(claim, json!(word))).is_ok(),
            "{claim}"
        );
        assert_eq!(verify(&changed(claim, json!(word))).unwrap_err(), JwtProblem::Kind, "{claim}");
    }
}

#[test]
fn an_unknown_word_is_refused_in_a_claim_that_always_names_the_kind_and_in_no_other() {
    let accepts = |name: &str, word: &str| {
        outcome(TokenKind::Any, &json!({"typ": "JWT"}), &json!({name: word})).is_ok()
    };
    for (name, is_strict) in
        [("typ", true), ("token_use", true), ("token_type", false), ("type", false), ("tty", false)]
    {
        assert_eq!(accepts(name, "customer"), !is_strict, "{name}");
        assert!(accepts(name, "JWT") && accepts(name, "access") && accepts(name, "id"), "{name}");
        assert!(!accepts(name, "refresh") && !accepts(name, "logout"), "{name}");
    }
}
