//! The state that handlers use: the parts that live as long as the server, and the configuration that a reload replaces.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::middleware::cors::Cors;
use super::v1::ticket_rules::TicketRules;
use crate::audit::Audit;
use crate::auth::Authenticator;
use crate::callback::{CallbackConfig, Callbacks};
use crate::decision::DecisionHook;
use crate::grant::Grants;
use crate::limit::{Failures, Limits};
use crate::revocation::Revocations;
use crate::server::TrustedProxies;
use crate::sts::StsClient;
use crate::telemetry::{Metrics, Traces};
use crate::vend::Vendors;
use appserver_domain::clock::Clock;

/// The state of the handlers of the public listener.
#[derive(Debug)]
pub(crate) struct Api {
    /// Replaced as a whole by a reload; each request keeps those that it began with.
    pub(crate) rules: ArcSwap<Rules>,
    pub(crate) vendors: Arc<Vendors<StsClient>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) audit: Audit,
    pub(crate) traces: Traces,
    pub(crate) callbacks: Arc<Callbacks>,
    /// Checked for each request, whatever rules it began with.
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) clock: Clock,
}

/// The configuration that a reload replaces. A request keeps one of these from beginning to end, even if another one is
/// loaded meanwhile.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) authenticator: Authenticator,
    pub(crate) limits: Limits,
    pub(crate) failures: Failures,
    pub(crate) grants: Grants,
    /// The proxies that may name the caller's address.
    pub(crate) proxies: TrustedProxies,
    /// Which web pages may read answers.
    pub(crate) cors: Cors,
    /// None where the service makes no tickets.
    pub(crate) tickets: Option<TicketRules>,
    /// None where no grant has a callback.
    pub(crate) callbacks: Option<Arc<CallbackConfig>>,
    /// None where no hook decides.
    pub(crate) decision: Option<Arc<DecisionHook>>,
    /// The longest time that a request may take, its body's arrival and STS included.
    pub(crate) request_timeout: Duration,
}
