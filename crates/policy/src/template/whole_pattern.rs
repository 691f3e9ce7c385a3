//! Regular expressions of operators, which match a text as a whole.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// A regular expression that matches a text as a whole or not at all.
#[derive(Clone, Debug)]
pub struct WholePattern {
    /// As the operator wrote it.
    written: String,
    /// The same between `^(?:` and `)$`.
    anchored: Regex,
}

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("the pattern is no regular expression, or too large a one")]
pub struct PatternProblem(#[source] regex::Error);

/// The problem of a pattern that is valid alone and not when it is anchored.
const OPEN_END: &str =
    "a comment goes on beyond the pattern's end: leave out the `#` comment that `(?x)` allows";

impl WholePattern {
    /// Whether it matches the whole text.
    pub fn matches(&self, text: &str) -> bool {
        self.anchored.is_match(text)
    }

    /// The expression that only matches from the beginning of a text to its end.
    pub(crate) fn anchored(&self) -> &str {
        self.anchored.as_str()
    }
}

impl std::str::FromStr for WholePattern {
    type Err = PatternProblem;

    /// The pattern is first compiled without anchors: `a)|(?:b` is valid only between them, and would undo them.
    fn from_str(written: &str) -> Result<Self, PatternProblem> {
        // Unicode classes with counts, such as `\w{1,64}`, take some 100 KiB; nothing sane takes 1 MiB.
        let compile = |text: &str| RegexBuilder::new(text).size_limit(1 << 20).build();
        compile(written).map_err(PatternProblem)?;
        let anchored = compile(&format!("^(?:{written})$")).map_err(|error| match error {
            // Its message would show a text that the operator did not write.
            regex::Error::Syntax(_) => regex::Error::Syntax(OPEN_END.to_owned()),
            other => other,
        });
        Ok(Self { written: written.to_owned(), anchored: anchored.map_err(PatternProblem)? })
    }
}

impl fmt::Display for WholePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl PartialEq for WholePattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for WholePattern {}
