//! What is known of a session among the replicas.

use std::time::Duration;

use super::lease::Lease;
use appserver_domain::Credentials;

/// One look at what replicas share of a session.
#[derive(Debug)]
pub(crate) struct SharedState {
    /// The last token that was fetched, and what is left of its life.
    pub(crate) token: Option<Shared<Credentials>>,
    /// The `Code` of a refusal that STS would repeat, and how long it is taken for the answer.
    pub(crate) refusal: Option<Shared<String>>,
    pub(crate) lease: LeaseState,
}

/// Something that is good for a while.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    pub(crate) value: T,
    pub(crate) left: Duration,
}

/// Who may fetch the token.
#[derive(Debug)]
pub(crate) enum LeaseState {
    Free,
    Ours(Lease),
    /// Another replica's, for so long if it is not prolonged.
    OtherReplica(Duration),
}
