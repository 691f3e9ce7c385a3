//! The names that callers may choose for their files.

use std::fmt;

use appserver_domain::Segment;
use appserver_policy::WholePattern;

/// The rule of `${name}` in the keys of a grant's uploads: a pattern of the operator's, or one plain path segment.
///
/// Whatever it admits, the key with the name must be an `ObjectKey`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NamePattern {
    Segment,
    Pattern(WholePattern),
}

impl NamePattern {
    pub(crate) fn admits(&self, name: &str) -> bool {
        match self {
            Self::Segment => name.parse::<Segment>().is_ok(),
            Self::Pattern(pattern) => !name.is_empty() && pattern.matches(name),
        }
    }

    /// The operator's.
    pub(crate) fn pattern(&self) -> Option<&WholePattern> {
        match self {
            Self::Segment => None,
            Self::Pattern(pattern) => Some(pattern),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment => f.write_str(
                "one path segment of letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not `.` or `..`",
            ),
            Self::Pattern(pattern) => write!(f, "a text that `{pattern}` matches as a whole"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_as_a_whole() {
        let images = NamePattern::Pattern("[a-z0-9-]{1,64}\\.(jpg|png)".parse().unwrap());
        for (name, admitted) in [
            ("cat.jpg", true),
            ("cat.jpg.html", false),
            ("../cat.jpg", false),
            ("Cat.jpg", false),
            ("cat.jpg\n", false),
            ("", false),
        ] {
            assert_eq!(images.admits(name), admitted, "{name:?}");
        }
        assert!(!NamePattern::Pattern(".*".parse().unwrap()).admits(""));
        for (name, admitted) in [
            ("IMG_0001.jpg", true),
            ("東京.png", true),
            ("a/b", false),
            ("..", false),
            ("a b", false),
        ] {
            assert_eq!(NamePattern::Segment.admits(name), admitted, "{name:?}");
        }
    }
}
