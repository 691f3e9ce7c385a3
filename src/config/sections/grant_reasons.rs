//! What a grant may have only with a reason for its reviewers: a broad policy, and objects that its callers share.

use serde::Deserialize;

use crate::config::field::{Field, List};
use crate::config::problems::Problems;
use appserver_policy::{Breadth, SharedResource};

/// Objects that callers of a grant may share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSharedResource {
    resource: String,
    /// Required; one that is absent is reported as an empty one is.
    reason: Option<String>,
}

/// Whether a text can be a reason for a reviewer. A variable's `true` is text, too.
pub(super) fn is_reason(reason: &str) -> bool {
    let reason = reason.trim().to_ascii_lowercase();
    let flags = ["true", "false", "yes", "no", "on", "off"];
    reason.contains(char::is_alphabetic) && !flags.contains(&reason.as_str())
}

/// What may be shared, or `None` if an entry is invalid.
pub(super) fn allowed_sharing(
    path: &str,
    entries: Field<List<RawSharedResource>>,
    problems: &mut Problems,
) -> Option<Vec<SharedResource>> {
    let List(entries) = problems.or(entries, List(Vec::new()))?;
    let entry = |RawSharedResource { resource, reason }| {
        if !reason.is_some_and(|reason| is_reason(&reason)) {
            problems.add(path, format!("`{resource}`: say in `reason` why callers may share it"));
            return None;
        }
        let parsed = resource.parse::<SharedResource>();
        parsed.map_err(|problem| problems.add(path, format!("`{resource}`: {problem}"))).ok()
    };
    let parsed: Vec<_> = entries.into_iter().map(entry).collect();
    parsed.into_iter().collect()
}

pub(super) fn breadth(
    path: &str,
    allow_broad: Field<bool>,
    reason: Field<String>,
    problems: &mut Problems,
) -> Option<Breadth> {
    let allowed = problems.or(allow_broad, false);
    let reason = problems.or(reason, String::new());
    let reason = reason?;
    match (allowed?, reason.trim().is_empty()) {
        (false, true) => Some(Breadth::Narrow),
        (true, false) if is_reason(&reason) => Some(Breadth::Broad),
        (true, _) => {
            problems.add(
                format!("{path}.allow_broad_reason"),
                "say why the grant may allow actions or buckets that its policy does not name",
            );
            None
        }
        (false, false) => {
            problems.add(
                format!("{path}.allow_broad_reason"),
                "a reason goes with `allow_broad = true` only",
            );
            None
        }
    }
}
