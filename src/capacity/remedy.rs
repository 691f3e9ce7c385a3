//! What to change when STS's quota does not suffice, and how much that saves.

use super::fleet::{Fleet, GrantMix};
use super::plan::{self, Rate};

/// The longest session of any role.
const LONGEST_TOKEN_SECS: u32 = 43_200;

/// A change, by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remedy {
    pub(crate) kind: RemedyKind,
    /// Calls of STS that are needed after it.
    pub(crate) needed: Rate,
    /// Whether the budget then covers the busiest minute.
    pub(crate) suffices: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RemedyKind {
    /// One grant has one token for all users instead of one for each.
    ShareGrant,
    LongerTokens {
        secs: u32,
    },
    /// `vend.budget.refresh_percent = 0`
    NoRefreshAhead,
    /// One grant of users signs uploads instead.
    UploadGrant,
    /// The least quota with which nobody waits.
    Quota {
        calls_per_second: u32,
    },
}

impl Remedy {
    /// All that apply, in the order in which to try them; none if the budget covers what is needed.
    pub(super) fn all(fleet: &Fleet, needed: Rate, budget: f64) -> Vec<Self> {
        if needed.peak <= budget {
            return Vec::new();
        }
        let grants = fleet.grants();
        let fewer = |grants: GrantMix| {
            (grants.user > 0).then_some(GrantMix { user: grants.user.saturating_sub(1), ..grants })
        };
        let shared = fewer(grants).map(|rest| GrantMix { shared: rest.shared + 1, ..rest });
        let upload = fewer(grants).map(|rest| GrantMix { upload: rest.upload + 1, ..rest });
        let is_short = fleet.token_secs() < LONGEST_TOKEN_SECS;
        let longer = is_short.then(|| fleet.with_token_secs(LONGEST_TOKEN_SECS));
        let changes = [
            shared.map(|grants| (RemedyKind::ShareGrant, fleet.with_grants(grants), true)),
            longer
                .map(|fleet| (RemedyKind::LongerTokens { secs: LONGEST_TOKEN_SECS }, fleet, true)),
            Some((RemedyKind::NoRefreshAhead, *fleet, false)),
            upload.map(|grants| (RemedyKind::UploadGrant, fleet.with_grants(grants), true)),
        ];
        let mut remedies: Vec<_> = changes
            .into_iter()
            .flatten()
            .map(|(kind, fleet, refreshes)| {
                let needed = plan::needed(&fleet, refreshes);
                Self { kind, needed, suffices: needed.peak <= budget }
            })
            .collect();
        let calls_per_second = plan::quota_for(needed.peak);
        remedies.push(Self {
            kind: RemedyKind::Quota { calls_per_second },
            needed,
            suffices: true,
        });
        remedies
    }
}
