//! The context of one request: its id, its deadline, and the fields of its log lines, metrics and audit record.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use axum::http::{Extensions, HeaderName, HeaderValue};
use tokio::time::Instant;
use tracing::field::DisplayValue;
use uuid::fmt::Hyphenated;

use crate::auth::{Caller, JwtId, TicketId};
use crate::callback::UploadClaims;
use crate::grant::TokenParams;
use crate::http::api::Rules;
use crate::http::route::Route;
use crate::revocation::PresentedIdentity;
use crate::server::Peer;
use appserver_domain::{ClientId, GrantName, IssuerName, Subject};

/// Identifies one request in its answer, in the log and to support.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId([u8; Hyphenated::LENGTH]);

/// One request. Its span exists at DEBUG only, so the fields of a failure's log line are kept here.
#[derive(Debug)]
pub(crate) struct RequestContext {
    pub(crate) id: RequestId,
    pub(crate) method: &'static str,
    pub(crate) route: &'static Route,
    pub(crate) peer: Arc<Peer>,
    /// The caller's: the peer's own, or the one that a trusted proxy names.
    pub(crate) address: IpAddr,
    /// The configuration that it is decided by.
    pub(crate) rules: Arc<Rules>,
    pub(crate) started: Instant,
    /// When it must be answered.
    pub(crate) deadline: Instant,
    /// Those that the decision hook gets.
    pub(crate) decision_headers: Vec<(HeaderName, HeaderValue)>,
    identity: OnceLock<Identity>,
    grant: OnceLock<GrantName>,
    requested: OnceLock<String>,
    ticket: OnceLock<TicketId>,
    /// Set by the audit: whether a record that grants the request something is queued.
    pub(crate) is_granted: AtomicBool,
}

/// The client of a request, and what an accepted credential proves.
#[derive(Debug)]
struct Identity {
    client: ClientId,
    /// None before a credential is accepted.
    method: Option<&'static str>,
    issuer: Option<IssuerName>,
    subject: Option<Subject>,
    jwt: Option<JwtId>,
}

impl RequestId {
    /// Generated for each request; an id that a caller sends is ignored, so that logs cannot be forged.
    fn fresh() -> Self {
        // The thread's own generator: uuid's calls the system each time.
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let mut text = [0; Hyphenated::LENGTH];
        id.hyphenated().encode_upper(&mut text);
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a UUID is ASCII")
    }

    pub(crate) fn to_header(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("a UUID is a header value")
    }
}

impl RequestContext {
    pub(crate) fn of(
        request: &Request,
        route: &'static Route,
        peer: Arc<Peer>,
        rules: Arc<Rules>,
    ) -> Arc<Self> {
        let started = Instant::now();
        let hook = rules.decision.as_ref();
        let decision_headers = hook.map(|hook| hook.listed(request.headers()));
        Arc::new(Self {
            id: RequestId::fresh(),
            method: method_of(request),
            route,
            address: rules.proxies.client_address(peer.address(), request.headers()),
            peer,
            started,
            deadline: started + rules.request_timeout,
            rules,
            decision_headers: decision_headers.unwrap_or_default(),
            identity: OnceLock::new(),
            grant: OnceLock::new(),
            requested: OnceLock::new(),
            ticket: OnceLock::new(),
            is_granted: AtomicBool::new(false),
        })
    }

    /// The context that the request observer has set.
    pub(crate) fn within(extensions: &Extensions) -> &Arc<Self> {
        extensions.get().expect("every route is behind the request observer")
    }

    /// The caller's address for the log, where it is another than the peer's.
    pub(crate) fn forwarded(&self) -> Option<DisplayValue<IpAddr>> {
        (self.address != self.peer.address()).then(|| tracing::field::display(self.address))
    }

    /// The caller's address as text.
    pub(crate) fn address_text(&self) -> Cow<'_, str> {
        match self.forwarded() {
            Some(_) => self.address.to_string().into(),
            None => self.peer.address_text().into(),
        }
    }

    /// Records the client that the unverified credential names.
    pub(crate) fn note_client(&self, client: &ClientId) {
        // A request has one credential, so it has one client.
        let _ = self.identity.set(Identity {
            client: client.clone(),
            method: None,
            issuer: None,
            subject: None,
            jwt: None,
        });
    }

    /// Records the authenticated caller.
    pub(crate) fn note_caller(&self, caller: &Caller) {
        self.peer.mark_authenticated();
        let client = caller.client().clone();
        let method = Some(caller.method().as_str());
        let (issuer, subject) = (caller.issuer().cloned(), caller.subject().cloned());
        let jwt = caller.jwt();
        let _ = self.identity.set(Identity { client, method, issuer, subject, jwt });
    }

    /// Records the user and the grant of a reported upload: its sender, OSS, is no client.
    pub(crate) fn note_uploader(&self, upload: &UploadClaims) {
        let (issuer, subject) = (upload.issuer.clone(), upload.subject.clone());
        let client = upload.client.clone();
        let (method, jwt) = (None, None);
        let _ = self.identity.set(Identity { client, method, issuer, subject, jwt });
        self.note_grant(&upload.grant);
    }

    /// Records the grant, once it is known to be the client's: also of a request that is refused later.
    pub(crate) fn note_grant(&self, grant: &GrantName) {
        let _ = self.grant.set(grant.clone());
    }

    /// Records the grant that the request names or implies.
    pub(crate) fn note_requested_grant(&self, caller: &Caller, params: &TokenParams) {
        if let Some(grant) =
            self.rules.grants.requested_name(caller.client(), params.grant.as_deref())
        {
            self.note_grant(grant);
        }
    }

    /// Records the role session or the object that was requested without success, in the audit's form.
    pub(crate) fn note_requested(&self, requested: String) {
        let _ = self.requested.set(requested);
    }

    /// Records the ticket that the request makes or presents.
    pub(crate) fn note_ticket(&self, ticket: TicketId) {
        let _ = self.ticket.set(ticket);
    }

    /// What the authenticated caller presents; `None` before a credential is accepted.
    pub(crate) fn presented(&self) -> Option<PresentedIdentity<'_>> {
        let Identity { client, method, issuer, subject, jwt } = self.identity.get()?;
        method.is_some().then(|| PresentedIdentity {
            client,
            user: issuer.as_ref().zip(subject.as_ref()),
            ticket: self.ticket.get().copied(),
            jwt: *jwt,
        })
    }

    pub(crate) fn client(&self) -> Option<&str> {
        self.identity.get().map(|identity| identity.client.as_str())
    }

    pub(crate) fn authenticated_by(&self) -> Option<&'static str> {
        self.identity.get()?.method
    }

    pub(crate) fn issuer(&self) -> Option<&str> {
        Some(self.identity.get()?.issuer.as_ref()?.as_str())
    }

    pub(crate) fn subject(&self) -> Option<&str> {
        Some(self.identity.get()?.subject.as_ref()?.as_str())
    }

    pub(crate) fn requested(&self) -> Option<&str> {
        self.requested.get().map(String::as_str)
    }

    pub(crate) fn grant(&self) -> Option<&str> {
        self.grant.get().map(GrantName::as_str)
    }

    pub(crate) fn ticket(&self) -> Option<&TicketId> {
        self.ticket.get()
    }
}

/// The method, of a closed set: callers may invent methods of any length.
fn method_of(request: &Request) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "POST" => "POST",
        _ => "other",
    }
}
