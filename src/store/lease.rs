//! Who fetches a token for all replicas.

use rand::distr::{Alphanumeric, SampleString};

use super::name::Name;

/// The right to fetch a session's token. It ends by itself, so a replica that dies with it keeps others waiting for
/// no longer than that.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(super) name: Name,
    /// Tells this lease from every other: a replica that was slow must not give back another's.
    pub(super) id: String,
}

impl Lease {
    pub(super) fn new_id() -> String {
        Alphanumeric.sample_string(&mut rand::rng(), 22)
    }
}
