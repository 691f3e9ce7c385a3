//! What is sound in a configuration and will still disappoint.

use std::path::Path;
use std::time::Duration;

use super::problems::Problem;
use crate::grant::Grants;
use crate::vend::Freshness;
use appserver_policy::GrantTemplate;

/// Who throws tokens away early, and with how many seconds left. Source: the SDKs' code.
const DISCARDING: [(u64, &str); 2] =
    [(900, "the Java, Python and Node credentials SDKs"), (300, "the Android and iOS OSS SDKs")];

/// Grants whose tokens come back at every use: a token may be handed out with no more left than what makes SDKs
/// throw it away and ask again.
pub(super) fn short_lived(grants: &Grants, freshness: &Freshness) -> Vec<Problem> {
    let mut found: Vec<_> = grants
        .entitlements
        .values()
        .filter_map(|entitlement| {
            let default = entitlement.durations.default();
            let least = freshness.least(Duration::from(default)).as_secs();
            let who: Vec<_> = DISCARDING
                .into_iter()
                .filter(|(discarded_at, _)| least <= *discarded_at)
                .map(|(discarded_at, who)| format!("{who} (with {discarded_at} s left)"))
                .collect();
            (!who.is_empty()).then(|| Problem {
                path: format!("grants.{}.default_duration_secs", entitlement.name),
                message: format!(
                    "tokens of {} s are handed out with as little as {least} s left; {} throw them away at once \
                     and ask again at every use. With 3600 s, and `vend.min_remaining_secs` left at 0, they keep them",
                    default.as_secs(),
                    who.join(" and "),
                ),
            })
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// What a grant's policy will not do as it was meant, and parameters that callers must send for nothing.
pub(super) fn of_template(grant: &str, file: &Path, template: &GrantTemplate) -> Vec<Problem> {
    let advice = template.lint_warnings().into_iter().map(|advice| Problem {
        path: format!("{grant}.policy"),
        message: format!("{}: {advice}", file.display()),
    });
    let unused = template.unused_parameters().map(|name| Problem {
        path: format!("{grant}.parameters.{name}"),
        message:
            "every request must bring it, and no text of the grant uses it: take it out, or use \
                  `${params.…}`"
                .to_owned(),
    });
    advice.chain(unused).collect()
}
