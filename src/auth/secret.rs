//! Client secrets and their hashes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use appserver_domain::{Fingerprint, Invalid};

/// The SHA-256 of a client's secret, written as 64 hex digits in the configuration.
///
/// A slow password hash would be wrong here. It makes guessing expensive where people choose the secret; ours are 256
/// random bits, which cannot be guessed at any speed. It would add a denial of service: each wrong secret would cost
/// the server the work that was meant for the attacker.
///
/// It has no `==`: compare two with [`SecretHash::is_same`], which takes constant time.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(crate) fn of(secret: &SecretString) -> Self {
        #[cfg(test)]
        work::count(|work| &mut work.hashes);
        Self(Sha256::digest(secret.expose_secret().as_bytes()).into())
    }

    /// Takes constant time. Compares words: `subtle` puts an optimisation barrier into each comparison, and 32 of
    /// them would take as long as looking the client up.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        #[cfg(test)]
        work::count(|work| &mut work.comparisons);
        let pairs = self.words().zip(other.words());
        pairs.fold(Choice::from(1), |equal, (ours, theirs)| equal & ours.ct_eq(&theirs)).into()
    }

    /// Whether all digits are zeros, as in examples. No known secret has this hash.
    pub(crate) fn is_blank(&self) -> bool {
        self.is_same(&Self([0; 32]))
    }

    /// For comparing configured hashes with each other. An offered secret is compared with [`SecretHash::is_same`].
    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// Identifies the secret in tickets that are issued with it.
    pub(super) fn as_parent(&self) -> Fingerprint {
        #[cfg(test)]
        work::count(|work| &mut work.hashes);
        Fingerprint::of([b"secret".as_slice(), &self.0])
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        let (words, _) = self.0.as_chunks();
        words.iter().copied().map(u64::from_ne_bytes)
    }

    /// As the configuration writes it.
    pub(crate) fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl TryFrom<String> for SecretHash {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(&raw, &mut bytes).map_err(|_| {
            Invalid("a secret's hash is the 64 hex digits of its SHA-256; `appserver client new` prints one")
        })?;
        Ok(Self(bytes))
    }
}

/// A new client secret: 256 random bits, in 43 characters that need no escape in a URL or a shell.
pub(crate) struct ClientSecret(SecretString);

impl ClientSecret {
    pub(crate) fn generate() -> Self {
        let bits: [u8; 32] = rand::random();
        Self(URL_SAFE_NO_PAD.encode(bits).into())
    }
}

impl From<ClientSecret> for SecretString {
    fn from(secret: ClientSecret) -> Self {
        secret.0
    }
}

/// Counts the expensive steps of an authentication, so that a test can require the same steps of every rejection.
/// Time itself cannot be tested: one hash takes less than a microsecond.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
    pub(crate) struct Work {
        pub(crate) hashes: u32,
        pub(crate) comparisons: u32,
    }

    thread_local! {
        static DONE: Cell<Work> = const { Cell::new(Work { hashes: 0, comparisons: 0 }) };
    }

    pub(super) fn count(step: fn(&mut Work) -> &mut u32) {
        let mut work = DONE.get();
        *step(&mut work) += 1;
        DONE.set(work);
    }

    /// The work of this thread since the last call.
    pub(crate) fn taken() -> Work {
        DONE.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_hash_is_the_sha256_of_the_secret() {
        // FIPS 180-4: SHA-256 of "abc".
        let published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(SecretHash::of(&"abc".into()).to_hex(), published);
        assert_eq!(hex::encode(SecretHash::of(&"abc".into()).digest()), published);
        let read = SecretHash::try_from(published.to_owned()).unwrap();
        assert!(read.is_same(&SecretHash::of(&"abc".into())));
    }

    #[test]
    fn hashes_that_differ_in_one_bit_are_different() {
        let hash = SecretHash::of(&"abc".into());
        assert!(hash.is_same(&hash.clone()));
        for bit in 0..256 {
            let mut other = hash.clone();
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!hash.is_same(&other) && !other.is_same(&hash), "bit {bit}");
        }
    }

    /// `==` would end at the first difference, and its time would reveal how much of a guess is right.
    #[test]
    fn a_secret_hash_has_no_equality_operator() {
        struct Probe<T>(std::marker::PhantomData<T>);
        trait WithoutEq {
            const HAS_EQ: bool = false;
        }
        impl<T> WithoutEq for Probe<T> {}
        // An inherent function takes precedence over the trait's.
        impl<T: PartialEq> Probe<T> {
            const HAS_EQ: bool = true;
        }
        const { assert!(Probe::<u8>::HAS_EQ, "the probe works") };
        const { assert!(!Probe::<SecretHash>::HAS_EQ && !Probe::<SecretString>::HAS_EQ) };
    }

    #[test]
    fn an_unhashed_secret_is_refused_as_a_hash() {
        for bad in ["", "client-002-demo-secret", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66)]
        {
            assert!(SecretHash::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_generated_secret_has_256_random_bits() {
        let [a, b] = [ClientSecret::generate(), ClientSecret::generate()].map(SecretString::from);
        assert_eq!(URL_SAFE_NO_PAD.decode(a.expose_secret()).unwrap().len(), 32);
        assert_ne!(a.expose_secret(), b.expose_secret());
    }
}
