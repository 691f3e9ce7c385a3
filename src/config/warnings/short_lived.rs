//! Tokens that SDKs would discard as soon as they receive them.

use std::time::Duration;

use crate::config::problems::Problem;
use crate::grant::Grants;
use crate::vend::Freshness;

/// SDKs that discard tokens early, and with how many seconds left. Source: the SDKs' code.
const DISCARDING: [(u64, &str); 2] =
    [(900, "the Java, Python and Node credentials SDKs"), (300, "the Android and iOS OSS SDKs")];

/// Grants whose tokens may be handed out with so little time left that SDKs discard them and request another at every use.
pub(in crate::config) fn short_lived(grants: &Grants, freshness: &Freshness) -> Vec<Problem> {
    let mut found: Vec<_> = grants
        .entitlements
        .values()
        .filter(|entitlement| entitlement.vends_tokens())
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
