//! Authenticated encryption of values that others keep for the service, such as Redis or an app. They can neither read nor
//! forge them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rand::Rng;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox, SecretSlice};
use sha2::Sha256;

use appserver_domain::Invalid;

const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 24;
/// The version of the format, the first byte of each encrypted value.
const VERSION: u8 = 1;
/// The key of `appserver dev`. It is published, so it protects nothing.
const DEMO: [u8; KEY_LENGTH] = *b"appserver-demo-store-key-0000001";

/// A secret that all replicas share: 256 random bits.
#[derive(Debug)]
pub(crate) struct SealKey(SecretBox<[u8; KEY_LENGTH]>);

impl SealKey {
    /// Parses the output of `openssl rand -base64 32`, without surrounding white space.
    pub(crate) fn from_base64(text: &str) -> Result<Self, Invalid> {
        const RULE: Invalid =
            Invalid("a key is 32 random bytes in base64, as `openssl rand -base64 32` prints them");
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| RULE)?);
        let key: [u8; KEY_LENGTH] = bytes.as_slice().try_into().map_err(|_| RULE)?;
        if key == DEMO {
            return Err(Invalid(
                "this is the demo's key, which is published; make your own with `openssl rand -base64 32`",
            ));
        }
        Ok(Self(SecretBox::new(Box::new(key))))
    }

    /// For keys of the configuration: how long it takes tells nobody anything.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }

    pub(crate) fn demo() -> Self {
        Self(SecretBox::new(Box::new(DEMO)))
    }

    /// Derives a key for one purpose.
    pub(crate) fn derived(&self, purpose: &str) -> Zeroizing<[u8; KEY_LENGTH]> {
        let mut hash = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.0.expose_secret())
            .expect("HMAC takes a key of any length");
        hash.update(purpose.as_bytes());
        Zeroizing::new(hash.finalize().into_bytes().into())
    }

    #[cfg(test)]
    pub(crate) fn for_tests(byte: u8) -> Self {
        Self(SecretBox::new(Box::new([byte; KEY_LENGTH])))
    }
}

/// Encrypts for one purpose with the newest key, and decrypts with any.
pub(crate) struct Seal {
    ciphers: Vec<XChaCha20Poly1305>,
}

impl Seal {
    /// A value that was encrypted for another purpose does not decrypt, even with the same keys.
    pub(crate) fn new(purpose: &str, keys: &[SealKey]) -> Self {
        let cipher = |key: &SealKey| XChaCha20Poly1305::new(&Key::from(*key.derived(purpose)));
        Self { ciphers: keys.iter().map(cipher).collect() }
    }

    /// Encrypts and binds the result to `name`: under another name it does not decrypt.
    pub(crate) fn seal(&self, name: &str, plain: &SecretSlice<u8>) -> Vec<u8> {
        let mut nonce = [0; NONCE_LENGTH];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload { msg: plain.expose_secret(), aad: name.as_bytes() };
        let newest = self.ciphers.first().expect("settings hold a key");
        let sealed = newest
            .encrypt(&XNonce::from(nonce), payload)
            .expect("some kilobytes are not too long to be sealed");
        [&[VERSION], nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts a value that was encrypted for this name with one of the keys; `None` if it was not.
    pub(crate) fn open(&self, name: &str, sealed: &[u8]) -> Option<SecretSlice<u8>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>()?;
        if *version != VERSION {
            return None;
        }
        let nonce = XNonce::from(*nonce);
        let open = |cipher: &XChaCha20Poly1305| {
            cipher.decrypt(&nonce, Payload { msg: sealed, aad: name.as_bytes() }).ok()
        };
        self.ciphers.iter().find_map(open).map(Into::into)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal of {} keys", self.ciphers.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(keys: &[u8]) -> Seal {
        let keys: Vec<_> = keys.iter().map(|byte| SealKey::for_tests(*byte)).collect();
        Seal::new("purpose", &keys)
    }

    fn plain() -> SecretSlice<u8> {
        b"canary credentials".to_vec().into()
    }

    #[test]
    fn a_value_decrypts_only_under_its_name_and_with_one_of_the_keys() {
        let sealed = seal(&[1]).seal("app:{a}:token", &plain());
        let opens = |keys: &[u8], name| {
            let opened = seal(keys).open(name, &sealed);
            opened.map(|plain| plain.expose_secret().to_vec())
        };
        for keys in [&[1][..], &[1, 2], &[2, 1]] {
            assert_eq!(opens(keys, "app:{a}:token"), Some(b"canary credentials".to_vec()));
        }
        assert_eq!(opens(&[2], "app:{a}:token"), None);
        assert_eq!(opens(&[1], "app:{b}:token"), None);
        assert_eq!(opens(&[1], "app:{a}:refusal"), None);
    }

    #[test]
    fn a_value_for_one_purpose_does_not_decrypt_for_another() {
        let [one, other] =
            ["one", "other"].map(|purpose| Seal::new(purpose, &[SealKey::for_tests(1)]));
        let sealed = one.seal("name", &plain());
        assert!(one.open("name", &sealed).is_some());
        assert!(other.open("name", &sealed).is_none());
    }

    #[test]
    fn the_newest_key_encrypts() {
        let sealed = seal(&[2, 1]).seal("name", &plain());
        assert!(seal(&[1]).open("name", &sealed).is_none());
        assert!(seal(&[2]).open("name", &sealed).is_some());
    }

    #[test]
    fn any_changed_bit_and_any_truncation_is_refused() {
        let (seal, name) = (seal(&[1]), "name");
        let sealed = seal.seal(name, &plain());
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seal.open(name, &changed).is_none(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(seal.open(name, &sealed[..length]).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn encryption_is_randomized_and_hides_the_plaintext() {
        let seal = seal(&[1]);
        let [one, other] = [(); 2].map(|()| seal.seal("name", &plain()));
        assert_ne!(one, other);
        assert!(!one.windows(6).any(|bytes| bytes == b"canary"));
    }

    #[test]
    fn keys_are_the_same_if_each_byte_is() {
        let key = SealKey::for_tests;
        assert!(key(1).is_same(&key(1)) && SealKey::demo().is_same(&SealKey::demo()));
        let mut last_differs = [1; KEY_LENGTH];
        last_differs[KEY_LENGTH - 1] = 2;
        let last_differs = SealKey::from_base64(&STANDARD.encode(last_differs)).unwrap();
        assert!(!key(1).is_same(&key(2)) && !key(1).is_same(&last_differs));
    }

    #[test]
    fn a_key_is_32_bytes_in_base64_and_not_the_demos() {
        let good = STANDARD.encode([7; 32]);
        assert!(SealKey::from_base64(&format!(" {good}\n")).is_ok());
        for bad in [
            "",
            "canary",
            &STANDARD.encode([7; 31]),
            &STANDARD.encode([7; 33]),
            &hex::encode([7; 32]),
        ] {
            let refused = SealKey::from_base64(bad).unwrap_err().to_string();
            assert!(refused.contains("32 random bytes"), "{refused}");
        }
        let demo = SealKey::from_base64(&STANDARD.encode(DEMO)).unwrap_err().to_string();
        assert!(demo.contains("published"), "{demo}");
        let shown = format!("{:?} {:?}", SealKey::for_tests(7), seal(&[7]));
        assert!(!shown.contains('7'), "{shown}");
        assert_eq!(format!("{:?}", seal(&[7, 8])), "Seal of 2 keys");
    }
}
