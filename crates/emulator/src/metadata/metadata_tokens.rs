//! Metadata tokens of version 2. A token carries its own end and a MAC, so that none has to be kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The longest life of a token, in seconds.
const MOST_SECONDS: u32 = 21_600;
const END_BYTES: usize = 8;
const RANDOM_BYTES: usize = 16;

/// Makes and verifies the tokens of one instance.
pub(crate) struct MetadataTokens {
    key: [u8; 32],
}

impl MetadataTokens {
    pub(super) fn new() -> Self {
        Self { key: rand::random() }
    }

    /// A new token, if its life in seconds is from 1 to 21600.
    pub(super) fn issue(&self, life: Option<&str>, now: DateTime<Utc>) -> Option<String> {
        let seconds: u32 = life?.trim().parse().ok()?;
        if !(1..=MOST_SECONDS).contains(&seconds) {
            return None;
        }
        let end = (now + TimeDelta::seconds(seconds.into())).timestamp();
        let random: [u8; RANDOM_BYTES] = rand::random();
        let mut bytes = [&end.to_be_bytes()[..], &random].concat();
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        Some(STANDARD.encode(bytes))
    }

    /// Whether this instance made the token and it has not ended at `now`.
    pub(super) fn is_valid(&self, token: &str, now: DateTime<Utc>) -> bool {
        let Ok(bytes) = STANDARD.decode(token) else { return false };
        let Some((message, mac)) = bytes.split_at_checked(END_BYTES + RANDOM_BYTES) else {
            return false;
        };
        let Some((end, _)) = message.split_first_chunk::<END_BYTES>() else { return false };
        self.mac(message).verify_slice(mac).is_ok() && now.timestamp() < i64::from_be_bytes(*end)
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.key)
            .expect("HMAC takes a key of any length")
            .chain_update(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_from_one_second_to_six_hours() {
        let tokens = MetadataTokens::new();
        let now = "2016-01-13T14:02:37Z".parse().unwrap();
        let issued = |life: &str| tokens.issue(Some(life), now).is_some();
        assert_eq!(["1", "21600", "0", "21601", "-1", "", "1h"].map(issued), {
            [true, true, false, false, false, false, false]
        });
        assert_eq!(tokens.issue(None, now), None);
    }

    #[test]
    fn a_token_is_valid_until_its_end_and_for_its_own_instance() {
        let (tokens, others) = (MetadataTokens::new(), MetadataTokens::new());
        let now: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        let token = tokens.issue(Some("60"), now).unwrap();
        let at = |seconds| tokens.is_valid(&token, now + TimeDelta::seconds(seconds));
        assert_eq!([at(0), at(59), at(60)], [true, true, false]);
        assert!(!others.is_valid(&token, now));
        for text in ["", "x", &token[4..], &token[..token.len() - 4]] {
            assert!(!tokens.is_valid(text, now), "{text}");
        }
    }
}
