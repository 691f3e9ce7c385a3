//! Log messages of refused tokens.

use super::*;
use crate::auth::AuthError;
use crate::auth::jwt::json::Json;

#[test]
fn a_refusal_names_the_issuer_the_client_the_claim_and_what_was_expected() {
    let demanding = || Issuer {
        token_kind: TokenKind::Access,
        client_claim: Some(path("azp")),
        required: BTreeMap::from([(
            path("/realm_access/roles"),
            ClaimRule::Contains(vec!["photos".to_owned()]),
        )]),
        ..issuer("https://login.example.com/")
    };
    let with = |more: Value| {
        let mut claims = changed("aud", json!("all"));
        claims["azp"] = json!("ios");
        claims["realm_access"] = json!({"roles": ["photos"]});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    assert!(verify_with(demanding(), &with(json!({}))).is_ok());
    let said: Vec<_> = [
        json!({"iss": "https://login.example.com"}),
        json!({"iss": "https://evil.example.com/\u{1b}[2J\u{202e}\n"}),
        json!({"iss": "x".repeat(5_000)}),
        json!({"aud": ["account", "https://api.example.com"]}),
        json!({"aud": null}),
        json!({"azp": "windows"}),
        json!({"azp": null}),
        json!({"nonce": "n"}),
        json!({"token_use": "refresh"}),
        json!({"events": {}}),
        json!({"realm_access": {"roles": []}}),
        json!({"realm_access": null}),
        json!({"sub": 7}),
        json!({"sub": ""}),
        json!({"exp": 1}),
        json!({"iat": 1_999_999_999}),
    ]
    .map(|more| verify_with(demanding(), &with(more)).unwrap_err().to_string())
    .map(|said| said.replace(&"x".repeat(120), "<120 x>"))
    .to_vec();
    insta::assert_snapshot!(said.join("\n"), @r#"
the token's issuer is not configured: `iss` is "https://login.example.com"; `issuers.company.issuer` is "https://login.example.com/", and both must be the same to the letter
the token's issuer is not configured: `iss` is "https://evil.example.com/\u{1b}[2J\u{202e}\n"
the token's issuer is not configured: `iss` is "<120 x>"…
issuer `company`: the token is for another audience: `aud` is ["account", "https://api.example.com"]; `audiences` has all, photos
issuer `company`: the token is for another audience: `aud` is null; expected a text or a list of texts
issuer `company`: the token identifies no client: `azp` is "windows"; expected android or ios
issuer `company`: the token identifies no client: `azp` is null; expected android or ios
issuer `company`: the token is of a kind that is not accepted: it is an ID token by its `nonce`; `token_kind` is "access"
issuer `company`: the token is of a kind that is not accepted: `token_use` is "refresh": neither an access token nor an ID token
issuer `company`: the token is of a kind that is not accepted: the claim `events` is there, so it is a logout token or another security event
issuer `company`: client `ios`: a required claim is missing or different: `/realm_access/roles` is different; expected a list that contains ["photos"]
issuer `company`: client `ios`: a required claim is missing or different: `/realm_access/roles` is missing; expected a list that contains ["photos"]
issuer `company`: client `ios`: the token's subject is not allowed: `sub`: not a text, as `subject_type` says
issuer `company`: client `ios`: the token's subject is not allowed: `sub`: a subject is 1 to 256 bytes of text without control characters
issuer `company`: the token has expired: `exp` is 1, now is 1452693757, `leeway_secs` is 60
issuer `company`: the token is not valid yet: `iat` is 1999999999, now is 1452693757, `leeway_secs` is 60
"#);
}

#[test]
fn a_refusal_by_the_header_names_the_faulty_member() {
    let signer = signing::signer(0, "one");
    let keys =
        Jwks::from_jwks(signing::key_set(&[&signer]).as_bytes(), &algorithms(&["ES256"])).unwrap();
    let issuers = issuers(Issuer {
        algorithms: algorithms(&["ES256"]),
        keys: ConfiguredKeys::Static(keys),
        ..issuer("https://login.example.com/")
    });
    let other = signing::signer(1, "one");
    let said: Vec<_> = [
        signer.token_with_header(&json!({"alg": "RS256", "kid": "one"}), &good()),
        signer.token_with_header(&json!({"alg": "none"}), &good()),
        signer.token_with_header(&json!({"alg": "ES256", "kid": "two"}), &good()),
        signer.token_with_header(
            &json!({"alg": "ES256", "kid": "one", "typ": "logout+jwt"}),
            &good(),
        ),
        signer.token_with_header(&json!({"alg": "ES256", "kid": "one", "crit": null}), &good()),
        other.token(&good()),
    ]
    .map(|token| {
        let said = issuers.verify(&token, now()).unwrap_err().to_string();
        let part = |part: &&str| part.len() > 8 && said.contains(*part);
        assert!(!token.expose_secret().split('.').any(|text| part(&text)), "{said}");
        said
    })
    .to_vec();
    insta::assert_snapshot!(said.join("\n"), @r#"
issuer `company`: the token's algorithm is not one of its issuer's: `alg` is "RS256"; `algorithms` has ES256
issuer `company`: the token's algorithm is not one of its issuer's: `alg` is "none"; `algorithms` has ES256
issuer `company`: the issuer has no such key: it has `kid` "two", and `alg` is ES256
the token's header declares another type: `typ` is "logout+jwt"; expected JWT or at+jwt
the token's header has a critical extension that is not supported
issuer `company`: the token's signature is wrong
"#);
}

#[test]
fn a_refusal_knows_its_client_and_whether_it_quotes_a_claim() {
    let plain = JwtRefusal::from(JwtProblem::Expired);
    assert!(plain == JwtProblem::Expired && plain != JwtProblem::Audience);
    assert_eq!((plain.client(), plain.quotes_claims()), (None, false));
    let client = "photo-app".parse().unwrap();
    let detailed = JwtRefusal::new(JwtProblem::Audience, "`aud` is \"other\"").of_client(&client);
    assert_eq!((detailed.client(), detailed.quotes_claims()), (Some(&client), true));
    let error = AuthError::Jwt(detailed);
    assert_eq!((error.client(), error.is_attempt()), (Some(&client), true));
}

#[test]
fn ten_members_of_a_list_are_quoted() {
    let quoted = |members: usize| {
        let list = Json::Array((0..members).map(|_| Json::Null).collect());
        problem::quoted_claim(Some(&list))
    };
    let ten = ["null"; 10].join(", ");
    assert_eq!([quoted(10), quoted(11)], [format!("[{ten}]"), format!("[{ten}, …]")]);
}
