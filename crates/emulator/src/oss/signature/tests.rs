//! The published vectors, in `tests/vectors/oss/`. Each goes the whole way: read from a request, then verified.
//!
//! Left out, because they contradict themselves or are of what the emulator does not have:
//! - The documentation's V1 request *with the `Content-MD5` that it shows*: the printed signature was made with another
//!   one, with which it is kept (`v1-documentation`).
//! - The documentation's V4 signing key and the signature made with it: the key does not come from the printed secret. What
//!   is kept (`v4-documentation`) is the hash of its canonical request, and the signature that reqsign makes of it.
//! - The vectors of signature V2 (`OSS2`), which is optional and not emulated.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::oss::query::Query;

#[derive(Clone, Debug, Deserialize)]
struct Vector {
    name: String,
    method: String,
    bucket: String,
    key: Option<String>,
    query: Vec<(String, String)>,
    headers: BTreeMap<String, String>,
    secret: String,
    canonical_request: Option<String>,
    canonical_request_sha256: Option<String>,
}

impl Vector {
    fn head(&self) -> Head {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Head {
            method: self.method.parse().unwrap(),
            bucket: Some(self.bucket.clone()),
            is_custom_domain: false,
            is_internal: false,
            key: self.key.clone(),
            query: self.query.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Query>(),
            headers,
        }
    }

    fn verifies(&self) -> bool {
        let head = self.head();
        let signed = Signed::read(&head);
        signed.is_ok_and(|signed| {
            signed.is_some_and(|signed| signed.verify(&head, &self.secret.clone().into()).is_ok())
        })
    }

    fn is_v4(&self) -> bool {
        self.name.starts_with("V4")
    }
}

fn published() -> Vec<Vector> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/oss");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap()
    };
    let mut vectors: Vec<Vector> = std::fs::read_dir(folder).unwrap().map(read).collect();
    vectors.sort_by(|one, other| one.name.cmp(&other.name));
    vectors
}

#[test]
fn every_published_vector_verifies() {
    let vectors = published();
    assert_eq!(vectors.len(), 20);
    for vector in vectors {
        assert!(vector.verifies(), "{}", vector.name);
        let head = vector.head();
        if let (Ok(Some(Signed { scheme: Scheme::V4(terms), .. })), true) =
            (Signed::read(&head), vector.is_v4())
        {
            let canonical = v4::text(&head, &terms).canonical_request.unwrap();
            let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&canonical));
            assert!(vector.canonical_request.is_none_or(|expected| expected == canonical));
            assert!(vector.canonical_request_sha256.is_none_or(|expected| expected == hash));
        }
    }
}

/// The signed parts of a request.
fn signed_parts(vector: &Vector) -> Vec<Part> {
    let mut parts = vec![Part::Method, Part::Bucket, Part::Secret];
    if vector.key.is_some() {
        parts.push(Part::Key);
    }
    for name in vector.headers.keys() {
        let lower = name.to_lowercase();
        let additional = ["abc", "zabc", "host", "content-disposition", "content-length"];
        let is_signed = lower.starts_with("x-oss-")
            || ["authorization", "content-md5", "content-type"].contains(&lower.as_str())
            || (vector.name.contains("signed") && additional.contains(&lower.as_str()));
        if is_signed {
            parts.push(Part::Header(name.clone()));
        }
    }
    for (index, (name, _)) in vector.query.iter().enumerate() {
        if vector.is_v4() || name != "non-resousce" {
            parts.push(Part::QueryValue(index));
        }
    }
    parts
}

#[derive(Clone, Debug)]
enum Part {
    Method,
    Bucket,
    Key,
    Secret,
    Header(String),
    QueryValue(usize),
}

/// The text with one of its characters changed, or one more.
fn spoilt(text: &str, at: usize, by: char) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    match characters.get(at % (characters.len() + 1)) {
        Some(&old) if old != by => {
            let length = characters.len();
            characters[at % (length + 1)] = by;
        }
        Some(_) | None => characters.push(by),
    }
    characters.into_iter().collect()
}

proptest! {
    #[test]
    fn any_changed_byte_is_refused(
        vector in proptest::sample::select(published()),
        part in any::<proptest::sample::Index>(),
        at in 0usize..200,
        by in proptest::char::range('a', 'z'),
    ) {
        let parts = signed_parts(&vector);
        let part = &parts[part.index(parts.len())];
        let mut changed = vector.clone();
        match part {
            Part::Method => changed.method = if vector.method == "PUT" { "POST" } else { "HEAD" }.to_owned(),
            Part::Bucket => changed.bucket = spoilt(&vector.bucket, at, by),
            Part::Key => changed.key = vector.key.as_ref().map(|key| spoilt(key, at, by)),
            Part::Secret => changed.secret = spoilt(&vector.secret, at, by),
            Part::Header(name) => {
                changed.headers.insert(name.clone(), spoilt(&vector.headers[name], at, by));
            }
            Part::QueryValue(index) => changed.query[*index].1 = spoilt(&vector.query[*index].1, at, by),
        }
        // The AccessKey id only selects the secret.
        let id = |vector: &Vector| {
            Signed::read(&vector.head()).ok().flatten().map(|signed| signed.access_key_id)
        };
        prop_assume!(id(&changed).is_none() || id(&changed) == id(&vector));
        prop_assert!(!changed.verifies(), "{:?} {:?}", part, changed);
    }
}

#[test]
fn fields_of_a_v4_header_come_in_any_order_with_or_without_spaces() {
    let vector = published().into_iter().find(|vector| vector.name.starts_with("V4 header, more"));
    let vector = vector.unwrap();
    for (from, to) in [(",", ", "), ("AdditionalHeaders=abc;zabc", "AdditionalHeaders=zabc;abc")] {
        let mut other = vector.clone();
        let authorization = other.headers.get_mut("Authorization").unwrap();
        *authorization = authorization.replace(from, to);
        let (algorithm, fields) = authorization.split_once(' ').unwrap();
        let fields: Vec<&str> = fields.rsplit(',').map(str::trim).collect();
        let turned = format!("{algorithm} {}", fields.join(","));
        assert!(other.verifies(), "{:?}", other.headers);
        other.headers.insert("Authorization".to_owned(), turned);
        assert!(other.verifies(), "{:?}", other.headers);
    }
}

#[test]
fn the_policy_of_a_form_verifies_by_either_version() {
    let json = include_str!("../../../../../tests/vectors/sign/post-policy.json").trim_end();
    let policy = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, json);
    let secret = SecretString::from("testsecret");
    let (_, scope) =
        credential_of("STS.testid/20231203/cn-hangzhou/oss/aliyun_v4_request").unwrap();
    let key = SigningKey::derive(&secret, &scope);
    let v4 = "591f92708f6ff98ce8c9bb2601cc8afd009b624944f5ed562367029f0bf4922e";
    assert!(key.is_valid(&policy, v4));
    assert!(is_valid_v1(&secret, &policy, "Df0NsW894Q0Erx9ZdpKmmvB1Nw4="));
    assert!(!key.is_valid(&policy, &v4.replace("591", "592")));
    assert!(!key.is_valid(&policy, &v4.to_uppercase()));
}
