//! The line of a grant that a reload added, removed or changed.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

/// Whether a caller may do more than before.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum Width {
    Wider,
    NotWider,
    /// It may be wider: the comparison does not say.
    Undecided,
}

/// What changed about one grant. Members that do not apply are left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GrantRecord<'a> {
    #[serde(serialize_with = "millis")]
    pub(crate) time: DateTime<Utc>,
    event: &'static str,
    /// `Added`, `Removed` or `Changed`.
    pub(crate) decision: &'static str,
    pub(crate) code: Width,
    pub(crate) grant: &'a str,
    /// SHA-256 of the template in its canonical form, before the reload and after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) template_sha256_before: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) template_sha256: Option<&'a str>,
    /// A request that only the new template allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) also_allows: Option<&'a str>,
    /// A request that only the old template allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) no_longer_allows: Option<&'a str>,
    /// The other changes in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
}

impl<'a> GrantRecord<'a> {
    pub(crate) fn new(
        time: DateTime<Utc>,
        decision: &'static str,
        code: Width,
        grant: &'a str,
    ) -> Self {
        Self {
            time,
            event: "Grant",
            decision,
            code,
            grant,
            template_sha256_before: None,
            template_sha256: None,
            also_allows: None,
            no_longer_allows: None,
            reason: None,
        }
    }

    /// The complete line; `tail` ends it.
    pub(super) fn line(&self, tail: &str) -> String {
        let mut line = serde_json::to_string(self).expect("texts are plain JSON");
        // The tail has the brace that ends the line.
        line.pop();
        line + tail
    }
}

pub(super) fn millis<S: serde::Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}
