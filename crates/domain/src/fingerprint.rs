//! Whether two things that were configured are the same one.

use sha2::{Digest, Sha256};

/// Stands for all of the text that something was made from: different texts have different fingerprints, and the same
/// text has the same on each replica.
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
            // The length first: no two lists of parts are the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let whole = hash.finalize();
        let mut first = [0; 16];
        // 128 bits are enough: who writes configurations need not be kept from making two that look the same.
        first.copy_from_slice(&whole[..16]);
        Self(first)
    }

    /// To be kept elsewhere, and compared with another day's.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}
