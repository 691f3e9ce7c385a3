//! Matches patterns against names of resources.

use crate::matching::pattern::Pattern;

/// A pattern over names such as `acs:oss:oss-cn-hangzhou:11223344:sample-bucket/2015/grass.jpg`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ResourcePattern<'a> {
    /// Fewer fields than a name has, such as `*` or `acs:oss:*`: its last wildcard covers the rest.
    Short(Pattern<'a>),
    /// `acs:<service>:<region>:<account>:<path>`, matched field by field, so that a `*` for the region cannot
    /// swallow the colon after it.
    Fields([Pattern<'a>; FIELDS]),
}

/// The number of fields in a resource's name; the last one, the path, may contain colons.
const FIELDS: usize = 5;

impl<'a> ResourcePattern<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        match fields(text) {
            Some(fields) => Self::Fields(fields.map(Pattern)),
            None => Self::Short(Pattern(text)),
        }
    }

    pub(crate) fn matches(self, name: &str) -> bool {
        match (self, fields(name)) {
            (Self::Short(pattern), _) => pattern.matches(name),
            (Self::Fields(patterns), Some(fields)) => {
                patterns.into_iter().zip(fields).all(|(pattern, field)| pattern.matches(field))
            }
            (Self::Fields(_), None) => false,
        }
    }

    /// Whether this pattern matches everything that `narrower` matches.
    ///
    /// The result holds field by field and for the whole text, because RAM does not document whether a `*` may cross a
    /// colon: patterns that contain each other field by field do so when joined. A short pattern is never contained in
    /// one with all fields: a caller must write it in full.
    pub(crate) fn contains(text: &'a str, narrower: &str) -> bool {
        match (Self::new(text), ResourcePattern::new(narrower)) {
            (Self::Short(wide), _) => wide.contains(Pattern(narrower)),
            (Self::Fields(wide), ResourcePattern::Fields(narrow)) => {
                wide.into_iter().zip(narrow).all(|(wide, narrow)| wide.contains(narrow))
            }
            (Self::Fields(_), ResourcePattern::Short(_)) => false,
        }
    }

    /// Whether some name matches both, field by field.
    pub(crate) fn intersects(one: &'a str, other: &str) -> bool {
        match (Self::new(one), ResourcePattern::new(other)) {
            (Self::Fields(ours), ResourcePattern::Fields(theirs)) => {
                ours.into_iter().zip(theirs).all(|(ours, theirs)| ours.intersects(theirs))
            }
            (Self::Short(_), _) | (_, ResourcePattern::Short(_)) => {
                Pattern(one).intersects(Pattern(other))
            }
        }
    }
}

/// The fields of a name, or of a pattern that has all of them.
pub(crate) fn fields(name: &str) -> Option<[&str; FIELDS]> {
    name.splitn(FIELDS, ':').collect::<Vec<_>>().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_spans_slashes_and_stays_in_its_field() {
        let matches = |pattern: &str, name: &str| ResourcePattern::new(pattern).matches(name);
        let grass = "acs:oss:oss-cn-hangzhou:11223344:sample-bucket/2015/grass.jpg";
        for pattern in
            ["*", "acs:oss:*", "acs:oss:*:*:*", "acs:oss:*:11223344:sample-bucket/*.jpg", grass]
        {
            assert!(matches(pattern, grass), "{pattern}");
        }
        for pattern in [
            "acs:oss:*:1:sample-bucket/*",
            "acs:oss:*:*:sample-bucket",
            "acs:oss:*:*:Sample-bucket/*",
            "acs:ram:*",
        ] {
            assert!(!matches(pattern, grass), "{pattern}");
        }
        assert!(!matches("acs:oss:*:*:mine/*", "acs:oss:r:1:other/x:mine/y"));
        assert!(matches("acs:oss:*:*:mine/*", "acs:oss:r:1:mine/x:y"));
        assert!(!matches("acs:oss:*:*:*", "sample-bucket"));
    }

    #[test]
    fn containment_holds_whether_or_not_a_star_crosses_colons() {
        let contains = ResourcePattern::contains;
        let own = "acs:oss:*:*:mine/*";
        for narrow in ["acs:oss:*:*:mine/*", "acs:oss:r:1:mine/a/*", "acs:oss:*:?:mine/a:b"] {
            assert!(contains(own, narrow), "{narrow}");
        }
        for beyond in [
            "*",
            "acs:*",
            "acs:oss:*",
            "acs:oss:*:*",
            "acs:oss:*:*:*",
            "acs:oss:*:*:mine*",
            "acs:oss:*:*:mine",
            "acs:*:*:*:mine/*",
            "acs:oss:*:*:other/x:mine/y",
            "acs:oss:*:*:*:mine/y",
        ] {
            assert!(!contains(own, beyond), "{beyond}");
        }
        for (short, narrow) in [("*", own), ("acs:oss:*", own), ("acs:oss:*", "acs:oss:*:*")] {
            assert!(contains(short, narrow), "{short} {narrow}");
        }
        // True, but only of names that exist, which the texts do not show.
        assert!(!contains("acs:oss:*:*:*", "acs:oss:*"));
    }
}
