//! Limits of clients, of their users and of failures, resolved.

use std::num::NonZeroU32;

use serde::Deserialize;

use crate::config::bounds::number;
use crate::config::field::Field;
use crate::config::problems::Problems;
use crate::limit::{FailureSettings, Limit, LimitMode, LimitTerms, Per};

/// How many requests a client may make.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawLimit {
    /// Required, 1 to 100000. One beyond it is answered 429.
    pub(crate) requests_per_second: Field<NonZeroU32>,
    /// Default `requests_per_second`: so many may come at once after a pause.
    pub(crate) burst: Field<NonZeroU32>,
    /// `enforce` (default), or `shadow`: what is beyond it is only counted.
    pub(crate) mode: Field<LimitMode>,
}

/// How many requests each user of a client may make.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawSubjectLimit {
    /// Required, 1 to 100000. One beyond it is answered 429.
    pub(crate) requests_per_minute: Field<NonZeroU32>,
    /// Default `requests_per_minute`: so many may come at once after a pause.
    pub(crate) burst: Field<NonZeroU32>,
    /// `enforce` (default), or `shadow`: what is beyond it is only counted.
    pub(crate) mode: Field<LimitMode>,
}

/// How often authentication may fail.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawFailures {
    /// Default 300, 1 to 100000. Then requests from the address are answered 429.
    pub(crate) per_address_per_minute: Field<NonZeroU32>,
    /// Default 100, 1 to 100000: so many at once after a pause.
    pub(crate) per_address_burst: Field<NonZeroU32>,
    /// Default 60, 1 to 100000. Then failures in the client's name are answered 429.
    pub(crate) per_client_per_minute: Field<NonZeroU32>,
    /// Default 60, 1 to 100000: so many at once after a pause.
    pub(crate) per_client_burst: Field<NonZeroU32>,
    /// `enforce` (default), or `shadow`: what is beyond it is only counted.
    pub(crate) mode: Field<LimitMode>,
}

/// A client's limit at this path.
pub(crate) fn of_client(path: &str, raw: RawLimit, problems: &mut Problems) -> Option<Limit> {
    let rate = ("requests_per_second", raw.requests_per_second, Per::Second);
    limit(path, rate, raw.burst, raw.mode, problems)
}

/// The limit of each of a client's users at this path.
pub(crate) fn of_subjects(
    path: &str,
    raw: RawSubjectLimit,
    problems: &mut Problems,
) -> Option<Limit> {
    let rate = ("requests_per_minute", raw.requests_per_minute, Per::Minute);
    limit(path, rate, raw.burst, raw.mode, problems)
}

/// `[auth_failure_limit]`. Behind a proxy all connections come from it, so callers' addresses are not known.
pub(crate) fn of_failures(
    raw: RawFailures,
    addresses_known: bool,
    problems: &mut Problems,
) -> Option<FailureSettings> {
    let mut terms = |rate: (&str, _), burst: (&str, _)| {
        let requests =
            count(problems, format!("auth_failure_limit.{}", rate.0), rate.1, "failures");
        let burst = count(problems, format!("auth_failure_limit.{}", burst.0), burst.1, "failures");
        Some(LimitTerms { requests: requests?, per: Per::Minute, burst: burst? })
    };
    let address = terms(
        ("per_address_per_minute", raw.per_address_per_minute),
        ("per_address_burst", raw.per_address_burst),
    );
    let client = terms(
        ("per_client_per_minute", raw.per_client_per_minute),
        ("per_client_burst", raw.per_client_burst),
    );
    let mode = problems.require("auth_failure_limit.mode", raw.mode);
    let address = addresses_known.then_some(address?);
    Some(FailureSettings { mode: mode?, address, client: client? })
}

fn limit(
    path: &str,
    (key, rate, per): (&str, Field<NonZeroU32>, Per),
    burst: Field<NonZeroU32>,
    mode: Field<LimitMode>,
    problems: &mut Problems,
) -> Option<Limit> {
    let burst = match burst {
        Field::Absent => None,
        given => Some(count(problems, format!("{path}.burst"), given, "requests")),
    };
    let requests = count(problems, format!("{path}.{key}"), rate, "requests");
    let mode = problems.or(&format!("{path}.mode"), mode, LimitMode::Enforce);
    let terms = LimitTerms { requests: requests?, per, burst: burst.unwrap_or(requests)? };
    Some(Limit { terms, mode: mode? })
}

fn count(
    problems: &mut Problems,
    path: String,
    field: Field<NonZeroU32>,
    unit: &str,
) -> Option<NonZeroU32> {
    let [least, most] = [1, 100_000].map(|count| NonZeroU32::new(count).expect("it is not 0"));
    number(problems, &path, field, least, most, unit)
}
