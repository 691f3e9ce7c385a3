//! The rules for values that come from callers and credentials.

use std::collections::BTreeMap;
use std::fmt;

use appserver_domain::{Invalid, KeyPath, Segment, ValueName};

use crate::template::whole_pattern::{PatternProblem, WholePattern};

/// The rules that a grant declares for the values in its texts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ValueRules {
    /// The parameters of a request: each is required, and no other is accepted.
    pub params: BTreeMap<ValueName, ValueRule>,
    /// The claims that texts may use; one that no text uses is not required.
    pub claims: BTreeMap<ValueName, ValueRule>,
    /// The longest subject, in bytes, where it is a path segment of a policy.
    pub subject_max_bytes: usize,
}

/// The rule of one declared parameter or claim.
///
/// Whatever its pattern, a rule admits only segments or paths of [`Segment`]'s characters; its
/// [`Display`](fmt::Display) is the sentence shown to callers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ValueRule(Kind);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Kind {
    Text { shape: Shape, pattern: Option<WholePattern>, max_bytes: usize },
    OneOf(Vec<KeyPath>),
}

/// The part of an object key that a value may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// One segment.
    Segment,
    /// Some segments, joined by `/`.
    Path,
}

/// Why a rule is invalid.
#[derive(Debug, thiserror::Error)]
pub enum RuleProblem {
    #[error("the maximum length is 1 to {max} bytes", max = ValueRule::LONGEST)]
    Length,
    #[error(transparent)]
    Pattern(PatternProblem),
    #[error("there must be at least one value to choose from")]
    NoValues,
    #[error("value {position} breaks a rule")]
    Value {
        position: usize,
        #[source]
        rule: Invalid,
    },
    #[error("value {position} is longer than {max} bytes", max = ValueRule::LONGEST)]
    LongValue { position: usize },
}

impl ValueRule {
    /// OSS: an object key has at most 1023 bytes, so no longer value can be part of one.
    pub const LONGEST: usize = 1023;

    /// Any text of this shape up to a length in bytes, matched by the pattern as a whole.
    pub fn text(
        shape: Shape,
        pattern: Option<&str>,
        max_bytes: usize,
    ) -> Result<Self, RuleProblem> {
        if !(1..=Self::LONGEST).contains(&max_bytes) {
            return Err(RuleProblem::Length);
        }
        let pattern = pattern.map(str::parse).transpose().map_err(RuleProblem::Pattern)?;
        Ok(Self(Kind::Text { shape, pattern, max_bytes }))
    }

    /// The rule of a subject in a policy.
    pub(crate) fn subject(max_bytes: usize) -> Self {
        Self(Kind::Text { shape: Shape::Segment, pattern: None, max_bytes })
    }

    /// One of these values, each a segment or a path.
    pub fn one_of(values: &[String]) -> Result<Self, RuleProblem> {
        let value = |(i, raw): (usize, &String)| match raw.parse::<KeyPath>() {
            Err(rule) => Err(RuleProblem::Value { position: i + 1, rule }),
            Ok(value) if value.as_str().len() > Self::LONGEST => {
                Err(RuleProblem::LongValue { position: i + 1 })
            }
            Ok(value) => Ok(value),
        };
        if values.is_empty() {
            return Err(RuleProblem::NoValues);
        }
        Ok(Self(Kind::OneOf(values.iter().enumerate().map(value).collect::<Result<_, _>>()?)))
    }

    /// Whether the rule admits the value.
    pub(crate) fn admits(&self, raw: &str) -> bool {
        match &self.0 {
            Kind::Text { shape, pattern, max_bytes } => {
                raw.len() <= *max_bytes
                    && match shape {
                        Shape::Segment => raw.parse::<Segment>().is_ok(),
                        Shape::Path => raw.parse::<KeyPath>().is_ok(),
                    }
                    && pattern.as_ref().is_none_or(|pattern| pattern.matches(raw))
            }
            Kind::OneOf(values) => values.iter().any(|value| value.as_str() == raw),
        }
    }

    /// The values to choose from, if the rule lists them.
    pub(crate) fn choices(&self) -> Option<impl Iterator<Item = &str>> {
        match &self.0 {
            Kind::Text { .. } => None,
            Kind::OneOf(values) => Some(values.iter().map(KeyPath::as_str)),
        }
    }

    /// The length in bytes of the longest value.
    pub(crate) fn longest(&self) -> usize {
        match &self.0 {
            Kind::Text { max_bytes, .. } => *max_bytes,
            Kind::OneOf(values) => values.iter().map(|v| v.as_str().len()).max().unwrap_or(0),
        }
    }

    /// Whether every value is ASCII without capitals, so that no case folding makes two equal. Patterns are not
    /// analysed.
    pub(crate) fn is_lower_case(&self) -> bool {
        let lower = |c: char| c.is_ascii() && !c.is_ascii_uppercase();
        match &self.0 {
            Kind::Text { .. } => false,
            Kind::OneOf(values) => values.iter().all(|value| value.as_str().chars().all(lower)),
        }
    }

    /// Whether two values may differ in their number of segments.
    pub(crate) fn varies_in_depth(&self) -> bool {
        let depth = |value: &KeyPath| value.as_str().matches('/').count();
        match &self.0 {
            Kind::Text { shape, .. } => *shape == Shape::Path,
            Kind::OneOf(values) => values.iter().any(|value| depth(value) != depth(&values[0])),
        }
    }
}

impl fmt::Display for ValueRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Text { shape, pattern, max_bytes } => {
                let shape = match shape {
                    Shape::Segment => "one path segment",
                    Shape::Path => "path segments, joined by single `/`,",
                };
                write!(
                    f,
                    "{shape} of letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not `.` or \
                     `..`, at most {max_bytes} bytes"
                )?;
                match pattern {
                    Some(pattern) => write!(f, ", matching `{pattern}` as a whole"),
                    None => Ok(()),
                }
            }
            Kind::OneOf(values) => {
                let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
                write!(f, "one of {}", values.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(written: &str) -> Result<ValueRule, RuleProblem> {
        ValueRule::text(Shape::Segment, Some(written), 64)
    }

    #[test]
    fn a_pattern_matches_the_whole_value() {
        let year = pattern("[0-9]{4}|latest").unwrap();
        assert!(year.admits("2015") && year.admits("latest"));
        for bad in ["02015", "20151", "2015x", "xlatest", ""] {
            assert!(!year.admits(bad), "{bad}");
        }
    }

    #[test]
    fn a_pattern_cannot_undo_its_anchors() {
        for bad in ["a)|(?:b", "(", "a)", "(?x)a # b"] {
            assert!(matches!(pattern(bad), Err(RuleProblem::Pattern(_))), "{bad}");
        }
        for (bad, shown) in [("(", "(\n"), ("[z-a]", "[z-a]\n"), ("(?x)a # b", "leave out the `#`")]
        {
            let RuleProblem::Pattern(error) = pattern(bad).unwrap_err() else { panic!("{bad}") };
            let error = std::error::Error::source(&error).unwrap().to_string();
            assert!(error.contains(shown) && !error.contains("^(?:"), "{error}");
        }
        let multiline = pattern("(?m)a$").unwrap();
        assert!(multiline.admits("a") && !multiline.admits("a\nb"));
    }

    #[test]
    fn a_pattern_widens_nothing() {
        let any = ValueRule::text(Shape::Path, Some("(?s).*"), 64).unwrap();
        for bad in ["*", "a/../b", "a?", "a//b", "/a", "%2F", "${x}", ""] {
            assert!(!any.admits(bad), "{bad}");
        }
    }

    #[test]
    fn a_pattern_that_would_take_much_memory_is_refused() {
        assert!(matches!(pattern(r"\w{1000}{1000}"), Err(RuleProblem::Pattern(_))));
    }

    #[test]
    fn the_length_is_counted_in_bytes() {
        let rule = ValueRule::text(Shape::Segment, None, 4).unwrap();
        assert!(rule.admits("éé") && rule.admits("abcd") && !rule.admits("ééé"));
    }

    #[test]
    fn lengths_that_no_key_has_are_refused() {
        for bad in [0, 1024, usize::MAX] {
            let rule = ValueRule::text(Shape::Path, None, bad);
            assert!(matches!(rule, Err(RuleProblem::Length)), "{bad}");
        }
    }

    #[test]
    fn values_to_choose_from_are_paths_themselves() {
        let one_of = |values: &[&str]| {
            let values: Vec<_> = values.iter().map(ToString::to_string).collect();
            ValueRule::one_of(&values)
        };
        assert!(one_of(&["thumbs", "raw/2015"]).unwrap().admits("raw/2015"));
        assert!(!one_of(&["thumbs", "raw/2015"]).unwrap().admits("raw"));
        assert!(matches!(one_of(&[]), Err(RuleProblem::NoValues)));
        assert!(matches!(one_of(&["a", "*"]), Err(RuleProblem::Value { position: 2, .. })));
        assert!(one_of(&[&"x".repeat(1023)]).is_ok());
        let long = "x".repeat(1024);
        assert!(matches!(one_of(&[&long]), Err(RuleProblem::LongValue { position: 1 })));
    }

    #[test]
    fn rules_are_equal_if_they_are_written_equally() {
        assert_eq!(pattern("[a-z]+").unwrap(), pattern("[a-z]+").unwrap());
        assert_ne!(pattern("[a-z]+").unwrap(), pattern("[a-z]*").unwrap());
    }

    #[test]
    fn a_rule_says_what_it_wants() {
        assert_eq!(
            pattern("[a-z]+").unwrap().to_string(),
            "one path segment of letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not `.` or \
             `..`, at most 64 bytes, matching `[a-z]+` as a whole"
        );
        let sizes = ValueRule::one_of(&["small".to_owned(), "large".to_owned()]).unwrap();
        assert_eq!(sizes.to_string(), "one of `small`, `large`");
    }
}
