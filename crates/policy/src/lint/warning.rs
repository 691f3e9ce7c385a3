//! A lint warning: a finding, its place in the policy, and the statement as it was probably meant.

use std::fmt;

use crate::document::tree::Statement;
use crate::lint::finding::Finding;

/// A finding, the place it is about, and the statement as it was probably meant.
#[derive(Debug)]
pub struct LintWarning {
    at: String,
    finding: Finding,
    corrected: Option<String>,
}

impl LintWarning {
    pub(crate) fn new(at: String, finding: Finding, corrected: Option<&Statement<String>>) -> Self {
        Self { at, finding, corrected: corrected.map(written) }
    }
}

impl LintWarning {
    /// Whether it is about uploads in parts, which only the holder of a token makes.
    pub fn is_about_uploads_in_parts(&self) -> bool {
        matches!(self.finding, Finding::Multipart { .. })
    }
}

impl fmt::Display for LintWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.finding)?;
        match &self.corrected {
            Some(corrected) => write!(f, "; perhaps {corrected}"),
            None => Ok(()),
        }
    }
}

fn written(statement: &Statement<String>) -> String {
    serde_json::to_string(statement).expect("strings, lists and maps of strings are always JSON")
}
