//! The signature of a callback: RSA (PKCS#1 v1.5) over the MD5 of path, query and body.
//!
//! MD5, and OSS's key of 512 bits, are OSS's choice. They prove little, so nothing is decided by them alone: the upload
//! is named by claims that this service sealed, and the object is looked at before anything is forwarded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use rsa::{BoxedUint, Pkcs1v15Sign, PublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::percent;

/// The sizes of keys in bits: OSS's own has the least of them.
const KEY_BITS: std::ops::RangeInclusive<usize> = 512..=4096;

/// A public key of OSS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CallbackKey(PublicKey);

/// A file holds no key that can verify.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is not an RSA public key of 512 to 4096 bits in PEM")]
pub(crate) struct InvalidKey;

/// What OSS signs of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedParts<'a> {
    /// As OSS requested it: a proxy may have removed its beginning.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

impl CallbackKey {
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, InvalidKey> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| InvalidKey)?;
        let (rest, info) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| InvalidKey)?;
        let Ok(ParsedKey::RSA(key)) = info.parsed() else { return Err(InvalidKey) };
        let [modulus, exponent] = [key.modulus, key.exponent].map(BoxedUint::from_be_slice_vartime);
        let key = PublicKey::new_with_size_limits(modulus, exponent, KEY_BITS);
        match key {
            Ok(key) if rest.is_empty() => Ok(Self(key)),
            Ok(_) | Err(_) => Err(InvalidKey),
        }
    }

    /// Whether the holder of the private key signed this request. `authorization` is the header's value.
    pub(crate) fn verifies(&self, authorization: &[u8], parts: &SignedParts<'_>) -> bool {
        let Ok(signature) = STANDARD.decode(authorization) else { return false };
        let Some(hash) = parts.hash() else { return false };
        self.0.verify(Pkcs1v15Sign::new::<Md5>(), &hash, &signature).is_ok()
    }
}

impl SignedParts<'_> {
    /// `None` if the path has an incomplete escape.
    fn hash(&self) -> Option<[u8; 16]> {
        let mut hash = Md5::new();
        hash.update(percent::decode(self.path, percent::Plus::Literal)?);
        if let Some(query) = self.query {
            hash.update(b"?");
            hash.update(query);
        }
        hash.update(b"\n");
        hash.update(self.body);
        Some(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        from: String,
        key: String,
        path: String,
        query: Option<String>,
        body: String,
        signature: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../tests/vectors/callback/signatures.json")).unwrap()
    }

    impl Vector {
        fn verifies(&self) -> bool {
            let key = CallbackKey::from_pem(self.key.as_bytes()).unwrap();
            let parts = SignedParts {
                path: &self.path,
                query: self.query.as_deref(),
                body: self.body.as_bytes(),
            };
            key.verifies(self.signature.as_bytes(), &parts)
        }
    }

    #[test]
    fn the_documented_example_and_signatures_of_openssl_are_verified() {
        for vector in vectors() {
            assert!(vector.verifies(), "{}", vector.from);
        }
    }

    #[test]
    fn any_other_path_query_body_key_or_signature_is_refused() {
        let changes: [fn(&mut Vector); 9] = [
            |v| v.path.push('/'),
            |v| v.path = v.path.to_uppercase(),
            |v| v.path = v.path.trim_start_matches('/').to_owned(),
            |v| v.path.push('%'),
            |v| v.query = Some(v.query.take().map_or(String::new(), |query| query + "&")),
            |v| v.body.push('\n'),
            |v| v.body.insert(0, ' '),
            |v| v.signature = v.signature.replacen('k', "j", 1).replacen('V', "W", 1) + "=",
            |v| v.signature.clear(),
        ];
        for (i, change) in changes.into_iter().enumerate() {
            for mut vector in vectors() {
                change(&mut vector);
                assert!(!vector.verifies(), "{i}: {}", vector.from);
            }
        }
        let [mut one, mut other, _] = <[Vector; 3]>::try_from(vectors()).ok().unwrap();
        std::mem::swap(&mut one.key, &mut other.key);
        assert!(!one.verifies() && !other.verifies());
    }

    #[test]
    fn every_changed_bit_of_a_signature_is_refused() {
        for mut vector in vectors() {
            let signature = STANDARD.decode(&vector.signature).unwrap();
            for bit in 0..signature.len() * 8 {
                let mut changed = signature.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                vector.signature = STANDARD.encode(changed);
                assert!(!vector.verifies(), "{}: {bit}", vector.from);
            }
        }
    }

    #[test]
    fn a_key_is_one_rsa_key_in_pem() {
        let [one, ..] = <[Vector; 3]>::try_from(vectors()).ok().unwrap();
        let short = one.key.replacen("MFww", "MFw", 1);
        let private = one.key.replace("PUBLIC", "PRIVATE");
        let pem = |der: &[u8]| {
            let text = STANDARD.encode(der);
            format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
        };
        let der = SubjectPublicKeyInfoDer::from_pem_slice(one.key.as_bytes()).unwrap();
        assert!(CallbackKey::from_pem(pem(&der).as_bytes()).is_ok());
        let trailing = pem(&[&der[..], &[0]].concat());
        for bad in ["", "canary", &short, &private, &trailing, "<html></html>"] {
            assert_eq!(CallbackKey::from_pem(bad.as_bytes()), Err(InvalidKey), "{bad}");
        }
    }
}
