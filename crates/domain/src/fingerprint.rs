//! Fingerprints of configured text.

use sha2::{Digest, Sha256};

/// A hash of configured text: different texts have different fingerprints, and the same text has
/// the same fingerprint on each replica.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fingerprint([u8; 16]);

impl From<[u8; 16]> for Fingerprint {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl Fingerprint {
    /// The hash of these parts, in this order.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length comes first, so that no two lists of parts are the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let whole = hash.finalize();
        let mut first = [0; 16];
        // 128 bits are enough: collisions made on purpose are no threat, because operators write the configuration.
        first.copy_from_slice(&whole[..16]);
        Self(first)
    }

    /// The bytes, for storage.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}
