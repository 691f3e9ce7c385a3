//! Signs callbacks with the emulator's own key, as the real OSS does with its key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::signature::{SignatureEncoding, Signer};

/// Where the emulated OSS serves its public key; the file of the real OSS has the same name.
pub(crate) const PUBLIC_KEY_PATH: &str = "callback_pub_key_v1.pem";
pub(crate) const PUBLIC_KEY_PEM: &str = include_str!("demo_key.pub.pem");
/// The private key, which is public: everyone with this file can sign callbacks. Only `dev` trusts its other half.
const PRIVATE_KEY_PEM: &str = include_str!("demo_key.pem");

pub(super) struct CallbackSigner(SigningKey<Md5>);

impl CallbackSigner {
    pub(super) fn new() -> Self {
        let key = rsa::PrivateKey::from_pkcs8_pem(PRIVATE_KEY_PEM);
        Self(SigningKey::new(key.expect("the demo's key is PKCS#8 in PEM")))
    }

    /// The `Authorization` header: RSASSA-PKCS1-v1_5 with MD5 over the decoded path, the query as it is sent, and the body.
    pub(super) fn authorization(&self, path: &str, query: Option<&str>, body: &[u8]) -> String {
        STANDARD.encode(self.0.sign(&string_to_sign(path, query, body)).to_bytes())
    }
}

fn string_to_sign(path: &str, query: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut text: Vec<u8> = percent_decode_str(path).collect();
    if let Some(query) = query {
        text.push(b'?');
        text.extend_from_slice(query.as_bytes());
    }
    text.push(b'\n');
    text.extend_from_slice(body);
    text
}

/// The `Content-MD5` header.
pub(super) fn content_md5(body: &[u8]) -> String {
    STANDARD.encode(Md5::digest(body))
}

#[cfg(test)]
mod tests {
    use rsa::pkcs1v15::{Signature, VerifyingKey};
    use rsa::pkcs8::DecodePublicKey;
    use rsa::signature::Verifier;

    use super::*;

    #[test]
    fn the_string_to_sign_is_that_of_the_documentation_s_example() {
        let text = string_to_sign("/index.php", Some("id=1&index=2"), b"bucket=yonghu-test");
        assert_eq!(text, b"/index.php?id=1&index=2\nbucket=yonghu-test");
        assert_eq!(hex::encode(Md5::digest(text)), "5b74fc97cc385b45c6c8b7782d5a2140");
        assert_eq!(string_to_sign("/a%20b/%E4%B8%AD+c", None, b""), "/a b/中+c\n".as_bytes());
    }

    #[test]
    fn a_callback_is_verified_by_the_published_key() {
        let signature = CallbackSigner::new().authorization("/a%2Fb", Some("x=%20"), b"size=1");
        let signature = STANDARD.decode(signature).unwrap();
        let key = rsa::PublicKey::from_public_key_pem(PUBLIC_KEY_PEM).unwrap();
        let key = VerifyingKey::<Md5>::new(key);
        let signature = Signature::try_from(signature.as_slice()).unwrap();
        assert!(key.verify(b"/a/b?x=%20\nsize=1", &signature).is_ok());
        assert!(key.verify(b"/a/b?x=%20\nsize=2", &signature).is_err());
    }
}
