//! `[sts]`, resolved.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use super::access_key::RawAccessKey;
use crate::config::bounds::number;
use crate::config::field::{Field, List};
use crate::config::problems::Problems;
use crate::sts::{Endpoint, Endpoints, Region, StsSettings};

/// The Security Token Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawSts {
    /// Tried in turn. Default: the region's endpoint, or `https://sts.aliyuncs.com`.
    pub(crate) endpoints: Field<List<Endpoint>>,
    /// Such as `cn-hangzhou`. Not together with `endpoints`.
    pub(crate) region: Field<String>,
    /// Default false. The region's endpoint inside the VPC.
    pub(crate) vpc: Field<bool>,
    /// Milliseconds, default 2000. Then the next endpoint is tried.
    pub(crate) connect_timeout_ms: Field<u64>,
    /// Milliseconds, default 5000. Then the attempt counts as failed.
    pub(crate) attempt_timeout_ms: Field<u64>,
    /// Default 4. Then the caller gets 503.
    pub(crate) max_attempts: Field<NonZeroU32>,
    pub(crate) access_key: RawAccessKey,
}

pub(crate) fn resolve(raw: RawSts, problems: &mut Problems) -> Option<StsSettings> {
    // What cannot be read may be what the others need.
    let is_invalid = raw.region.is_invalid() || raw.endpoints.is_invalid();
    let vpc = problems.require("sts.vpc", raw.vpc).unwrap_or_default();
    // Empty is how a later layer takes back what an earlier one set.
    let region = match raw.region {
        Field::Given(region) if region.is_empty() => None,
        region => problems.take("sts.region", region),
    };
    let names_region = region.is_some();
    let region = region.and_then(|text: String| {
        Region::try_from(text).map_err(|invalid| problems.add("sts.region", invalid)).ok()
    });
    let listed =
        problems.take("sts.endpoints", raw.endpoints).map_or_else(Vec::new, |List(list)| list);
    let is_invalid = is_invalid || (region.is_none() && names_region);
    let endpoints = match (Endpoints::try_from(listed).ok(), region) {
        (Some(_), Some(_)) => {
            problems.add("sts.endpoints", "give either `endpoints` or `region`, not both; an empty one takes back what an earlier \
                 layer set");
            None
        }
        (Some(_), None) if vpc => {
            problems
                .add("sts.vpc", "it goes with `sts.region`; `sts.endpoints` are taken as they are");
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
    let [least, most] = [1, 20].map(|attempts| NonZeroU32::new(attempts).expect("it is not 0"));
    let max_attempts =
        number(problems, "sts.max_attempts", raw.max_attempts, least, most, "attempts");
    let mut millis = |key: &str, field| {
        number(problems, key, field, 10, 60_000, "milliseconds").map(Duration::from_millis)
    };
    let connect_timeout = millis("sts.connect_timeout_ms", raw.connect_timeout_ms);
    let attempt_timeout = millis("sts.attempt_timeout_ms", raw.attempt_timeout_ms);
    Some(StsSettings {
        endpoints: endpoints?,
        connect_timeout: connect_timeout?,
        attempt_timeout: attempt_timeout?,
        max_attempts: max_attempts?,
    })
}
