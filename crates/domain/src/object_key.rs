//! The parts that a policy's resource is built from.

use unicode_normalization::{IsNormalized, is_nfc, is_nfc_quick};

use super::{Invalid, text_type};

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

/// The key of one object, such as `users/alice/cat.jpg`.
///
/// OSS expands `${filename}` in the key of a form after it has checked the form's policy, so no key has the characters of a
/// variable. Empty segments, `.` and `..` are resolved by some clients and not by OSS, which would then see another key than
/// the signed one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ObjectKey(String);

text_type!(
    ObjectKey,
    is_object_key,
    "an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\\`, \
     and no segment of it is empty, `.` or `..`"
);

impl ObjectKey {
    /// The longest key, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 1023;
}

/// A value in a policy that a caller wrote: paths, ARNs and the like, in which `*` and `?` are wildcards.
///
/// The characters of [`Segment`]s and `* ? / :`, so that no part of it can be a variable, have a meaning to JSON, or be
/// invisible.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PolicyText(String);

text_type!(
    PolicyText,
    |s| s.chars().all(is_policy_character) && is_nfc(s),
    "a value is letters, digits and `- _ . ~ @ + = , ( ) ! / : * ?` in Unicode NFC"
);

impl PolicyText {
    /// A resource. If its path has no wildcard, the path may be any object key of characters that show, without those
    /// that JSON escapes (`"`, `\\`) and those that a variable is written with (`$`, `{`, `}`). A
    /// `%` before two hexadecimal digits could be decoded, to a wildcard for example, and is refused.
    pub fn resource(raw: &str) -> Result<Self, Invalid> {
        let path = raw.splitn(5, ':').nth(4).unwrap_or_default();
        if !path.contains(['*', '?'])
            && path.chars().all(is_literal_or_shows)
            && !has_percent_encoding(path)
        {
            // What is before the path is text as elsewhere.
            let _: Self = raw[..raw.len() - path.len()].parse()?;
            return Ok(Self(raw.to_owned()));
        }
        raw.parse().map_err(|_| {
            Invalid(
                "a resource is letters, digits and `- _ . ~ @ + = , ( ) ! / : * ?` in Unicode NFC; without `*` and \
                 `?` in its path, the path may have spaces and all visible characters but `\" \\ $ { }`, and no `%` \
                 before two hexadecimal digits",
            )
        })
    }

    /// The first character for which a resource is refused; none if it is refused as a whole, because it is not in
    /// Unicode NFC or has a percent-encoding.
    pub fn forbidden_character(raw: &str) -> Option<char> {
        let path = raw.splitn(5, ':').nth(4).unwrap_or_default();
        let before = &raw[..raw.len() - path.len()];
        let has_wildcards = path.contains(['*', '?']);
        let in_path =
            |&c: &char| !(is_policy_character(c) || !has_wildcards && is_literal_or_shows(c));
        let mut outside = before.chars().filter(|&c| !is_policy_character(c));
        outside.next().or_else(|| path.chars().find(in_path))
    }
}

fn is_policy_character(c: char) -> bool {
    is_literal(c) || matches!(c, '*' | '?' | '/' | ':')
}

/// A character that has no meaning to RAM or to JSON in the path of a resource, and that is not invisible.
fn is_literal_or_shows(c: char) -> bool {
    let is_visible = if c.is_ascii() {
        c == ' ' || c.is_ascii_graphic()
    } else {
        !c.is_control() && !c.is_whitespace() && !is_format_or_private(c) && !is_invisible(c)
    };
    is_visible && !matches!(c, '*' | '?' | '"' | '\\' | '$' | '{' | '}')
}

fn has_percent_encoding(path: &str) -> bool {
    let mut after = path.split('%').skip(1).map(|after| after.bytes().take(2));
    after.any(|digits| digits.filter(u8::is_ascii_hexdigit).count() == 2)
}

/// Unicode's format characters, those for private use, and the other characters that are ignored when text is shown.
fn is_format_or_private(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{fdd0}'..='\u{fdef}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}'
    ) || u32::from(c) & 0xfffe == 0xfffe
}

fn is_object_key(raw: &str) -> bool {
    let is_admitted = |c: char| !c.is_control() && !matches!(c, '$' | '{' | '}' | '\u{fffd}');
    raw.len() <= ObjectKey::MAX_BYTES
        && !raw.starts_with('\\')
        && raw.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
        && raw.chars().all(is_admitted)
}

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
    fn a_key_has_no_variable_and_no_segment_that_a_client_resolves() {
        let long = "k".repeat(ObjectKey::MAX_BYTES);
        for good in ["a", "users/alice/a b+é.jpg", "a/...", "a\\b", "a*?", "100%", &long] {
            assert!(good.parse::<ObjectKey>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "\\a",
            ".",
            "a/..",
            "a/./b",
            "${filename}",
            "a$",
            "a{",
            "a}",
            "a\n",
            "a\u{85}",
            "\u{fffd}",
            &format!("{long}k"),
        ] {
            assert!(bad.parse::<ObjectKey>().is_err(), "{bad:?}");
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
    fn a_resource_without_wildcards_in_its_path_is_any_key_of_visible_characters() {
        let path = |path: &str| PolicyText::resource(&format!("acs:oss:*:*:{path}"));
        for raw in [
            "b/summer 2015/Alice's cat & dog #1 [a] 100%;<|>^`.jpg",
            "b/\u{1f600}",
            "b/Zoe\u{308}",
            "b/a:b",
            "b/東京/…",
        ] {
            assert!(path(raw).is_ok(), "{raw:?}");
        }
        for raw in [
            "b/${x}",
            "b/{",
            "b/\"",
            "b/a\\b",
            "b/\n",
            "b/\u{85}",
            "b/\u{200d}",
            "b/\u{202e}",
            "b/\u{fe0f}",
            "b/\u{a0}",
            "b/\u{e000}",
            "b/\u{10fffd}",
            "b/a b*",
            "b/%2A",
            "b/%%2f",
            "b/#?",
            "b/Zoe\u{308}*",
        ] {
            assert!(path(raw).is_err(), "{raw:?}");
        }
        for (raw, named) in [
            ("b/a\u{200b}", Some('\u{200b}')),
            ("b/a b*", Some(' ')),
            ("b/a $", Some('$')),
            ("b/%2A", None),
            ("b/Zoe\u{308}*", None),
        ] {
            let resource = format!("acs:oss:*:*:{raw}");
            assert_eq!(PolicyText::forbidden_character(&resource), named, "{raw:?}");
        }
        assert_eq!(PolicyText::forbidden_character("acs:oss:*: :b/a"), Some(' '));
        assert!(PolicyText::resource("acs:oss:*: :b/a").is_err());
        assert!(PolicyText::resource("acs:oss:* *").is_err());
    }

    #[test]
    fn no_accepted_character_of_a_resource_is_invisible() {
        let hidden =
            regex::Regex::new(r"[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Co}\p{Z}&&[^ ]]");
        let hidden = hidden.unwrap();
        let accepted =
            (0..=0x10_ffff).filter_map(char::from_u32).filter(|&c| is_literal_or_shows(c));
        let invisible: Vec<_> = accepted.filter(|c| hidden.is_match(&c.to_string())).collect();
        assert_eq!(invisible, Vec::<char>::new());
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
