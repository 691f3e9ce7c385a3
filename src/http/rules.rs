//! What a request is decided by.

use std::time::Duration;

use super::Cors;
use super::tickets::TicketRules;
use crate::auth::Authenticator;
use crate::grant::Grants;
use crate::limit::{Failures, Limits};
use crate::server::TrustedProxies;

/// All of the configuration that requests go by. A request keeps to one of these from its beginning to its end,
/// whatever is loaded meanwhile.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) authenticator: Authenticator,
    pub(crate) limits: Limits,
    pub(crate) failures: Failures,
    pub(crate) grants: Grants,
    /// Whose word for a caller's address is taken.
    pub(crate) proxies: TrustedProxies,
    /// Which web pages may read answers.
    pub(crate) cors: Cors,
    /// None where there are no tickets.
    pub(crate) tickets: Option<TicketRules>,
    /// How long a request may take in all, its body's arrival and STS included.
    pub(crate) request_timeout: Duration,
}
