//! The forms of a subject in a text: plain, encoded or hashed.
//!
//! Two users never have the same text in one form, nor one plain and the other encoded: a plain subject that looks
//! encoded is refused. Only its 64 digits distinguish a hash from another user's plain or encoded subject.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use appserver_domain::IssuerName;

/// The form that a `${subject…}` selects.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum SubjectForm {
    /// `${subject}`: the subject itself, which must be a path segment.
    Plain,
    /// `${subject.encoded}`: any subject, readable.
    Encoded,
    /// `${subject.hash}`: any subject, together with its issuer.
    Hash,
}

/// Begins an escape. It is valid in a path segment, has no meaning to RAM, JSON, a path or a URL, and never represents
/// itself.
const ESCAPE: char = '~';

/// The subject as a path segment of ASCII: letters, digits and `- _ . @ + = ,` unchanged, and each other byte of its
/// UTF-8 as `~` and two lower-case hexadecimal digits. The bytes of `.` and `..`, which are no segments, are escaped
/// too.
pub(crate) fn encoded(subject: &str) -> String {
    let climbs = matches!(subject, "." | "..");
    let mut text = String::with_capacity(subject.len() + 8);
    for byte in subject.bytes() {
        if !climbs && (byte.is_ascii_alphanumeric() || b"-_.@+=,".contains(&byte)) {
            text.push(char::from(byte));
        } else {
            write!(text, "{ESCAPE}{byte:02x}").expect("a String takes all that is written");
        }
    }
    text
}

/// Whether the text contains what [`encoded`] writes for some byte.
pub(crate) fn looks_encoded(text: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.as_bytes()
        .windows(3)
        .any(|bytes| bytes[0] == ESCAPE as u8 && hex(bytes[1]) && hex(bytes[2]))
}

/// The SHA-256 of the issuer's configured name, a line feed and the subject, as 64 hexadecimal digits. Neither part
/// contains a line feed.
pub(crate) fn hash(issuer: &IssuerName, subject: &str) -> String {
    let hash = Sha256::new().chain_update(issuer.as_str()).chain_update("\n").chain_update(subject);
    hex::encode(hash.finalize())
}

/// The length of each hash.
pub(crate) const HASH_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use appserver_domain::{Segment, Subject};

    /// Reads back what `encoded` wrote.
    fn decoded(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, after @ ..] = rest {
            if *first == b'~' {
                bytes.extend(hex::decode(&after[..2]).unwrap());
                rest = &after[2..];
            } else {
                bytes.push(*first);
                rest = after;
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn subjects_of_known_providers_are_encoded_readably() {
        for (subject, expected) in [
            ("auth0|5f7c8ec7c33c6c004bbafe82", "auth0~7c5f7c8ec7c33c6c004bbafe82"),
            ("f:1f3c:alice", "f~3a1f3c~3aalice"),
            ("alice@example.com", "alice@example.com"),
            ("a/../b", "a~2f..~2fb"),
            ("..", "~2e~2e"),
            (".", "~2e"),
            ("...", "..."),
            ("~7c", "~7e7c"),
            ("Zo\u{eb}", "Zo~c3~ab"),
            ("Zoe\u{308}", "Zoe~cc~88"),
            ("*?${subject}", "~2a~3f~24~7bsubject~7d"),
        ] {
            assert_eq!(encoded(subject), expected);
        }
    }

    /// As a shell has it: `printf '%s\n%s' company 'auth0|5f7c' | sha256sum`.
    #[test]
    fn a_hash_is_what_a_backend_computes() {
        let company = "company".parse().unwrap();
        insta::assert_snapshot!(hash(&company, "auth0|5f7c"), @"70731dc23a995987264feba7ef91a35c50825e8974fd5b0b2a65e14887ed5894");
        assert_ne!(hash(&company, "alice"), hash(&"partner".parse().unwrap(), "alice"));
        assert_ne!(hash(&"a".parse().unwrap(), "b-c"), hash(&"a-b".parse().unwrap(), "c"));
    }

    /// Any subject, those that look encoded, and encodings of others.
    fn subject() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{1,24}",
            "[~0-9a-f.|/%]{1,8}",
            "[~0-9a-f.|/%]{1,4}".prop_map(|subject| encoded(&subject)),
            "[a-c.]{1,3}",
        ]
        .prop_filter("a subject", |raw| raw.parse::<Subject>().is_ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn an_encoded_subject_is_a_path_segment_and_reads_back(subject in subject()) {
            let encoded = encoded(&subject);
            prop_assert!(encoded.parse::<Segment>().is_ok() && encoded.is_ascii(), "{}", encoded);
            prop_assert_eq!(decoded(&encoded), subject);
        }

        #[test]
        fn no_subject_is_written_as_another_is_in_any_form(one in subject(), two in subject()) {
            prop_assume!(one != two);
            prop_assert_ne!(encoded(&one), encoded(&two));
            // Of a plain one see `Values::admit`.
            if one.parse::<Segment>().is_ok() && !looks_encoded(&one) {
                prop_assert_ne!(&one, &encoded(&two));
            }
            let [a, b] = ["company", "partner"].map(|name| name.parse().unwrap());
            let all = [hash(&a, &one), hash(&b, &one), hash(&a, &two), hash(&b, &two)];
            let distinct: std::collections::BTreeSet<_> = all.iter().collect();
            prop_assert_eq!(distinct.len(), 4);
        }
    }
}
