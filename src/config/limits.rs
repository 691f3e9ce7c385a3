//! Limits of clients, of their users and of failures, resolved.

use std::num::NonZeroU32;

use super::field::Field;
use super::problems::Problems;
use super::raw::{RawFailures, RawLimit, RawSubjectLimit};
use super::resolve::number;
use crate::limit::{FailureSettings, Limit, LimitMode, LimitTerms, Per};

/// A client's limit at this path.
pub(super) fn of_client(path: &str, raw: RawLimit, problems: &mut Problems) -> Option<Limit> {
    let rate = ("requests_per_second", raw.requests_per_second, Per::Second);
    limit(path, rate, raw.burst, raw.mode, problems)
}

/// The limit of each of a client's users at this path.
pub(super) fn of_subjects(
    path: &str,
    raw: RawSubjectLimit,
    problems: &mut Problems,
) -> Option<Limit> {
    let rate = ("requests_per_minute", raw.requests_per_minute, Per::Minute);
    limit(path, rate, raw.burst, raw.mode, problems)
}

/// `[auth_failure_limit]`. Behind a proxy all connections come from it, so callers' addresses are not known.
pub(super) fn of_failures(
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
