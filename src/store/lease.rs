//! The lease to fetch a session's token for all replicas.

use rand::distr::{Alphanumeric, SampleString};

use super::name::Name;

/// The right to fetch a session's token. It expires by itself, which bounds how long a replica that dies with it
/// delays the others.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(super) name: Name,
    /// Unique, so that a replica whose lease has expired cannot release that of another replica.
    pub(super) id: String,
}

impl Lease {
    pub(super) fn new_id() -> String {
        Alphanumeric.sample_string(&mut rand::rng(), 22)
    }
}
