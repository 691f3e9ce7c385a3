//! The state that replicas share of one session.

use std::time::Duration;

use super::lease::Lease;
use appserver_domain::Credentials;

/// A session's shared state, read in one call.
#[derive(Debug)]
pub(crate) struct SharedState {
    /// The last token that a replica fetched.
    pub(crate) token: Option<Shared<Credentials>>,
    /// The `Code` of a refusal that STS would repeat.
    pub(crate) refusal: Option<Shared<String>>,
    pub(crate) lease: LeaseState,
}

/// A value that expires.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    pub(crate) value: T,
    /// The remaining lifetime, from the time of the read.
    pub(crate) left: Duration,
}

/// Who holds the lease to fetch the token.
#[derive(Debug)]
pub(crate) enum LeaseState {
    Free,
    Ours(Lease),
    /// Another replica, which loses it after this time unless it renews it.
    OtherReplica(Duration),
}
