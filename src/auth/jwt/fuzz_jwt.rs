//! Fuzz targets of tokens and keys: what is accepted is checked again by a reading of the JSON that shares no code with ours.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::address::KeyAddress;
use super::fetch::named_by;
use super::parsed::Parsed;
use super::{
    ClaimKind, ClaimPath, ClaimRule, ConfiguredKeys, Issuer, Jwks, NamedClaim, SignatureAlgorithm,
    SubjectType, TokenKind,
};
use crate::auth::Caller;
use appserver_domain::{Fingerprint, Subject};

const ISSUER: &str = "https://login.example.com/";

/// A header and claims, each a line of JSON; or the text of a token, if there is only one line. The signature counts as verified.
pub(crate) fn jwt(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let token = match text.split_once('\n') {
        Some((header, claims)) => {
            let [header, claims] = [header, claims].map(|json| URL_SAFE_NO_PAD.encode(json));
            format!("{header}.{claims}.c2ln")
        }
        None => text.to_owned(),
    };
    let Ok(parsed) = Parsed::read(&token) else { return };
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "a token has three parts");
    let [header, claims] = [parts[0], parts[1]].map(|part| {
        let json = URL_SAFE_NO_PAD.decode(part).expect("it was decoded before");
        String::from_utf8(json).expect("it was read before")
    });
    // serde_json refuses numbers that our reader keeps as text.
    let Ok(Count(members)) = serde_json::from_str(&claims) else { return };
    let [Ok(header), Ok(claims)] = [&header, &claims].map(|json| serde_json::from_str(json)) else {
        return;
    };
    let (header, claims): (Value, Value) = (header, claims);
    assert!(header.is_object() && claims.is_object(), "a part is no object");
    assert_eq!(members, count(&claims), "a name that occurs twice is accepted");

    let issuer = issuer();
    let now: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().expect("it is a time");
    let is_taken = parsed.header.check().is_ok()
        && parsed.issuer().is_ok_and(|name| name == issuer.name)
        && issuer.algorithm(&parsed.header.alg).is_ok();
    if is_taken && let Ok((caller, until)) = issuer.proven(&parsed, now) {
        assert!(until > now, "it is accepted until {until}");
        check_header(&header);
        check_claims(&claims, &caller, now);
    }
}

/// A key set, or a discovery document if it names an issuer. An accepted key can verify, and refuses a signature of nonsense.
pub(crate) fn jwks(bytes: &[u8]) {
    let remote = KeyAddress::of_discovery(ISSUER).expect("it is a URL");
    if let Ok(named) = named_by(bytes, ISSUER, &remote) {
        assert!(named.is_encrypted(), "keys are fetched from {named} without TLS");
        assert!(named.url().username().is_empty() && named.url().password().is_none(), "{named}");
        check_object(bytes, "a discovery document");
    }
    let algorithms: Vec<_> = SignatureAlgorithm::asymmetric().collect();
    let Ok(keys) = Jwks::from_jwks(bytes, &algorithms) else { return };
    check_object(bytes, "a key set");
    let token = format!("{}.{}.", encoded("{\"alg\":\"RS256\"}"), encoded("{}"));
    for algorithm in algorithms.iter().filter_map(|one| SignatureAlgorithm::named(&one.to_string()))
    {
        for key in keys.fitting(None, algorithm).take(4) {
            for length in [0, 64, 96, 256] {
                let token = format!("{token}{}", URL_SAFE_NO_PAD.encode(vec![7; length]));
                let parsed = Parsed::read(&token).expect("it is a token");
                let verified = key.verifies(&parsed, algorithm);
                assert!(matches!(verified, Ok(false)), "{key:?} says {verified:?}");
            }
        }
    }
}

fn issuer() -> Issuer {
    let (client, path) = ("photo-app".parse().expect("it is a name"), ClaimPath::named);
    let keys = Jwks::from_secret(&vec![7; 32].into()).expect("it is long enough");
    let department = NamedClaim { claim: path("dept"), kind: ClaimKind::Integer };
    Issuer {
        id: "company".parse().expect("it is a name"),
        configured: Fingerprint::of([]),
        name: ISSUER.to_owned(),
        algorithms: SignatureAlgorithm::asymmetric().collect(),
        keys: ConfiguredKeys::Static(keys),
        token_kind: TokenKind::Any,
        audience_claim: path("aud"),
        audiences: BTreeMap::from([("photos".to_owned(), vec![client])]),
        client_claim: None,
        client_ids: BTreeMap::new(),
        subject_claim: path("sub"),
        subject_type: SubjectType::Text,
        claims: BTreeMap::from([("department".parse().expect("it is a name"), department)]),
        required: BTreeMap::from([(path("hd"), ClaimRule::Equals("example.com".to_owned()))]),
        leeway: TimeDelta::seconds(60),
        expire_with_token: true,
    }
}

fn check_header(header: &Value) {
    for extension in ["crit", "zip", "enc"] {
        assert!(header.get(extension).is_none(), "`{extension}` is accepted");
    }
    if let Some(typ) = header.get("typ").filter(|typ| !typ.is_null()) {
        let typ = typ.as_str().unwrap_or_default().to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        assert!(["jwt", "at+jwt"].contains(&typ), "the type {typ:?} is accepted");
    }
    assert_ne!(header["alg"], "none");
}

fn check_claims(claims: &Value, caller: &Caller, now: DateTime<Utc>) {
    let holds = |claim: &str, text: &str| match &claims[claim] {
        Value::Array(several) => several.iter().any(|one| one == text),
        one => one == text,
    };
    assert_eq!(claims["iss"], ISSUER);
    assert!(holds("aud", "photos"), "another audience is accepted");
    assert!(holds("hd", "example.com"), "the required claim is missing");
    let subject = caller.subject().map(Subject::as_str);
    assert_eq!(claims["sub"].as_str(), subject, "the subject is not the claim's text");
    let (now, leeway) = (now.timestamp() as f64, 60.0);
    let expires = claims["exp"].as_f64().expect("`exp` is a number");
    assert!(expires.floor() + leeway > now, "it has expired");
    for begins in ["nbf", "iat"].into_iter().filter_map(|name| claims.get(name)) {
        let begins = begins.as_f64().expect("a time is a number");
        assert!(begins.floor() <= now + leeway, "it is not valid yet");
    }
    for foreign in ["events", "token_introspection", "ati", "granted_scopes"] {
        assert!(claims.get(foreign).is_none(), "a token of another kind is accepted");
    }
    let department = caller.claims().get("department");
    let text = claims.get("dept").map(ToString::to_string);
    assert!(department.is_none() || department == text.as_ref(), "{department:?}");
}

fn check_object(json: &[u8], what: &str) {
    let json = super::jwks::without_mark(json).trim_ascii_start();
    assert_eq!(json.first(), Some(&b'{'), "{what} that is no object is accepted");
}

fn encoded(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

/// The members of all objects in a value.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.len() + members.values().map(count).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The names in all objects of a text, those that occur twice as well.
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        let mut names = 0;
        while let Some((_, Count(inner))) = map.next_entry::<IgnoredAny, Count>()? {
            names += 1 + inner;
        }
        Ok(Count(names))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Count, A::Error> {
        let mut names = 0;
        while let Some(Count(inner)) = items.next_element()? {
            names += inner;
        }
        Ok(Count(names))
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Count, E> {
        Ok(Count(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Count, E> {
        Ok(Count(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Count, E> {
        Ok(Count(0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count(0))
    }
}
