//! Keys and key URLs in a token's header are neither trusted nor fetched.

use super::signing::{rsa_signer, signer};
use super::*;

const NAME: &str = "https://login.example.com/";

fn with_keys(jwks: &Value, names: &[&str]) -> Issuers {
    let algorithms = algorithms(names);
    let keys = Jwks::from_jwks(jwks.to_string().as_bytes(), &algorithms).unwrap();
    issuers(Issuer { algorithms, keys: ConfiguredKeys::Static(keys), ..issuer(NAME) })
}

/// In any encoding of the public key, and even if another issuer uses HMACs.
#[test]
fn a_public_key_is_not_accepted_as_an_hmac_secret() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let rsa = rsa_signer("rsa");
    let jwk = rsa.jwk();
    let asymmetric = Issuer {
        algorithms: algorithms(&["RS256"]),
        keys: ConfiguredKeys::Static(
            Jwks::from_jwks(json!({"keys": [jwk]}).to_string().as_bytes(), &algorithms(&["RS256"]))
                .unwrap(),
        ),
        ..issuer(NAME)
    };
    let symmetric = issuer("https://other.example.com/");
    let issuers = Issuers::new(
        vec![asymmetric, symmetric],
        None,
        &Egress::default(),
        &Clock::manual(now()),
        &IssuerMetrics::default(),
    )
    .unwrap();
    assert!(issuers.verify(&rsa.token(&good()), now()).is_ok());
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(&modulus)
    );
    let texts: [&[u8]; 5] = [
        &modulus,
        pem.as_bytes(),
        jwk["n"].as_str().unwrap().as_bytes(),
        jwk.to_string().as_bytes(),
        SECRET,
    ]
    .map(|text| Box::leak(text.to_vec().into_boxed_slice()) as &[u8]);
    for secret in texts {
        let header = Header { kid: Some("rsa".to_owned()), ..Header::new(Algorithm::HS256) };
        let confused = signed(&header, &good(), secret);
        assert_eq!(issuers.verify(&confused, now()).unwrap_err(), JwtProblem::Algorithm);
    }
    // One issuer's key does not verify tokens of another issuer.
    let foreign = rsa.token(&changed("iss", json!("https://other.example.com/")));
    assert_eq!(issuers.verify(&foreign, now()).unwrap_err(), JwtProblem::Algorithm);
}

#[test]
fn keys_and_key_urls_in_a_header_are_ignored() {
    let (own, attacker) = (signer(0, "own"), signer(1, "own"));
    let issuers = with_keys(&json!({"keys": [own.jwk()]}), &["ES256"]);
    let url = || Some("https://evil.example.com/jwks".to_owned());
    let decorations = [
        Header { jku: url(), ..own.header() },
        Header { x5u: url(), ..own.header() },
        Header { jwk: serde_json::from_value(attacker.jwk()).unwrap(), ..own.header() },
        Header { x5c: Some(vec!["MIIB".to_owned()]), ..own.header() },
        Header { x5t: Some("AAAA".to_owned()), ..own.header() },
    ];
    for header in decorations {
        assert!(issuers.verify(&own.token_with(&header, &good()), now()).is_ok());
        let forged = attacker.token_with(&header, &good());
        assert_eq!(issuers.verify(&forged, now()).unwrap_err(), JwtProblem::Signature);
        let nameless = Header { kid: None, ..header };
        let forged = attacker.token_with(&nameless, &good());
        assert_eq!(issuers.verify(&forged, now()).unwrap_err(), JwtProblem::Signature);
    }
}

#[test]
fn a_kid_is_compared_exactly() {
    let own = signer(0, "own");
    let issuers = with_keys(&json!({"keys": [own.jwk(), signer(1, "x").jwk()]}), &["ES256"]);
    for kid in [
        "",
        "Own",
        "own ",
        "own\0",
        "*",
        "ow%6e",
        "../own",
        "own' OR '1'='1",
        "https://evil.example.com/",
        "own\r\nX: y",
        "\u{202e}own",
        &"k".repeat(5_000),
    ] {
        let header = Header { kid: Some(kid.to_owned()), ..own.header() };
        let refused = issuers.verify(&own.token_with(&header, &good()), now()).unwrap_err();
        assert_eq!(refused, JwtProblem::UnknownKey, "{kid:?}");
    }
}

/// serde reads a list as the members of a struct, in their order.
#[test]
fn a_list_is_no_header_no_key_set_and_no_discovery_document() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let parts = [r#"["HS256","JWT",null]"#.to_owned(), good().to_string()];
    let message = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    let token = format!("{message}.{}", signature.unwrap()).into();
    let refused = issuers(issuer(NAME)).verify(&token, now());
    assert_eq!(refused.unwrap_err(), JwtProblem::Malformed);

    let set = json!([[signer(0, "one").jwk()]]).to_string();
    let read = Jwks::from_jwks(set.as_bytes(), &algorithms(&["ES256"]));
    assert!(matches!(read, Err(KeyProblem::NotAKeySet(_))), "{read:?}");

    let described = json!([NAME, "https://keys.example.com/jwks"]).to_string();
    let address = KeyAddress::of_discovery(NAME).unwrap();
    let named = fetch::named_by(described.as_bytes(), NAME, &address);
    assert!(matches!(named, Err(FetchProblem::NoDescription(_))), "{named:?}");
}
