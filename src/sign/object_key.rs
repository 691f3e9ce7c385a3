//! The key of one object, for which a form or a URL is signed.

use appserver_domain::Invalid;

/// The longest key, in bytes of UTF-8.
const MOST_BYTES: usize = 1023;

/// The key of one object, such as `users/alice/cat.jpg`.
///
/// OSS expands `${filename}` in the key of a form after it has checked the form's policy, so no key has the characters of a
/// variable. Empty segments, `.` and `..` are resolved by some clients and not by OSS, which would then see another key than
/// the signed one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ObjectKey(String);

impl ObjectKey {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
        let is_admitted = |c: char| !c.is_control() && !matches!(c, '$' | '{' | '}' | '\u{fffd}');
        let is_key = raw.len() <= MOST_BYTES
            && !raw.starts_with('\\')
            && raw.split('/').all(is_segment)
            && raw.chars().all(is_admitted);
        is_key.then_some(Self(raw)).ok_or(Invalid(
            "an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\\`, \
             and no segment of it is empty, `.` or `..`",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_no_variable_and_no_segment_that_a_client_resolves() {
        let long = "k".repeat(MOST_BYTES);
        for good in ["a", "users/alice/a b+é.jpg", "a/...", "a\\b", "a*?", "100%", &long] {
            assert!(ObjectKey::try_from(good.to_owned()).is_ok(), "{good}");
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
            assert!(ObjectKey::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
