//! `[sts]`: the Security Token Service.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::identity::RawIdentity;
use super::upstreams::RawUpstream;
use crate::config::bounds::{Attempts, Bounded, Millis};
use crate::config::field::{Clearable, Field, List};
use crate::config::problems::Problems;
use crate::sts::{Endpoint, Endpoints, Region, StsSettings};
use appserver_domain::UpstreamName;

#[derive(Debug, Deserialize)]
pub(crate) struct RawSts {
    /// Tried in turn. Default: the region's endpoint, or `https://sts.aliyuncs.com`.
    endpoints: Field<List<Endpoint>>,
    /// Such as `cn-hangzhou`. Excludes `endpoints`.
    region: Field<Clearable<Region>>,
    /// Default false. Uses the region's endpoint inside the VPC.
    vpc: Field<bool>,
    /// Default 2000. Then the next endpoint is tried.
    pub(super) connect_timeout_ms: Field<Millis<10, 60_000>>,
    /// Default 5000. Then the attempt counts as failed.
    pub(super) attempt_timeout_ms: Field<Millis<10, 60_000>>,
    /// Default 4. Then the caller is answered 503.
    pub(super) max_attempts: Field<Bounded<Attempts, 1, 20>>,
    pub(crate) identity: RawIdentity,
    /// By names that the operator chooses.
    pub(crate) upstreams: BTreeMap<String, RawUpstream>,
}

/// The keys of `[sts]` and of each `[sts.upstreams.NAME]` about calls.
pub(super) struct RawCalls {
    pub(super) endpoints: Field<List<Endpoint>>,
    pub(super) region: Field<Clearable<Region>>,
    pub(super) vpc: Field<bool>,
    pub(super) connect_timeout_ms: Field<Millis<10, 60_000>>,
    pub(super) attempt_timeout_ms: Field<Millis<10, 60_000>>,
    pub(super) max_attempts: Field<Bounded<Attempts, 1, 20>>,
}

pub(crate) fn resolve(raw: RawSts, problems: &mut Problems) -> Option<StsSettings> {
    let RawSts {
        endpoints, region, vpc, connect_timeout_ms, attempt_timeout_ms, max_attempts, ..
    } = raw;
    let raw =
        RawCalls { endpoints, region, vpc, connect_timeout_ms, attempt_timeout_ms, max_attempts };
    calls(&UpstreamName::default(), raw, problems)
}

/// The settings of an upstream, of which each key has a value of its own or one that it inherits.
pub(super) fn calls(
    upstream: &UpstreamName,
    raw: RawCalls,
    problems: &mut Problems,
) -> Option<StsSettings> {
    let path = upstream.path();
    let at = |key: &str| format!("{path}.{key}");
    // The rules on keys together apply only if each of them is valid.
    let is_invalid = raw.region.is_invalid() || raw.endpoints.is_invalid();
    let vpc = problems.require(raw.vpc).unwrap_or_default();
    let region = problems.take_set(raw.region);
    let listed = problems.items(raw.endpoints);
    let endpoints = match (Endpoints::try_from(listed).ok(), region) {
        (Some(_), Some(_)) => {
            problems.add(
                at("endpoints"),
                "give either `endpoints` or `region`, not both; an empty one clears what an earlier layer set",
            );
            None
        }
        (Some(_), None) if vpc => {
            problems.add(
                at("vpc"),
                format!("it goes with `{path}.region`; `{path}.endpoints` are used as written"),
            );
            None
        }
        (Some(endpoints), None) => Some(endpoints),
        (None, Some(region)) => Some(Endpoint::regional(&region, vpc).into()),
        (None, None) if is_invalid => None,
        (None, None) if vpc => {
            problems
                .add_absence(at("vpc"), format!("an endpoint inside a VPC needs `{path}.region`"));
            None
        }
        (None, None) => Some(Endpoint::default().into()),
    };
    let max_attempts = problems.require(raw.max_attempts);
    let connect_timeout = problems.require(raw.connect_timeout_ms);
    let attempt_timeout = problems.require(raw.attempt_timeout_ms);
    Some(StsSettings {
        upstream: upstream.clone(),
        endpoints: endpoints?,
        connect_timeout: connect_timeout?.into(),
        attempt_timeout: attempt_timeout?.into(),
        max_attempts: max_attempts?.non_zero(),
    })
}
