//! The parts that a policy's resource is built from.

use unicode_normalization::{IsNormalized, is_nfc, is_nfc_quick};

use super::text_type;

/// One segment of an object key, such as `2015` in `photos/2015/grass.jpg`.
///
/// It becomes part of the `Resource` of a session policy, where RAM has no escape for `*` and `?`, so only characters
/// without a special meaning are allowed: letters, digits, combining marks in NFC, and `- _ . ~ @ + = , ( ) !`. None of
/// them has a meaning to RAM, to JSON, to a path or to percent-encoding. Spaces are excluded because common signers
/// sign them wrongly.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Segment(String);

text_type!(
    Segment,
    is_segment,
    "a path segment is letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not empty, `.` or `..`"
);

/// Some segments of an object key, such as `2015/01/01`, joined by single slashes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KeyPath(String);

text_type!(
    KeyPath,
    |s| s.split('/').all(is_segment),
    "a path is segments joined by single `/`, none at either end; a segment is letters, digits and \
     `- _ . ~ @ + = , ( ) !` in Unicode NFC, not empty, `.` or `..`"
);

/// A value in a policy that a caller wrote: paths, ARNs and the like, in which `*` and `?` are wildcards.
///
/// The characters of [`Segment`]s and `* ? / :`, so that no part of it can be a variable, have a meaning to JSON, or be
/// invisible.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PolicyText(String);

text_type!(
    PolicyText,
    |s| s.chars().all(|c| is_literal(c) || matches!(c, '*' | '?' | '/' | ':')) && is_nfc(s),
    "a value is letters, digits and `- _ . ~ @ + = , ( ) ! / : * ?` in Unicode NFC"
);

fn is_segment(raw: &str) -> bool {
    !matches!(raw, "" | "." | "..")
        && raw.chars().all(is_literal)
        && is_nfc(raw)
        // No combining character that would merge with the text before it.
        && is_nfc_quick(raw.chars().take(1)) == IsNormalized::Yes
}

fn is_literal(c: char) -> bool {
    let written = c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c);
    written && !is_invisible(c)
        || matches!(c, '-' | '_' | '.' | '~' | '@' | '+' | '=' | ',' | '(' | ')' | '!')
}

/// The letters and marks among Unicode's `Default_Ignorable_Code_Point`s: they are invisible, so two users could look
/// the same.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_special_to_ram_json_or_paths_are_refused() {
        let bad = [
            "", ".", "..", "*", "a*", "?", "$", "${x}", "{", "}", "\"", "\\", "a/b", "%2F", "a b",
            "a\n", "\0", "\u{7f}", "\u{85}", "\u{200d}", "\u{202e}", "\u{feff}", "e\u{301}",
            "\u{301}e", "\u{1161}", ":", ";", "'", "<", "|", "&", "#",
        ];
        for raw in bad {
            assert!(raw.parse::<Segment>().is_err(), "{raw:?}");
        }
    }

    #[test]
    fn names_of_people_are_accepted() {
        for raw in [
            "alice",
            "alice@example.com",
            "Zoë",
            "2015",
            "東京",
            "a+b",
            "IMG_0001.jpg",
            "हिन्दी",
            "...",
        ] {
            assert!(raw.parse::<Segment>().is_ok(), "{raw:?}");
        }
    }

    #[test]
    fn a_path_has_no_empty_or_climbing_segment() {
        assert!("2015/01/01".parse::<KeyPath>().is_ok());
        for raw in ["", "/a", "a/", "a//b", "a/../b", "a/./b", "a/*/b"] {
            assert!(raw.parse::<KeyPath>().is_err(), "{raw:?}");
        }
    }

    #[test]
    fn a_policy_text_has_wildcards_and_no_variables() {
        for raw in
            ["acs:oss:*:*:sample-bucket/2015/*.jpg", "2015-01-01T00:00:00Z", "10.0.0.0/8", "zoë?"]
        {
            assert!(raw.parse::<PolicyText>().is_ok(), "{raw:?}");
        }
        for raw in [
            "${x}",
            "{",
            "%2F",
            "a b",
            "a\\b",
            "\"",
            "\0",
            "\u{200b}",
            "e\u{301}",
            "<",
            "a\u{fe0f}",
        ] {
            assert!(raw.parse::<PolicyText>().is_err(), "{raw:?}");
        }
    }

    #[test]
    fn no_accepted_character_is_invisible() {
        // regex carries Unicode's own list.
        let ignorable = regex::Regex::new(r"\p{Default_Ignorable_Code_Point}").unwrap();
        let accepted = (0..=0x10_ffff).filter_map(char::from_u32).filter(|&c| is_literal(c));
        let invisible: Vec<_> = accepted.filter(|c| ignorable.is_match(&c.to_string())).collect();
        assert_eq!(invisible, Vec::<char>::new());
    }

    proptest! {
        #[test]
        fn an_accepted_segment_survives_json_and_urls_unchanged(raw in any::<String>()) {
            if let Ok(segment) = raw.parse::<Segment>() {
                let json = serde_json::to_string(segment.as_str()).unwrap();
                prop_assert_eq!(json, format!("\"{raw}\""));
                let kept = raw.contains(['*', '?', '$', '{', '}', '/', '%', '\\', '"']);
                prop_assert!(!kept, "{:?}", raw);
            }
        }
    }
}
