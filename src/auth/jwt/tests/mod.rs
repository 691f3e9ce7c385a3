//! Tokens that differ from a valid one in a single fault.

mod audiences;
mod claims;
mod clocks;
mod fetching;
mod headers;
mod keeping;
mod key_sets;
mod kinds;
mod messages;
mod reload;
mod signing;
mod site;
mod times;
mod work;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::jwks::KeyProblem;
use super::*;
use appserver_domain::ValueName;

const NOW: &str = "2016-01-13T14:02:37Z";
const SECRET: &[u8] = b"a secret that two share and nobody else knows";

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

/// An issuer with a shared secret: these tests concern the claims and not the signature.
fn issuer(name: &str) -> Issuer {
    Issuer {
        id: "company".parse().unwrap(),
        configured: Fingerprint::of([]),
        name: name.to_owned(),
        algorithms: algorithms(&["HS256"]),
        keys: ConfiguredKeys::Static(Jwks::from_secret(&SECRET.to_vec().into()).unwrap()),
        audiences: BTreeMap::from([
            ("photos".to_owned(), vec!["photo-app".parse().unwrap()]),
            ("all".to_owned(), vec!["ios".parse().unwrap(), "android".parse().unwrap()]),
        ]),
        token_kind: TokenKind::Any,
        audience_claim: ClaimPath::named("aud"),
        client_claim: None,
        client_ids: BTreeMap::new(),
        subject_claim: ClaimPath::named("sub"),
        subject_type: SubjectType::Text,
        claims: BTreeMap::from([named("department", "dept", ClaimKind::Integer)]),
        required: BTreeMap::new(),
        leeway: TimeDelta::seconds(60),
        expire_with_token: false,
    }
}

fn named(name: &str, claim: &str, kind: ClaimKind) -> (ValueName, NamedClaim) {
    (name.parse().unwrap(), NamedClaim { claim: path(claim), kind })
}

fn path(text: &str) -> ClaimPath {
    text.to_owned().try_into().unwrap()
}

fn algorithms(names: &[&str]) -> Vec<SignatureAlgorithm> {
    names.iter().map(|name| (*name).to_owned().try_into().unwrap()).collect()
}

/// A single issuer, without a previous configuration.
fn issuers(issuer: Issuer) -> Issuers {
    let clock = Clock::manual(now());
    Issuers::new(vec![issuer], None, &Egress::default(), &clock, &IssuerMetrics::default()).unwrap()
}

fn good() -> Value {
    let secs = now().timestamp();
    json!({
        "iss": "https://login.example.com/", "aud": "photos", "sub": "alice", "dept": 7,
        "iat": secs, "nbf": secs, "exp": secs + 3600,
    })
}

fn signed(header: &Header, claims: &Value, secret: &[u8]) -> SecretString {
    encode(header, claims, &EncodingKey::from_secret(secret)).unwrap().into()
}

fn token(claims: &Value) -> SecretString {
    signed(&Header::new(Algorithm::HS256), claims, SECRET)
}

fn verify_with(issuer: Issuer, claims: &Value) -> Result<Caller, JwtRefusal> {
    issuers(issuer).verify(&token(claims), now())
}

fn verify(claims: &Value) -> Result<Caller, JwtRefusal> {
    verify_with(issuer("https://login.example.com/"), claims)
}

/// The valid claims with one of them changed; `null` removes it.
fn changed(claim: &str, value: Value) -> Value {
    let mut claims = good();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
        value => claims[claim] = value,
    }
    claims
}

#[test]
fn a_valid_token_yields_client_subject_and_configured_claims() {
    let caller = verify(&good()).unwrap();
    assert_eq!(caller.client().as_str(), "photo-app");
    assert_eq!(caller.subject().unwrap().as_str(), "alice");
    assert_eq!(*caller.claims(), BTreeMap::from([("department".to_owned(), "7".to_owned())]));
    assert_eq!(caller.method().as_str(), "Jwt");
}

#[test]
fn a_token_with_any_single_fault_is_refused() {
    let secs = now().timestamp();
    let table = [
        ("iss", json!("https://login.example.com"), JwtProblem::UnknownIssuer),
        ("iss", json!("https://evil.example.com/"), JwtProblem::UnknownIssuer),
        ("iss", Value::Null, JwtProblem::Lacks("iss")),
        ("aud", json!("other"), JwtProblem::Audience),
        ("aud", json!(["other", "another"]), JwtProblem::Audience),
        ("aud", json!({"photos": true}), JwtProblem::Audience),
        ("aud", Value::Null, JwtProblem::Audience),
        ("aud", json!("all"), JwtProblem::SeveralClients),
        ("sub", Value::Null, JwtProblem::Subject),
        ("sub", json!(""), JwtProblem::Subject),
        ("sub", json!(7), JwtProblem::Subject),
        ("sub", json!("a\nb"), JwtProblem::Subject),
        ("exp", Value::Null, JwtProblem::Lacks("exp")),
        ("exp", json!("tomorrow"), JwtProblem::Lacks("exp")),
        ("exp", json!(1e300), JwtProblem::Lacks("exp")),
        ("exp", json!(secs - 60), JwtProblem::Expired),
        ("exp", json!(0), JwtProblem::Expired),
        ("nbf", json!(secs + 61), JwtProblem::NotYetValid),
        ("iat", json!(secs + 61), JwtProblem::NotYetValid),
    ];
    for (claim, value, problem) in table {
        let refused = verify(&changed(claim, value.clone())).unwrap_err();
        assert_eq!(refused, problem, "{claim} = {value}");
    }
}

/// The leeway allows for clocks that differ.
#[test]
fn leeway_is_exact_to_the_second() {
    let secs = now().timestamp();
    for (claim, value) in [("exp", secs - 59), ("nbf", secs + 60), ("iat", secs + 60)] {
        assert!(verify(&changed(claim, json!(value))).is_ok(), "{claim}");
    }
    for claim in ["nbf", "iat"] {
        assert!(verify(&changed(claim, Value::Null)).is_ok(), "{claim} may be left out");
    }
}

#[test]
fn a_claim_selects_the_client_of_a_shared_audience() {
    let by_claim =
        || Issuer { client_claim: Some(path("azp")), ..issuer("https://login.example.com/") };
    let claims = |client: Value| {
        let mut claims = changed("aud", json!(["x", "all"]));
        claims["azp"] = client;
        claims
    };
    let caller = verify_with(by_claim(), &claims(json!("android"))).unwrap();
    assert_eq!(caller.client().as_str(), "android");
    // A registered client of another audience is refused too.
    for other in [json!("photo-app"), json!("windows"), json!(["android"]), Value::Null] {
        assert_eq!(verify_with(by_claim(), &claims(other)).unwrap_err(), JwtProblem::Client);
    }
}

#[test]
fn required_claims_are_equal_or_match_the_whole_pattern() {
    let requiring = |rule| Issuer {
        required: BTreeMap::from([(path("role"), rule)]),
        ..issuer("https://login.example.com/")
    };
    let is = || ClaimRule::Equals("member".to_owned());
    let matches = || ClaimRule::pattern("mem|member").unwrap();
    for (rule, claim, admitted) in [
        (is(), json!("member"), true),
        (is(), json!(["guest", "member"]), true),
        (is(), json!("Member"), false),
        (is(), json!({"member": true}), false),
        (is(), Value::Null, false),
        (matches(), json!("member"), true),
        (matches(), json!("members"), false),
        (matches(), json!("a member"), false),
        (ClaimRule::Equals("true".to_owned()), json!(true), true),
    ] {
        let outcome = verify_with(requiring(rule), &changed("role", claim.clone()));
        assert_eq!(outcome.is_ok(), admitted, "{claim}");
    }
}

/// Nothing in a header changes how a token is verified.
#[test]
fn a_header_chooses_neither_algorithm_nor_key_nor_rules() {
    let issuers = issuers(issuer("https://login.example.com/"));
    let refused = |header: &Header, secret: &[u8]| {
        issuers.verify(&signed(header, &good(), secret), now()).unwrap_err()
    };
    let plain = Header::new(Algorithm::HS256);
    assert_eq!(
        refused(&plain, b"another secret of at least 32 bytes, guessed"),
        JwtProblem::Signature
    );
    assert_eq!(refused(&Header::new(Algorithm::HS384), SECRET), JwtProblem::Algorithm);
    let critical = Header { crit: Some(vec!["b64".to_owned()]), ..plain.clone() };
    assert_eq!(refused(&critical, SECRET), JwtProblem::Critical);
    let logout = Header { typ: Some("logout+jwt".to_owned()), ..plain.clone() };
    assert_eq!(refused(&logout, SECRET), JwtProblem::Type);
    let access = Header { typ: Some("at+JWT".to_owned()), ..plain };
    assert!(issuers.verify(&signed(&access, &good(), SECRET), now()).is_ok());
}

/// An unsigned token, and one signed with the text of a public key.
#[test]
fn unsigned_and_algorithm_confused_tokens_are_refused() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let jwks = include_str!("../../../../config/demo.jwks.json");
    let asymmetric = || Issuer {
        algorithms: algorithms(&["ES256"]),
        keys: ConfiguredKeys::Static(
            Jwks::from_jwks(jwks.as_bytes(), &algorithms(&["ES256"])).unwrap(),
        ),
        ..issuer("https://login.example.com/")
    };
    let issuers = issuers(asymmetric());
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    for alg in ["none", "None", "NONE", ""] {
        let header = format!(r#"{{"alg":"{alg}","kid":"demo"}}"#);
        let unsigned = format!("{}.{}.", part(&header), part(&good().to_string()));
        let refused = issuers.verify(&unsigned.into(), now()).unwrap_err();
        assert_eq!(refused, JwtProblem::Algorithm, "{alg}");
    }
    let header = Header { kid: Some("demo".to_owned()), ..Header::new(Algorithm::HS256) };
    let confused = signed(&header, &good(), jwks.as_bytes());
    assert_eq!(issuers.verify(&confused, now()).unwrap_err(), JwtProblem::Algorithm);
}

#[test]
fn text_that_is_no_token_is_refused_at_any_size() {
    let issuers = issuers(issuer("https://login.example.com/"));
    let long = "x".repeat(LONGEST_TOKEN + 1);
    for other in ["", ".", "..", "a.b.c", "eyJhbGciOiJIUzI1NiJ9.e30", &long] {
        let refused = issuers.verify(&other.into(), now()).unwrap_err();
        assert_eq!(refused, JwtProblem::Malformed, "{other}");
    }
}

#[test]
fn a_verified_token_is_cached_until_it_expires() {
    let issuers = issuers(issuer("https://login.example.com/"));
    let token = token(&good());
    for secs in [0, 1, 3659] {
        assert!(issuers.verify(&token, now() + TimeDelta::seconds(secs)).is_ok(), "{secs}");
    }
    let late = now() + TimeDelta::seconds(3660);
    assert_eq!(issuers.verify(&token, late).unwrap_err(), JwtProblem::Expired);
}

#[test]
fn a_signature_is_checked_unless_the_token_is_cached_or_has_a_fault_that_shows_before() {
    let issuers = issuers(issuer("https://login.example.com/"));
    let takes = |token: &SecretString, now| issuers.needs_signature_check(token, now);
    let valid = token(&good());
    let forged = signed(&Header::new(Algorithm::HS256), &good(), b"another secret");
    assert!(takes(&valid, now()) && takes(&forged, now()));
    let long = changed("padding", json!("x".repeat(LONGEST_TOKEN)));
    for faulty in [
        token(&changed("iss", json!("https://evil.example.com/"))),
        signed(&Header::new(Algorithm::HS512), &good(), SECRET),
        token(&long),
        "no token".into(),
    ] {
        assert!(!takes(&faulty, now()), "{}", faulty.expose_secret());
    }
    issuers.verify(&valid, now()).unwrap();
    assert!(!takes(&valid, now()) && takes(&forged, now()));
    assert!(takes(&valid, now() + TimeDelta::hours(2)), "it has expired in the cache");
}

#[test]
fn tickets_depend_on_the_issuer_of_their_user_and_on_no_other() {
    let configured = issuer("https://login.example.com/");
    let caller = verify(&good()).unwrap();
    let issuers = issuers(configured);
    assert_eq!(issuers.parent(&"company".parse().unwrap()), Some(caller.parent()));
    assert_eq!(issuers.parent(&"other".parse().unwrap()), None);
    assert!(!issuers.is_empty() && Issuers::default().is_empty());
    let serves = |client: &str| issuer("any").serves(&client.parse().unwrap());
    assert!(serves("photo-app") && serves("android") && !serves("web-app"));
}

#[test]
fn a_cached_token_does_not_authenticate_a_changed_one() {
    let issuers = issuers(issuer("https://login.example.com/"));
    let good = token(&good());
    issuers.verify(&good, now()).unwrap();
    let text = good.expose_secret();
    for at in 0..text.len() {
        let mut other = text.as_bytes().to_vec();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        // The last character's lowest bits are padding, and base64 without them is the same or refused.
        if at + 1 < text.len() {
            assert!(issuers.verify(&other.into(), now()).is_err(), "character {at}");
        }
    }
}

#[test]
fn keys_for_other_uses_and_symmetric_keys_are_ignored() {
    let key = |more: Value| {
        let mut key = json!({
            "kty": "EC", "crv": "P-256", "kid": "one",
            "x": "5sZUvafPPBaFafQa3maZJQR-hkk014XJDlZr4FqoXYk",
            "y": "TBIMDCks8abcbUvo_Gu9gXc4OzynTmvNOiKgKyBFN_s",
        });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let read = |set: &str| Jwks::from_jwks(set.as_bytes(), &algorithms(&["ES256"]));
    let symmetric =
        json!({"kty": "oct", "kid": "one", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"});
    for passed_over in [key(json!({"use": "enc"})), key(json!({"alg": "ES384"})), symmetric] {
        let set = json!({"keys": [passed_over]}).to_string();
        assert!(matches!(read(&set), Err(KeyProblem::NoKey(_))), "{set}");
    }
    let two = json!({"keys": [key(json!({})), key(json!({"kid": "two"}))]}).to_string();
    let keys = read(&two).unwrap();
    let fitting = |id| keys.fitting(id, Algorithm::ES256).count();
    assert_eq!([Some("two"), Some("three"), None].map(fitting), [1, 0, 2]);
    assert!(matches!(Jwks::from_secret(&vec![1; 31].into()), Err(KeyProblem::ShortSecret)));
}
