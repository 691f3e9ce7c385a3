//! The path of a claim in a token.

use std::fmt;

use serde::Deserialize;

use super::json::{Claims, Json};
use appserver_domain::Invalid;

/// A claim by its name, or a nested claim by its path, such as `/realm_access/roles`.
///
/// A path is a JSON Pointer (RFC 6901): names of claims contain dots, colons and whole URLs, so no plain separator is
/// safe. Whether it is a name or a path depends on its text alone, never on a token.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub(crate) struct ClaimPath {
    text: String,
    steps: Vec<String>,
}

impl ClaimPath {
    /// A claim of the token itself.
    pub(crate) fn named(name: &str) -> Self {
        Self { text: name.to_owned(), steps: vec![name.to_owned()] }
    }

    /// The path that was probably meant by a dotted name, as other products write paths. Names that are URLs contain
    /// dots, too.
    pub(crate) fn suggested_path(&self) -> Option<String> {
        let is_dotted = self.steps.len() == 1
            && !self.text.contains(['/', ':'])
            && self.text.split('.').all(|name| !name.is_empty())
            && self.text.contains('.');
        is_dotted.then(|| format!("/{}", self.text.replace('.', "/")))
    }

    /// The last name of the path.
    pub(super) fn name(&self) -> &str {
        self.steps.last().map_or("", String::as_str)
    }

    pub(super) fn find<'a>(&self, claims: &'a Claims) -> Option<&'a Json> {
        let (first, rest) = self.steps.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, step| value.member(step))
    }
}

impl TryFrom<String> for ClaimPath {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a claim is its name, or a path to one inside another such as `/realm_access/roles`, where `~1` stands for a \
             slash in a name and `~0` for a tilde",
        );
        let Some(path) = text.strip_prefix('/') else {
            return if text.is_empty() { Err(RULE) } else { Ok(Self::named(&text)) };
        };
        let step = |step: &str| {
            let plain = step.replace("~1", "").replace("~0", "");
            let good = !step.is_empty() && !plain.contains('~');
            good.then(|| step.replace("~1", "/").replace("~0", "~")).ok_or(RULE)
        };
        let steps = path.split('/').map(step).collect::<Result<_, _>>()?;
        Ok(Self { text, steps })
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
