//! The request observer, around every request: its id, deadline, one log line, metrics, and the body of an error.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::Service;
use tracing::Instrument;

use super::context::RequestContext;
use super::cors::Sharing;
use super::{audit, auth_failures, trace};
use crate::auth::{AuthError, Authenticator, PresentedCredential};
use crate::decision::DecisionHook;
use crate::http::api::Api;
use crate::http::error::ApiError;
use crate::http::error_response::ErrorResponse;
use crate::http::public_error::Public;
use crate::http::route::{Route, RouteKind};
use crate::http::v1::token;
use crate::limit::Throttled;
use crate::server::{ConnectionHandler, FramingError, Peer};
use crate::telemetry::{Span, causes, current_trace_id};
use appserver_policy::Witness;

/// The time that handlers get beyond the deadline, so that they can report it themselves.
const GRACE: Duration = Duration::from_millis(500);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Logs one line about a request, with the fields that identify it.
macro_rules! log_request {
    ($level:ident, $context:expr, $($rest:tt)+) => {
        tracing::event!(
            tracing::Level::$level,
            request.id = $context.id.as_str(),
            request.method = $context.method,
            request.route = $context.route.path,
            peer.address = $context.peer.as_str(),
            caller.address = $context.forwarded(),
            trace.id = current_trace_id(),
            client.id = $context.client(),
            grant.name = $context.grant(),
            ticket.id = $context.ticket().map(tracing::field::display),
            $($rest)+
        )
    };
}

/// Counts and logs a request whose caller hangs up before it is answered: the first sign that operators see of a slow STS.
struct HangUpGuard<'a> {
    api: &'a Api,
    context: &'a RequestContext,
    trace: Option<&'a Span>,
    answered: bool,
}

impl Drop for HangUpGuard<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let took = self.context.started.elapsed();
            // nginx's status for it; HTTP has none, because it is not sent.
            self.api.metrics.request(self.context.route.path, 499, "ClientGone", took);
            if self.context.authenticated_by().is_some() {
                log_request!(
                    INFO,
                    self.context,
                    response.status = 499,
                    request.took_ms = millis(took),
                    "the caller hung up"
                );
            } else {
                // Unauthenticated callers can do so at any rate.
                log_request!(
                    DEBUG,
                    self.context,
                    response.status = 499,
                    request.took_ms = millis(took),
                    "the caller hung up"
                );
            }
            audit::record_hang_up(self.api, self.context);
            if let Some(trace) = self.trace {
                trace::record_response(trace, self.context, 499, "ClientGone");
            }
        }
    }
}

/// All routes, with the observation of requests around them. A handler's panic is answered 500.
///
/// Not a layer of the router: each layer costs each request two boxes and a copy of the routes.
#[derive(Clone, Debug)]
pub(crate) struct RequestObserver {
    routes: Router,
    /// The route table, by the path.
    find: fn(&str) -> &'static Route,
    api: Arc<Api>,
}

impl RequestObserver {
    pub(crate) fn new(routes: Router, find: fn(&str) -> &'static Route, api: Arc<Api>) -> Self {
        Self { routes, find, api }
    }

    async fn routed(
        &self,
        context: &Arc<RequestContext>,
        sharing: &Sharing,
        request: Request,
    ) -> Response {
        // Pinned here, as below: a future that is moved is copied.
        let handled = pin!(self.handled(context, sharing, request));
        match AssertUnwindSafe(handled).catch_unwind().await {
            Ok(response) => response,
            Err(_) => ApiError::Panicked.into_response(),
        }
    }

    async fn handled(
        &self,
        context: &Arc<RequestContext>,
        sharing: &Sharing,
        mut request: Request,
    ) -> Response {
        if let Some(error) = request.extensions().get::<FramingError>() {
            return ApiError::Malformed(error.message().into()).into_response();
        }
        // Checked for every request: a new connection with this certificate would be refused in its handshake.
        if !context.peer.check_certificate(|| self.api.clock.now()) {
            return auth_failures::record(
                &self.api,
                context,
                &PresentedCredential::Other,
                AuthError::EndedCertificate,
            )
            .into_response();
        }
        // Nearly all requests. They bypass the router, which takes as long as the lookup of a cached token.
        if context.method == "GET" && context.route.kind.gets_token() {
            let answer = token::handle_get(&self.api, context, request).await;
            return answer.unwrap_or_else(IntoResponse::into_response);
        }
        let hook = context.rules.decision.as_deref();
        let hook_headers = hook.map_or("", DecisionHook::header_list);
        if let Some(answer) = sharing.preflight(&request, hook_headers) {
            return answer;
        }
        request.extensions_mut().insert(Arc::clone(context));
        // Boxed, so that its future does not enlarge that of requests that are not routed.
        let Ok(response) = Box::pin(self.routes.clone().call(request)).await;
        response
    }
}

impl ConnectionHandler for RequestObserver {
    async fn handle(&self, request: Request, peer: Arc<Peer>) -> Response {
        match self.api.traces.start_request(request.headers()) {
            None => self.observed(request, peer, None).await,
            // Boxed, so that its future does not enlarge that of requests that are not traced.
            Some(trace) => {
                let observed = self.observed(request, peer, Some(&trace));
                Box::pin(trace.clone().in_scope(observed)).await
            }
        }
    }

    fn trusts_proxy(&self, proxy: IpAddr) -> bool {
        self.api.rules.load().proxies.trusts(proxy)
    }
}

impl RequestObserver {
    async fn observed(&self, request: Request, peer: Arc<Peer>, trace: Option<&Span>) -> Response {
        let route = (self.find)(request.uri().path());
        let context = RequestContext::of(&request, route, peer, self.api.rules.load_full());
        // At DEBUG only: a span takes longer than the request itself.
        let span = tracing::debug_span!(
            "request",
            request.id = context.id.as_str(),
            request.method = context.method,
            request.route = context.route.path,
            peer.address = context.peer.as_str(),
            caller.address = context.forwarded(),
        );
        if span.is_disabled() {
            return observe(self, &context, request, trace).await;
        }
        // Boxed, as that of a traced request.
        Box::pin(observe(self, &context, request, trace).instrument(span)).await
    }
}

async fn observe(
    observer: &RequestObserver,
    context: &Arc<RequestContext>,
    request: Request,
    trace: Option<&Span>,
) -> Response {
    let api = &*observer.api;
    let mut guard = HangUpGuard { api, context, trace, answered: false };
    let sharing = context.rules.cors.sharing(&request);
    let mut response = {
        let handled = pin!(observer.routed(context, &sharing, request));
        let answered = tokio::time::timeout_at(context.deadline + GRACE, handled).await;
        answered.unwrap_or_else(|_| ApiError::TimedOut.into_response())
    };
    let error = response.extensions_mut().remove::<Arc<ApiError>>();
    let took = context.started.elapsed();
    let (status, class) = match error {
        None => (response.status(), "Success"),
        Some(error) => {
            let public = error.public();
            write_error(&mut response, context, &public);
            log_failure(context, &error, &public, took);
            audit::record_denial(api, context, &error, &public);
            if let Some(reason) = error.reason() {
                api.metrics.failed(reason);
            }
            if matches!(*error, ApiError::Panicked) {
                api.metrics.panics.inc();
            }
            if let Some(witness) = error.disagreement() {
                api.metrics.policy_disagreements.inc();
                log_disagreement(context, witness);
            }
            (public.status, public.class)
        }
    };
    if status.is_success() {
        // Not at INFO: a token is logged when STS issues it, and nearly all answers repeat one.
        log_request!(
            DEBUG,
            context,
            response.status = status.as_u16(),
            request.took_ms = millis(took),
            "answered"
        );
    }
    if let Some(trace) = trace {
        trace::record_response(trace, context, status.as_u16(), class);
    }
    guard.answered = true;
    api.metrics.request(context.route.path, status.as_u16(), class, took);
    finish(&mut response, context);
    sharing.mark(response.headers_mut());
    response
}

fn write_error(response: &mut Response, context: &RequestContext, public: &Public) {
    let body = ErrorResponse::new(context.id.as_str(), public);
    *response.body_mut() = Body::from(serde_json::to_vec(&body).expect("plain JSON"));
    let always_ok = context.route.kind == RouteKind::OssSdkToken
        && public.status != StatusCode::METHOD_NOT_ALLOWED;
    *response.status_mut() = if always_ok { StatusCode::OK } else { public.status };
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if public.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static(context.route.allow));
    }
    if public.status == StatusCode::UNAUTHORIZED {
        for challenge in challenges(&context.rules.authenticator) {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
    if let Some(wait) = public.retry_after {
        // Up to half as much again, so that callers who were refused together do not return together; but no more
        // than a quarter of a minute: long waits come from the budget's queue, which gives each caller a different time.
        let spread = wait.min(Duration::from_secs(30)).mul_f64(rand::random::<f64>() / 2.0);
        let secs = whole_secs(wait + spread);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    if let Some(limit) = public.limit {
        limit_fields(headers, limit);
    }
}

/// At least one.
fn whole_secs(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The fields of draft-ietf-httpapi-ratelimit-headers: the bucket's size, the seconds in which it fills, that nothing is
/// left, and the seconds until something is.
fn limit_fields(headers: &mut HeaderMap, Throttled { limit, terms, retry_after }: Throttled) {
    let (name, burst, window) = (limit.as_str(), terms.burst, terms.window_secs());
    let wait = whole_secs(retry_after);
    let fields = [
        ("ratelimit-policy", format!(r#""{name}";q={burst};w={window}"#)),
        ("ratelimit", format!(r#""{name}";r=0;t={wait}"#)),
    ];
    for (name, value) in fields {
        let value = value.try_into().expect("digits and quotes are a header value");
        headers.insert(name, value);
    }
}

/// Logs a failure. A 5xx is for the operator to fix, a 4xx for the caller.
fn log_failure(context: &RequestContext, error: &ApiError, public: &Public, took: Duration) {
    let status = public.status.as_u16();
    let code = public.code();
    let took_ms = millis(took);
    let cause = causes(error);
    if matches!(error, ApiError::AuditUnavailable(_)) {
        // The audit logs its own failure, once and not for each request.
        let reason = error.reason();
        log_request!(DEBUG, context, response.status = status, response.code = %code, error.reason = reason, request.took_ms = took_ms, error.cause = cause, "failed: {error}");
    } else if public.status.is_server_error() {
        let reason = error.reason();
        log_request!(ERROR, context, response.status = status, response.code = %code, error.reason = reason, request.took_ms = took_ms, error.cause = cause, "failed: {error}");
    } else if error.is_noise() {
        log_request!(DEBUG, context, response.status = status, response.code = %code, request.took_ms = took_ms, "refused: {error}");
    } else {
        log_request!(INFO, context, response.status = status, response.code = %code, request.took_ms = took_ms, error.cause = cause, "refused: {error}");
    }
}

/// One of the two proofs has a bug; no token was issued.
fn log_disagreement(context: &RequestContext, witness: &Witness) {
    let action = &witness.action;
    log_request!(ERROR, context, policy.action = ?action, policy.resource = ?witness.resource, policy.conditions = ?witness.conditions, "two proofs disagree whether a caller's policy is within its grant; refused");
}

/// As a number that JSON logs can hold.
fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// Each method that the configuration offers, one header field each: clients differ in how they read several challenges
/// in one. The same for every refused request, so that it does not depend on the credential.
fn challenges(authenticator: &Authenticator) -> impl Iterator<Item = &'static str> {
    const BASIC: &str = r#"Basic realm="AppServer", charset="UTF-8""#;
    const BEARER: &str = r#"Bearer realm="AppServer""#;
    let bearer = !authenticator.issuers().is_empty();
    // A 401 carries one at least (RFC 9110 §11.6.1), even where nothing but certificates is offered.
    let basic = authenticator.has_secrets() || !bearer;
    [basic.then_some(BASIC), bearer.then_some(BEARER)].into_iter().flatten()
}

fn finish(response: &mut Response, context: &RequestContext) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if context.peer.is_secure() {
        // Only where TLS ends here: a proxy that terminates it decides for its own host names.
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    headers.insert(X_REQUEST_ID, context.id.to_header());
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use arc_swap::ArcSwap;
    use axum::routing::get;

    use super::*;
    use crate::audit::Audit;
    use crate::auth::Issuers;
    use crate::callback::Callbacks;
    use crate::grant::Grants;
    use crate::grant::Refusal;
    use crate::http::api::Rules;
    use crate::http::routes::find;
    use crate::limit::{FailureSettings, Failures, LimitMode, LimitTerms, Limits, Per};
    use crate::revocation::Revocations;
    use crate::store::Store;
    use crate::sts::{Endpoint, StsClient, StsSettings};
    use crate::telemetry::{Metrics, Traces};
    use crate::vend::{VendSettings, Vendor, Vendors};
    use appserver_domain::Upstreams;
    use appserver_domain::clock::Clock;
    use appserver_policy::PolicyRefusal;

    const FAILURES: FailureSettings = FailureSettings {
        mode: LimitMode::Enforce,
        address: None,
        client: LimitTerms { requests: NonZeroU32::MIN, per: Per::Minute, burst: NonZeroU32::MIN },
    };

    /// An API without clients; its STS is never called.
    fn api() -> Arc<Api> {
        let metrics = Arc::new(Metrics::new());
        let nowhere = Endpoint::try_from("http://127.0.0.1:1".to_owned()).unwrap();
        let settings = StsSettings {
            upstream: appserver_domain::UpstreamName::default(),
            endpoints: nowhere.into(),
            connect_timeout: Duration::from_secs(1),
            attempt_timeout: Duration::from_secs(1),
            max_attempts: NonZeroU32::MIN,
        };
        let key = appserver_domain::AccessKey::new("testid", "testsecret".into()).unwrap();
        let key = appserver_domain::SigningCredentials::of_key(key, None);
        let sts = StsClient::new(
            settings,
            crate::outbound::Egress::default(),
            Some(key),
            Clock::system(),
            Arc::clone(&metrics),
        )
        .unwrap();
        let vendors = Arc::new(Vendors::new(
            Upstreams::new(
                Arc::new(Vendor::only(
                    sts,
                    Arc::new(Store::Memory),
                    VendSettings::for_tests(),
                    &metrics.vend,
                    Clock::system(),
                )),
                [],
            ),
            metrics.vend.clone(),
        ));
        Arc::new(Api {
            revocations: Arc::new(Revocations::default()),
            callbacks: Arc::new(Callbacks::new(
                None,
                &Arc::new(Store::Memory),
                Arc::clone(&vendors),
                Audit::off(),
                Clock::system(),
                metrics.callbacks.clone(),
            )),
            rules: ArcSwap::from_pointee(Rules {
                authenticator: Authenticator::new(Default::default(), Issuers::default()),
                limits: Limits::new(Default::default(), Arc::new(Store::Memory), None),
                failures: Failures::new(FAILURES, None),
                grants: Grants {
                    entitlements: Default::default(),
                    of_clients: Default::default(),
                    defaults: Default::default(),
                    issued_within: Duration::from_secs(15),
                },
                proxies: Default::default(),
                cors: Default::default(),
                tickets: None,
                callbacks: None,
                decision: None,
                request_timeout: Duration::from_secs(15),
            }),
            vendors,
            metrics,
            audit: Audit::off(),
            traces: Traces::default(),
            clock: Clock::system(),
        })
    }

    async fn answer(route: axum::routing::MethodRouter, api: Arc<Api>) -> (StatusCode, String) {
        let observed = RequestObserver::new(Router::new().route("/", route), find, api);
        let peer = Peer::plain(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
        let response = observed.handle(Request::new(Body::empty()), peer).await;
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.into()).unwrap().replace(&id, "<id>"))
    }

    #[tokio::test]
    async fn a_panic_is_answered_as_an_internal_error_and_counted() {
        async fn broken() -> Response {
            panic!("canary-secret")
        }
        let api = api();
        let (status, body) = answer(get(broken), Arc::clone(&api)).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        insta::assert_snapshot!(body, @r#"{"StatusCode":500,"Code":"Internal","ErrorCode":"Internal","ErrorMessage":"The service failed; quote the RequestId to the operator.","Message":"The service failed; quote the RequestId to the operator.","RequestId":"<id>"}"#);
        assert_eq!(api.metrics.panics.get(), 1);
    }

    #[tokio::test]
    async fn a_disagreement_of_the_two_proofs_is_refused_and_counted() {
        async fn disagreed() -> ApiError {
            let (action, resource) = ("oss:GetObject".to_owned(), "canary-secret".to_owned());
            let witness = Witness { action, resource, conditions: Default::default() };
            Refusal::Policy(PolicyRefusal::Disagreement(witness)).into()
        }
        let api = api();
        let (status, body) = answer(get(disagreed), Arc::clone(&api)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        insta::assert_snapshot!(body, @r#"{"StatusCode":403,"Code":"Forbidden.Policy","ErrorCode":"Forbidden.Policy","ErrorMessage":"The policy is not within the grant: two proofs disagree about it; quote the RequestId to the operator.","Message":"The policy is not within the grant: two proofs disagree about it; quote the RequestId to the operator.","RequestId":"<id>"}"#);
        assert_eq!(api.metrics.policy_disagreements.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_is_answered_at_the_time_out() {
        let started = tokio::time::Instant::now();
        let (status, body) = answer(get(std::future::pending::<Response>), api()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        insta::assert_snapshot!(body, @r#"{"StatusCode":503,"Code":"Upstream.Unavailable","ErrorCode":"Upstream.Unavailable","ErrorMessage":"Alibaba Cloud STS cannot be reached; retry later.","Message":"Alibaba Cloud STS cannot be reached; retry later.","RequestId":"<id>"}"#);
        assert_eq!(started.elapsed(), Duration::from_millis(15_500));
    }
}
