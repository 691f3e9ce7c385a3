//! What to change when STS's quota does not suffice, how much that saves, and what it costs.

use super::fleet::{Fleet, GrantMix};
use super::memory::ReplicaMemory;
use super::plan::{CapacityPlan, Rate};
use super::quota::Quota;

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
    /// With the calls that are then made.
    pub(crate) memory: ReplicaMemory,
    pub(crate) redis_tokens: f64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RemedyKind {
    /// One of so many grants of users has one token for all users instead of one for each.
    ShareGrant {
        of: u32,
    },
    /// One grant replaces so many grants of users.
    MergeGrants {
        of: u32,
    },
    LongerTokens {
        secs: u32,
    },
    /// `vend.budget.refresh_percent = 0`
    NoRefreshAhead,
    /// One of so many grants of users signs uploads instead.
    UploadGrant {
        of: u32,
    },
    /// The least quota with which nobody waits.
    Quota(Quota),
}

impl Remedy {
    /// All that apply, in the order in which to try them; none if the budget covers what is needed.
    pub(super) fn all(fleet: &Fleet, plan: &CapacityPlan) -> Vec<Self> {
        if plan.suffices() {
            return Vec::new();
        }
        let grants = fleet.grants();
        let GrantMix { user: of, shared, upload } = grants;
        let fewer = GrantMix { user: of.saturating_sub(1), ..grants };
        let with = |grants| fleet.with_grants(grants);
        let mut changes = Vec::new();
        if of > 0 {
            let shared = GrantMix { shared: shared + 1, ..fewer };
            changes.push((RemedyKind::ShareGrant { of }, with(shared)));
        }
        if of > 1 {
            changes.push((RemedyKind::MergeGrants { of }, with(GrantMix { user: 1, ..grants })));
        }
        if fleet.token_secs() < LONGEST_TOKEN_SECS {
            let kind = RemedyKind::LongerTokens { secs: LONGEST_TOKEN_SECS };
            changes.push((kind, fleet.with_token_secs(LONGEST_TOKEN_SECS)));
        }
        if fleet.refresh_share() > 0.0 {
            changes.push((RemedyKind::NoRefreshAhead, fleet.with_refresh_percent(0)));
        }
        if of > 0 {
            let upload = GrantMix { upload: upload + 1, ..fewer };
            changes.push((RemedyKind::UploadGrant { of }, with(upload)));
        }
        let changed = changes.into_iter().map(|(kind, fleet)| {
            Self::new(kind, &CapacityPlan::without_remedies(&fleet, plan.quota))
        });
        let quota = Quota::allowing(plan.needed.peak);
        let raised = CapacityPlan::without_remedies(fleet, quota);
        changed.chain([Self::new(RemedyKind::Quota(quota), &raised)]).collect()
    }

    fn new(kind: RemedyKind, changed: &CapacityPlan) -> Self {
        Self {
            kind,
            needed: changed.needed,
            suffices: changed.suffices(),
            memory: changed.memory,
            redis_tokens: changed.redis_tokens,
        }
    }
}
