//! `[sts]`: the Security Token Service.

use serde::Deserialize;

use super::identity::RawIdentity;
use crate::config::bounds::{Attempts, Bounded, Millis};
use crate::config::field::{Clearable, Field, List};
use crate::config::problems::Problems;
use crate::sts::{Endpoint, Endpoints, Region, StsSettings};

#[derive(Debug, Deserialize)]
pub(crate) struct RawSts {
    /// Tried in turn. Default: the region's endpoint, or `https://sts.aliyuncs.com`.
    endpoints: Field<List<Endpoint>>,
    /// Such as `cn-hangzhou`. Excludes `endpoints`.
    region: Field<Clearable<Region>>,
    /// Default false. Uses the region's endpoint inside the VPC.
    vpc: Field<bool>,
    /// Default 2000. Then the next endpoint is tried.
    connect_timeout_ms: Field<Millis<10, 60_000>>,
    /// Default 5000. Then the attempt counts as failed.
    attempt_timeout_ms: Field<Millis<10, 60_000>>,
    /// Default 4. Then the caller is answered 503.
    max_attempts: Field<Bounded<Attempts, 1, 20>>,
    pub(crate) identity: RawIdentity,
}

pub(crate) fn resolve(raw: RawSts, problems: &mut Problems) -> Option<StsSettings> {
    // The rules on keys together apply only if each of them is valid.
    let is_invalid = raw.region.is_invalid() || raw.endpoints.is_invalid();
    let vpc = problems.require(raw.vpc).unwrap_or_default();
    let region = problems.take_set(raw.region);
    let listed = problems.items(raw.endpoints);
    let endpoints = match (Endpoints::try_from(listed).ok(), region) {
        (Some(_), Some(_)) => {
            problems.add(
                "sts.endpoints",
                "give either `endpoints` or `region`, not both; an empty one clears what an earlier layer set",
            );
            None
        }
        (Some(_), None) if vpc => {
            problems
                .add("sts.vpc", "it goes with `sts.region`; `sts.endpoints` are used as written");
            None
        }
        (Some(endpoints), None) => Some(endpoints),
        (None, Some(region)) => Some(Endpoint::regional(&region, vpc).into()),
        (None, None) if is_invalid => None,
        (None, None) if vpc => {
            problems.add_absence("sts.vpc", "an endpoint inside a VPC needs `sts.region`");
            None
        }
        (None, None) => Some(Endpoint::default().into()),
    };
    let max_attempts = problems.require(raw.max_attempts);
    let connect_timeout = problems.require(raw.connect_timeout_ms);
    let attempt_timeout = problems.require(raw.attempt_timeout_ms);
    Some(StsSettings {
        endpoints: endpoints?,
        connect_timeout: connect_timeout?.into(),
        attempt_timeout: attempt_timeout?.into(),
        max_attempts: max_attempts?.non_zero(),
    })
}
