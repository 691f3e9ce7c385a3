//! `[clients.X.limit]`, `[clients.X.subject_limit]` and `[auth_failure_limit]`.

use std::num::NonZeroU32;

use serde::Deserialize;

use crate::config::bounds::{Bounded, Failures, Requests};
use crate::config::field::Field;
use crate::config::problems::Problems;
use crate::limit::{FailureSettings, Limit, LimitMode, LimitTerms, Per};

type RequestCount = Bounded<Requests, 1, 100_000>;
type FailureCount = Bounded<Failures, 1, 100_000>;

/// A limit on a client's requests.
#[derive(Debug, Deserialize)]
pub(crate) struct RawLimit {
    /// Required. A request beyond it is answered 429.
    requests_per_second: Field<RequestCount>,
    /// Default `requests_per_second`. Requests that may come at once after a pause.
    burst: Field<RequestCount>,
    /// `enforce` (default), or `shadow`: requests beyond it are only counted.
    mode: Field<LimitMode>,
}

/// A limit on the requests of each user of a client.
#[derive(Debug, Deserialize)]
pub(crate) struct RawSubjectLimit {
    /// Required. A request beyond it is answered 429.
    requests_per_minute: Field<RequestCount>,
    /// Default `requests_per_minute`. Requests that may come at once after a pause.
    burst: Field<RequestCount>,
    /// `enforce` (default), or `shadow`: requests beyond it are only counted.
    mode: Field<LimitMode>,
}

/// Limits on failed authentications.
#[derive(Debug, Deserialize)]
pub(crate) struct RawFailures {
    /// Default 300. Then requests from the address are answered 429.
    per_address_per_minute: Field<FailureCount>,
    /// Default 100. Failures that may come at once after a pause.
    per_address_burst: Field<FailureCount>,
    /// Default 60. Then failures in the client's name are answered 429.
    per_client_per_minute: Field<FailureCount>,
    /// Default 60. Failures that may come at once after a pause.
    per_client_burst: Field<FailureCount>,
    /// `enforce` (default), or `shadow`: failures beyond it are only counted.
    mode: Field<LimitMode>,
}

pub(crate) fn of_client(raw: RawLimit, problems: &mut Problems) -> Option<Limit> {
    limit((raw.requests_per_second, Per::Second), raw.burst, raw.mode, problems)
}

pub(crate) fn of_subjects(raw: RawSubjectLimit, problems: &mut Problems) -> Option<Limit> {
    limit((raw.requests_per_minute, Per::Minute), raw.burst, raw.mode, problems)
}

/// The limits of failures. Without `addresses_known`, every connection has the proxy's address, and addresses have no limit.
pub(crate) fn of_failures(
    raw: RawFailures,
    addresses_known: bool,
    problems: &mut Problems,
) -> Option<FailureSettings> {
    let mut terms = |rate: Field<FailureCount>, burst: Field<FailureCount>| {
        let (requests, burst) = (problems.require(rate), problems.require(burst));
        Some(per_minute(requests?.non_zero(), burst?.non_zero()))
    };
    let address = terms(raw.per_address_per_minute, raw.per_address_burst);
    let client = terms(raw.per_client_per_minute, raw.per_client_burst);
    let mode = problems.require(raw.mode);
    let address = addresses_known.then_some(address?);
    Some(FailureSettings { mode: mode?, address, client: client? })
}

fn per_minute(requests: NonZeroU32, burst: NonZeroU32) -> LimitTerms {
    LimitTerms { requests, per: Per::Minute, burst }
}

fn limit(
    (rate, per): (Field<RequestCount>, Per),
    burst: Field<RequestCount>,
    mode: Field<LimitMode>,
    problems: &mut Problems,
) -> Option<Limit> {
    let requests = problems.require(rate).map(Bounded::non_zero);
    let has_burst = !burst.is_absent();
    let burst = problems.take(burst).map(Bounded::non_zero);
    let mode = problems.or(mode, LimitMode::Enforce);
    let burst = if has_burst { burst? } else { requests? };
    Some(Limit { terms: LimitTerms { requests: requests?, per, burst }, mode: mode? })
}
