//! Verifies RPC signatures, version 1.0, with the emulator's own code: with the client's code a wrong encoding would agree with itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;

use super::error::GatewayError;
use super::params::Params;
use crate::percent::encode;

/// Verifies that the method and all parameters were signed with the secret.
pub(crate) fn verify(
    method: &str,
    params: &Params,
    secret: &SecretString,
) -> Result<(), GatewayError> {
    let string_to_sign = string_to_sign(method, params);
    let key = format!("{}&", secret.expose_secret());
    let mac = Hmac::<Sha1>::new_from_slice(key.as_bytes())
        .expect("HMAC takes a key of any length")
        .chain_update(string_to_sign.as_bytes());
    let signature = STANDARD.decode(params.need("Signature")?).unwrap_or_default();
    // Compares in constant time.
    mac.verify_slice(&signature).map_err(|_| GatewayError::SignatureDoesNotMatch { string_to_sign })
}

pub(crate) fn string_to_sign(method: &str, params: &Params) -> String {
    let pairs: Vec<String> = params
        .iter()
        .filter(|(name, _)| *name != "Signature")
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    format!("{method}&%2F&{}", encode(&pairs.join("&")))
}

/// Signs as a correct client does; the published vectors check the verifier, and so this too.
#[cfg(test)]
pub(crate) fn sign(method: &str, params: &Params, secret: &str) -> String {
    let mac = Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes())
        .unwrap()
        .chain_update(string_to_sign(method, params).as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        method: String,
        secret: Option<String>,
        parameters: BTreeMap<String, String>,
        string_to_sign: Option<String>,
        signature: Option<String>,
    }

    fn published() -> Vec<Vector> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/rpc");
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap()
        };
        std::fs::read_dir(folder).unwrap().map(read).collect()
    }

    impl Vector {
        fn params(&self, signature: Option<&str>) -> Params {
            let pairs = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let signature = signature.map(|signature| ("Signature", signature));
            let encoded: Vec<String> = pairs
                .chain(signature)
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            Params::read(Some(&encoded.join("&")), None, b"").unwrap()
        }
    }

    #[test]
    fn every_published_vector_verifies() {
        let vectors = published();
        assert!(vectors.len() >= 9, "{}", vectors.len());
        for vector in vectors {
            if let Some(expected) = &vector.string_to_sign {
                let found = string_to_sign(&vector.method, &vector.params(None));
                assert_eq!(&found, expected, "{}", vector.name);
            }
            if let (Some(secret), Some(signature)) = (&vector.secret, &vector.signature) {
                let params = vector.params(Some(signature));
                let verified = verify(&vector.method, &params, &secret.clone().into());
                assert_eq!(verified, Ok(()), "{}", vector.name);
            }
        }
    }

    #[test]
    fn another_method_value_secret_or_signature_does_not_match() {
        let signed = [("Action", "DescribeRegions"), ("Signature", "OLeaidS1JvxuMvnyHOwuJ+uX5qY=")];
        let all = |extra: &[(&str, &str)]| {
            let common = "Version=2014-05-26&AccessKeyId=testid&SignatureMethod=HMAC-SHA1&Format=XML\
                &SignatureNonce=3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf&Timestamp=2016-02-23T12%3A46%3A24Z\
                &SignatureVersion=1.0";
            let extra: String = signed
                .iter()
                .chain(extra)
                .map(|(name, value)| format!("&{name}={}", encode(value)))
                .collect();
            Params::read(Some(&format!("{common}{extra}")), None, b"").unwrap()
        };
        let matches = |method, params: &Params, secret: &str| {
            verify(method, params, &secret.to_owned().into()).is_ok()
        };
        let outcomes = [
            matches("GET", &all(&[]), "testsecret"),
            matches("POST", &all(&[]), "testsecret"),
            matches("GET", &all(&[]), "testsecreT"),
            matches("GET", &all(&[("Format", "JSON")]), "testsecret"),
            matches("GET", &all(&[("Extra", "")]), "testsecret"),
            matches("GET", &all(&[("Signature", "not base64")]), "testsecret"),
            matches("GET", &all(&[("Signature", "OLeaidS1Jvw=")]), "testsecret"),
        ];
        assert_eq!(outcomes, [true, false, false, false, false, false, false]);
    }
}
