//! Alibaba's RPC signature, version 1.0: a pure function of method, parameters and secret.
//!
//! Time and nonce are parameters. Independent of HTTP.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;

/// The parameters of one request in any order, each name once.
pub(crate) type Parameters<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// A signed request. It has no `Debug`: the string to sign holds the policy, the form also a valid
/// signature.
pub(crate) struct Signed {
    /// The string that STS must derive as well. It echoes its own if the signatures differ.
    pub(crate) string_to_sign: String,
    /// All parameters and the signature, as `application/x-www-form-urlencoded`.
    pub(crate) form: String,
}

/// Signs `parameters`, which hold everything but the signature itself.
pub(crate) fn sign(method: &str, parameters: Parameters<'_>, secret: &SecretString) -> Signed {
    let mut form = encoded(parameters);
    let mut string_to_sign = Vec::with_capacity(LIKELY_BYTES);
    string_to_sign.extend_from_slice(method.as_bytes());
    string_to_sign.extend_from_slice(b"&%2F&");
    encode(&form, &mut string_to_sign);
    let signature = signature(&string_to_sign, secret);
    // The signed text is the form that is sent, so the two cannot differ.
    form.extend_from_slice(b"&Signature=");
    encode(signature.as_bytes(), &mut form);
    let text = |bytes| String::from_utf8(bytes).expect("what is encoded is ASCII");
    Signed { string_to_sign: text(string_to_sign), form: text(form) }
}

/// The form of parameters that nothing signs.
pub(super) fn unsigned(parameters: Parameters<'_>) -> Signed {
    let form = String::from_utf8(encoded(parameters)).expect("what is encoded is ASCII");
    Signed { string_to_sign: String::new(), form }
}

/// `name=value&…` in the order that is signed: by the bytes of the names.
fn encoded(mut parameters: Parameters<'_>) -> Vec<u8> {
    parameters.sort_unstable_by_key(|(name, _)| *name);
    debug_assert!(parameters.is_sorted_by(|(a, _), (b, _)| a < b), "a name occurs twice");
    let mut form = Vec::with_capacity(LIKELY_BYTES);
    for (name, value) in parameters {
        if !form.is_empty() {
            form.push(b'&');
        }
        encode(name.as_bytes(), &mut form);
        form.push(b'=');
        encode(value.as_bytes(), &mut form);
    }
    form
}

/// Enough for a request with a usual policy; a longer one makes the buffer grow.
const LIKELY_BYTES: usize = 2048;

/// Appends the text percent-encoded, except `A-Z a-z 0-9 - . _ ~`. In particular a space is `%20`, never `+`, and `*`
/// is `%2A`.
///
/// By hand, because every call encodes its policy twice, and the quotes, braces and colons of JSON are the worst case
/// of the usual crate: it took a quarter of a cache miss.
pub(crate) fn encode(text: &[u8], onto: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            plain[byte as usize] =
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
            byte += 1;
        }
        plain
    };
    for &byte in text {
        if PLAIN[usize::from(byte)] {
            onto.push(byte);
        } else {
            let escape = [b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            onto.extend_from_slice(&escape);
        }
    }
}

fn signature(string_to_sign: &[u8], secret: &SecretString) -> String {
    let key = SecretString::from([secret.expose_secret(), "&"].concat());
    hmac_sha1(key.expose_secret().as_bytes(), string_to_sign)
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    BASE64.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    /// One file of `tests/vectors/rpc/`. Parts that the source does not publish are absent.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vector {
        name: String,
        #[serde(rename = "source")]
        _source: String,
        method: String,
        secret: Option<String>,
        parameters: BTreeMap<String, String>,
        string_to_sign: Option<String>,
        signature: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct HmacVector {
        source: String,
        key: String,
        message: String,
        signature: String,
    }

    fn vectors() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors"))
    }

    fn read<T: DeserializeOwned>(file: &Path) -> T {
        let text = fs::read_to_string(file).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    }

    fn agree_with_all_in(folder: &str) -> usize {
        let files = fs::read_dir(vectors().join(folder)).unwrap();
        let checked = files.map(|file| {
            let vector: Vector = read(&file.unwrap().path());
            let secret = vector.secret.unwrap_or_default().into();
            let signed = sign(&vector.method, borrowed(&vector.parameters), &secret);
            let form = form_of(&signed);
            let signature = form.get("Signature").cloned();
            if let Some(published) = vector.string_to_sign {
                assert_eq!(signed.string_to_sign, published, "{}", vector.name);
            }
            if let Some(published) = vector.signature {
                assert_eq!(signature, Some(published), "{}", vector.name);
            }
        });
        checked.count()
    }

    /// Not in the order that is signed.
    fn borrowed(parameters: &BTreeMap<String, String>) -> Parameters<'_> {
        parameters.iter().rev().map(|(name, value)| (name.as_str(), value.into())).collect()
    }

    fn form_of(signed: &Signed) -> BTreeMap<String, String> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let pairs = signed.form.split('&').map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
    }

    #[test]
    fn every_published_signature_is_reproduced() {
        assert_eq!(agree_with_all_in("rpc"), 11);
    }

    #[test]
    fn signatures_derived_by_another_program_are_reproduced() {
        assert_eq!(agree_with_all_in("rpc-derived"), 4);
    }

    #[test]
    fn every_published_hmac_is_reproduced() {
        let published: Vec<HmacVector> = read(&vectors().join("hmac-sha1.json"));
        assert_eq!(published.len(), 5);
        for HmacVector { source, key, message, signature } in published {
            assert_eq!(hmac_sha1(key.as_bytes(), message.as_bytes()), signature, "{source}");
        }
    }

    #[test]
    fn only_unreserved_characters_stay_as_they_are() {
        let encoded = |text: &str| {
            let mut encoded = Vec::new();
            encode(text.as_bytes(), &mut encoded);
            String::from_utf8(encoded).unwrap()
        };
        assert_eq!(encoded("Az09-_.~"), "Az09-_.~");
        assert_eq!(encoded(" *+/:%é\"'()!"), "%20%2A%2B%2F%3A%25%C3%A9%22%27%28%29%21");
    }

    fn some_parameters() -> impl Strategy<Value = BTreeMap<String, String>> {
        prop::collection::btree_map("[A-Za-z]{1,12}", any::<String>(), 1..8)
    }

    proptest! {
        #[test]
        fn the_sent_form_decodes_to_the_signed_parameters(parameters in some_parameters()) {
            let signed = sign("POST", borrowed(&parameters), &"secret".into());
            prop_assert!(!signed.form.contains(['+', ' ']), "{}", signed.form);
            let mut form = form_of(&signed);
            form.remove("Signature");
            prop_assert_eq!(form, parameters);
        }

        #[test]
        fn any_changed_byte_changes_the_string_to_sign_and_the_signature(
            parameters in some_parameters(),
            which in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            other in any::<char>(),
        ) {
            let mut changed = parameters.clone();
            let value = changed.values_mut().nth(which.index(parameters.len())).unwrap();
            let mut chars: Vec<char> = value.chars().collect();
            if chars.is_empty() { chars.push(other) } else {
                let at = at.index(chars.len());
                prop_assume!(chars[at] != other);
                chars[at] = other;
            }
            *value = chars.into_iter().collect();

            let secret = "secret".into();
            let a = sign("POST", borrowed(&parameters), &secret);
            let b = sign("POST", borrowed(&changed), &secret);
            prop_assert_ne!(&a.string_to_sign, &b.string_to_sign);
            prop_assert_ne!(&form_of(&a)["Signature"], &form_of(&b)["Signature"]);
        }

        #[test]
        fn method_and_secret_are_part_of_the_signature(parameters in some_parameters()) {
            let parameters = borrowed(&parameters);
            let signature = |method, secret: &str| {
                form_of(&sign(method, parameters.clone(), &secret.into()))["Signature"].clone()
            };
            prop_assert_ne!(signature("POST", "secret"), signature("GET", "secret"));
            prop_assert_ne!(signature("POST", "secret"), signature("POST", "secreT"));
        }
    }
}
