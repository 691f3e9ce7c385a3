//! `[clients.X.limit]`, `[clients.X.subject_limit]` and `[auth_failure_limit]`, key by key.

use std::num::NonZeroU32;

use serde::Deserialize;

use crate::config::field::Field;
use crate::limit::LimitMode;

/// How many requests a client may make.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawLimit {
    /// Required, 1 to 100000. One beyond it is answered 429.
    pub(in crate::config) requests_per_second: Field<NonZeroU32>,
    /// Default `requests_per_second`: so many may come at once after a pause.
    pub(in crate::config) burst: Field<NonZeroU32>,
    /// `enforce` (default), or `shadow`: what is beyond it is only counted.
    pub(in crate::config) mode: Field<LimitMode>,
}

/// How many requests each user of a client may make.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawSubjectLimit {
    /// Required, 1 to 100000. One beyond it is answered 429.
    pub(in crate::config) requests_per_minute: Field<NonZeroU32>,
    /// Default `requests_per_minute`: so many may come at once after a pause.
    pub(in crate::config) burst: Field<NonZeroU32>,
    /// `enforce` (default), or `shadow`: what is beyond it is only counted.
    pub(in crate::config) mode: Field<LimitMode>,
}

/// How often authentication may fail.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawFailures {
    /// Default 300, 1 to 100000. Then requests from the address are answered 429.
    pub(in crate::config) per_address_per_minute: Field<NonZeroU32>,
    /// Default 100, 1 to 100000: so many at once after a pause.
    pub(in crate::config) per_address_burst: Field<NonZeroU32>,
    /// Default 60, 1 to 100000. Then failures in the client's name are answered 429.
    pub(in crate::config) per_client_per_minute: Field<NonZeroU32>,
    /// Default 60, 1 to 100000: so many at once after a pause.
    pub(in crate::config) per_client_burst: Field<NonZeroU32>,
    /// `enforce` (default), or `shadow`: what is beyond it is only counted.
    pub(in crate::config) mode: Field<LimitMode>,
}
