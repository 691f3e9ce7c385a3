//! The used nonces, against replays.

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

/// More than 100 calls a second (the quota of STS) use in the half hour for which a signature can be valid. Beyond it the nonces that end
/// first are dropped.
const MAX_NONCES: usize = 200_000;

/// The nonces of signatures that are still valid. A later replay is refused for its timestamp.
#[derive(Default)]
pub(crate) struct Nonces {
    /// A plain mutex, held for one look-up.
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    /// Hashes, because a nonce can have any length.
    hashes: HashSet<[u8; 32]>,
    by_end: BTreeSet<(DateTime<Utc>, [u8; 32])>,
}

impl Nonces {
    /// Records the nonce of a key until `end`; `false` if it was used before.
    pub(crate) fn is_new(
        &self,
        key: &str,
        nonce: &str,
        now: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> bool {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(key.len().to_be_bytes())
            .chain_update(key)
            .chain_update(nonce)
            .finalize()
            .into();
        let mut used = self.used.lock().expect("nothing panics while it is held");
        while let Some(&(end, hash)) = used.by_end.first()
            && (end < now || used.by_end.len() >= MAX_NONCES)
        {
            used.by_end.pop_first();
            used.hashes.remove(&hash);
        }
        let is_new = used.hashes.insert(hash);
        if is_new {
            used.by_end.insert((end, hash));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_nonce_is_valid_once_per_key_until_its_end() {
        let nonces = Nonces::default();
        let now: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        let end = now + TimeDelta::minutes(15);
        let later = end + TimeDelta::seconds(1);
        let outcomes = [
            nonces.is_new("testid", "n", now, end),
            nonces.is_new("testid", "n", now, end),
            nonces.is_new("tastid", "n", now, end),
            nonces.is_new("testid", "n", end, end),
            nonces.is_new("testid", "n", later, later),
        ];
        assert_eq!(outcomes, [true, false, true, false, true]);
        assert_eq!(nonces.used.lock().unwrap().by_end.len(), 1);
    }

    #[test]
    fn memory_stays_bounded() {
        let nonces = Nonces::default();
        let now: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        for n in 0..MAX_NONCES + 10 {
            nonces.is_new("testid", &n.to_string(), now, now);
        }
        let used = nonces.used.lock().unwrap();
        assert_eq!((used.by_end.len(), used.hashes.len()), (MAX_NONCES, MAX_NONCES));
    }
}
