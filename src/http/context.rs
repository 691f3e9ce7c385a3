//! What is known of one request while it is answered: its id, its deadline, and what its log lines name.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderValue};
use tokio::time::Instant;
use tracing::field::DisplayValue;
use uuid::fmt::Hyphenated;

use super::rules::Rules;
use crate::auth::{Caller, TicketId};
use crate::grant::TokenParams;
use crate::server::Peer;
use appserver_domain::{ClientId, GrantName, IssuerName, Subject};

/// The main route.
pub(super) const TOKEN_ROUTE: &str = "/v1/token";
/// Where tickets are made.
pub(super) const TICKETS_ROUTE: &str = "/v1/tickets";
/// The route that answers 200 whatever happens: the stock Android provider loses the body of a 4xx.
pub(super) const OSS_SDK_ROUTE: &str = "/v1/oss-sdk/token";

/// Names one request in its answer, in the log and to support.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId([u8; Hyphenated::LENGTH]);

/// One request. Its span is only for who debugs, so what the log tells of a failure is kept here.
#[derive(Debug)]
pub(crate) struct Context {
    pub(super) id: RequestId,
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) peer: Arc<Peer>,
    /// The caller's: the peer's own, or what a trusted proxy says.
    pub(super) address: IpAddr,
    /// What it is decided by.
    pub(super) rules: Arc<Rules>,
    pub(super) started: Instant,
    /// When it must be answered.
    pub(super) deadline: Instant,
    who: OnceLock<Who>,
    grant: OnceLock<GrantName>,
    sought: OnceLock<String>,
    ticket: OnceLock<TicketId>,
    /// The audit's: whether a line is on its way that says that it was handed something.
    pub(super) is_granted: AtomicBool,
}

/// Whose request it is.
#[derive(Debug)]
struct Who {
    client: ClientId,
    /// The rest is of one that has proven itself.
    method: Option<&'static str>,
    issuer: Option<IssuerName>,
    subject: Option<Subject>,
}

impl RequestId {
    /// Made by us for each request; one that a caller sends is not taken over, so that logs cannot be forged.
    fn fresh() -> Self {
        // The thread's own generator: uuid's asks the system each time.
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let mut text = [0; Hyphenated::LENGTH];
        id.hyphenated().encode_upper(&mut text);
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a UUID is ASCII")
    }

    pub(super) fn to_header(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("a UUID is a header value")
    }
}

impl Context {
    pub(super) fn of(request: &Request, peer: Arc<Peer>, rules: Arc<Rules>) -> Arc<Self> {
        let started = Instant::now();
        Arc::new(Self {
            id: RequestId::fresh(),
            method: method_of(request),
            route: route_of(request),
            address: rules.proxies.client_address(peer.address(), request.headers()),
            peer,
            started,
            deadline: started + rules.request_timeout,
            rules,
            who: OnceLock::new(),
            grant: OnceLock::new(),
            sought: OnceLock::new(),
            ticket: OnceLock::new(),
            is_granted: AtomicBool::new(false),
        })
    }

    /// What `observe` gave the request.
    pub(super) fn within(extensions: &Extensions) -> &Arc<Self> {
        extensions.get().expect("every route is behind `observe`")
    }

    /// The caller's address for the log, where it is another than the peer's.
    pub(super) fn forwarded(&self) -> Option<DisplayValue<IpAddr>> {
        (self.address != self.peer.address()).then(|| tracing::field::display(self.address))
    }

    /// The caller's address as text.
    pub(super) fn address_text(&self) -> Cow<'_, str> {
        match self.forwarded() {
            Some(_) => self.address.to_string().into(),
            None => self.peer.address_text().into(),
        }
    }

    /// Who it says to be from, and has not proven.
    pub(super) fn note_client(&self, client: &ClientId) {
        // There is one credential, so one client.
        let _ =
            self.who.set(Who { client: client.clone(), method: None, issuer: None, subject: None });
    }

    /// Whose request it is.
    pub(super) fn note_caller(&self, caller: &Caller) {
        self.peer.mark_authenticated();
        let client = caller.client().clone();
        let method = Some(caller.method().as_str());
        let (issuer, subject) = (caller.issuer().cloned(), caller.subject().cloned());
        let _ = self.who.set(Who { client, method, issuer, subject });
    }

    /// What it asks for, once that is known to be the client's: also of a request that is refused after it.
    pub(super) fn note_grant(&self, grant: &GrantName) {
        let _ = self.grant.set(grant.clone());
    }

    /// The same by what the request says, which may name none.
    pub(super) fn note_asked_grant(&self, caller: &Caller, asked: &TokenParams) {
        if let Some(grant) = self.rules.grants.asked(caller.client(), asked.grant.as_deref()) {
            self.note_grant(grant);
        }
    }

    /// What STS would have been asked for, of a request that came so far; as the audit writes it.
    pub(super) fn note_sought(&self, sought: String) {
        let _ = self.sought.set(sought);
    }

    /// The ticket that it makes or shows.
    pub(super) fn note_ticket(&self, ticket: TicketId) {
        let _ = self.ticket.set(ticket);
    }

    pub(super) fn client(&self) -> Option<&str> {
        self.who.get().map(|who| who.client.as_str())
    }

    pub(super) fn authenticated_by(&self) -> Option<&'static str> {
        self.who.get()?.method
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        Some(self.who.get()?.issuer.as_ref()?.as_str())
    }

    pub(super) fn subject(&self) -> Option<&str> {
        Some(self.who.get()?.subject.as_ref()?.as_str())
    }

    pub(super) fn sought(&self) -> Option<&str> {
        self.sought.get().map(String::as_str)
    }

    pub(super) fn grant(&self) -> Option<&str> {
        self.grant.get().map(GrantName::as_str)
    }

    pub(super) fn ticket(&self) -> Option<&TicketId> {
        self.ticket.get()
    }
}

/// For handlers behind the router.
#[derive(Debug)]
pub(crate) struct Told(pub(super) Arc<Context>);

impl<S: Sync> FromRequestParts<S> for Told {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Arc::clone(Context::within(&parts.extensions))))
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Context::within(&parts.extensions).id)
    }
}

/// The method, of a closed set: callers may make methods up, as long as they like.
fn method_of(request: &Request) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "POST" => "POST",
        _ => "other",
    }
}

/// The methods that a route takes, as its 405 names them. The router would list HEAD wherever there is GET.
pub(super) fn allowed(route: &str) -> &'static str {
    match route {
        TOKEN_ROUTE => "GET, POST",
        OSS_SDK_ROUTE => "GET",
        TICKETS_ROUTE | "/v1/explain" => "POST",
        _ => "GET, HEAD",
    }
}

/// The route: a closed set, whatever paths callers try.
fn route_of(request: &Request) -> &'static str {
    match request.uri().path() {
        TOKEN_ROUTE => TOKEN_ROUTE,
        OSS_SDK_ROUTE => OSS_SDK_ROUTE,
        TICKETS_ROUTE => TICKETS_ROUTE,
        "/v1/explain" => "/v1/explain",
        "/v1/whoami" => "/v1/whoami",
        "/openapi.json" => "/openapi.json",
        "/docs" => "/docs",
        _ => "unmatched",
    }
}
