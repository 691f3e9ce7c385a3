//! Around every request: its id, its deadline, its one log line, its metrics, and the body of an error.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
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

use super::Api;
use super::audited;
use super::context::{Context, OSS_SDK_ROUTE, allowed};
use super::cors::Sharing;
use super::error::{ApiError, Public};
use super::failing;
use super::token;
use super::traced;
use super::wire::ErrorResponse;
use crate::auth::{AuthError, Authenticator, PresentedCredential};
use crate::limit::Throttled;
use crate::server::{ConnectionHandler, FramingError, Peer};
use crate::telemetry::{Span, causes, current_trace_id};

/// What handlers get beyond the deadline to say themselves that it has passed.
const GRACE: Duration = Duration::from_millis(500);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One line of the log about a request, with all that names it.
macro_rules! tell {
    ($level:ident, $context:expr, $($rest:tt)+) => {
        tracing::event!(
            tracing::Level::$level,
            request.id = $context.id.as_str(),
            request.method = $context.method,
            request.route = $context.route,
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

/// A request whose caller may hang up before it is answered: that is counted and logged, too, for it is what
/// operators see first when STS is slow.
struct Unanswered<'a> {
    api: &'a Api,
    context: &'a Context,
    trace: Option<&'a Span>,
    answered: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let took = self.context.started.elapsed();
            // nginx's number for it; HTTP has none, as nobody is there to read it.
            self.api.metrics.request(self.context.route, 499, "ClientGone", took);
            if self.context.authenticated_by().is_some() {
                tell!(
                    INFO,
                    self.context,
                    response.status = 499,
                    request.took_ms = millis(took),
                    "the caller hung up"
                );
            } else {
                // Strangers can do so as often as they like.
                tell!(
                    DEBUG,
                    self.context,
                    response.status = 499,
                    request.took_ms = millis(took),
                    "the caller hung up"
                );
            }
            audited::abandoned(self.api, self.context);
            if let Some(trace) = self.trace {
                traced::tell(trace, self.context, 499, "ClientGone");
            }
        }
    }
}

/// All routes, with `observe` around them and a net for panics between the two.
///
/// Not a layer of the router: each layer costs each request two boxes and a copy of the routes.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    routes: Router,
    api: Arc<Api>,
}

impl Observed {
    pub(super) fn new(routes: Router, api: Arc<Api>) -> Self {
        Self { routes, api }
    }

    async fn routed(
        &self,
        context: &Arc<Context>,
        sharing: &Sharing,
        request: Request,
    ) -> Response {
        match AssertUnwindSafe(self.handled(context, sharing, request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => ApiError::Panicked.into_response(),
        }
    }

    async fn handled(
        &self,
        context: &Arc<Context>,
        sharing: &Sharing,
        mut request: Request,
    ) -> Response {
        if let Some(error) = request.extensions().get::<FramingError>() {
            return ApiError::Malformed(error.message().into()).into_response();
        }
        // Whatever the request is and carries: a new connection of this caller's would be refused in its handshake.
        if !context.peer.check_certificate(self.api.clock.now()) {
            return failing::failed(
                &self.api,
                context,
                &PresentedCredential::Other,
                AuthError::EndedCertificate,
            )
            .into_response();
        }
        // What nearly all callers want goes past the router, which takes as long as finding a kept token.
        if token::is_wanted(context) {
            let answer = token::wanted(&self.api, context, request).await;
            return answer.unwrap_or_else(IntoResponse::into_response);
        }
        if let Some(answer) = sharing.preflight(&request) {
            return answer;
        }
        request.extensions_mut().insert(Arc::clone(context));
        // Boxed: a request that is not routed needs no room for it.
        let Ok(response) = Box::pin(self.routes.clone().call(request)).await;
        response
    }
}

impl ConnectionHandler for Observed {
    async fn handle(&self, request: Request, peer: Arc<Peer>) -> Response {
        match self.api.traces.start_request(request.headers()) {
            None => self.observed(request, peer, None).await,
            // Boxed: a request that is not traced needs no room for it.
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

impl Observed {
    async fn observed(&self, request: Request, peer: Arc<Peer>, trace: Option<&Span>) -> Response {
        let context = Context::of(&request, peer, self.api.rules.load_full());
        // For who debugs: a span takes longer than the request itself.
        let span = tracing::debug_span!(
            "request",
            request.id = context.id.as_str(),
            request.method = context.method,
            request.route = context.route,
            peer.address = context.peer.as_str(),
            caller.address = context.forwarded(),
        );
        observe(self, &context, request, trace).instrument(span).await
    }
}

async fn observe(
    observed: &Observed,
    context: &Arc<Context>,
    request: Request,
    trace: Option<&Span>,
) -> Response {
    let api = &*observed.api;
    let route = context.route;
    let mut unanswered = Unanswered { api, context, trace, answered: false };
    let sharing = context.rules.cors.sharing(&request);
    let handled = observed.routed(context, &sharing, request);
    let answered = tokio::time::timeout_at(context.deadline + GRACE, handled).await;
    let mut response = answered.unwrap_or_else(|_| ApiError::TimedOut.into_response());
    let error = response.extensions_mut().remove::<Arc<ApiError>>();
    let took = context.started.elapsed();
    let (status, class) = match error {
        None => (response.status(), "Success"),
        Some(error) => {
            let public = error.public();
            write_error(&mut response, context, &public);
            log_failure(context, &error, &public, took);
            audited::denied(api, context, &error, &public);
            if let Some(reason) = error.reason() {
                api.metrics.failed(reason);
            }
            if matches!(*error, ApiError::Panicked) {
                api.metrics.panics.inc();
            }
            (public.status, public.class)
        }
    };
    if status.is_success() {
        // Not at INFO: tokens are logged where they are minted, and nearly all answers repeat one.
        tell!(
            DEBUG,
            context,
            response.status = status.as_u16(),
            request.took_ms = millis(took),
            "answered"
        );
    }
    if let Some(trace) = trace {
        traced::tell(trace, context, status.as_u16(), class);
    }
    unanswered.answered = true;
    api.metrics.request(route, status.as_u16(), class, took);
    finish(&mut response, context);
    sharing.mark(response.headers_mut());
    response
}

fn write_error(response: &mut Response, context: &Context, public: &Public) {
    let body = ErrorResponse::new(context.id.as_str(), public);
    *response.body_mut() = Body::from(serde_json::to_vec(&body).expect("plain JSON"));
    let routed = context.route == OSS_SDK_ROUTE && public.status != StatusCode::METHOD_NOT_ALLOWED;
    *response.status_mut() = if routed { StatusCode::OK } else { public.status };
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if public.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static(allowed(context.route)));
    }
    if public.status == StatusCode::UNAUTHORIZED {
        for challenge in challenges(&context.rules.authenticator) {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
    if let Some(wait) = public.retry_after {
        // Up to half as much again, so that those who were refused together do not return together; but no more
        // than a quarter of a minute: long waits come from the budget's queue, which gives each its own.
        let spread = wait.min(Duration::from_secs(30)).mul_f64(rand::random::<f64>() / 2.0);
        let secs = (wait + spread).as_secs_f64().ceil().max(1.0) as u64;
        headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    if let Some(limit) = public.limit {
        limit_fields(headers, limit);
    }
}

/// The fields of draft-ietf-httpapi-ratelimit-headers: the bucket's size, the seconds in which it fills, that nothing is
/// left, and the seconds until something is.
fn limit_fields(headers: &mut HeaderMap, Throttled { limit, terms, retry_after }: Throttled) {
    let (name, burst, window) = (limit.as_str(), terms.burst, terms.window_secs());
    let wait = retry_after.as_secs_f64().ceil().max(1.0) as u64;
    let fields = [
        ("ratelimit-policy", format!(r#""{name}";q={burst};w={window}"#)),
        ("ratelimit", format!(r#""{name}";r=0;t={wait}"#)),
    ];
    for (name, value) in fields {
        let value = value.try_into().expect("digits and quotes are a header value");
        headers.insert(name, value);
    }
}

/// A failure's one line. 5xx is ours to mend, 4xx the caller's.
fn log_failure(context: &Context, error: &ApiError, public: &Public, took: Duration) {
    let status = public.status.as_u16();
    let code = public.code();
    let took_ms = millis(took);
    let cause = causes(error);
    if matches!(error, ApiError::AuditUnavailable(_)) {
        // The audit says itself what ails it, once and not for each request.
        let reason = error.reason();
        tell!(DEBUG, context, response.status = status, response.code = %code, error.reason = reason, request.took_ms = took_ms, error.cause = cause, "failed: {error}");
    } else if public.status.is_server_error() {
        let reason = error.reason();
        tell!(ERROR, context, response.status = status, response.code = %code, error.reason = reason, request.took_ms = took_ms, error.cause = cause, "failed: {error}");
    } else if error.is_noise() {
        tell!(DEBUG, context, response.status = status, response.code = %code, request.took_ms = took_ms, "refused: {error}");
    } else {
        tell!(INFO, context, response.status = status, response.code = %code, request.took_ms = took_ms, error.cause = cause, "refused: {error}");
    }
}

/// As a number that JSON logs can hold.
fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// Each method that the configuration offers, one header field each: clients differ in how they read several challenges
/// in one. The same for every refused request, whatever it carried.
fn challenges(authenticator: &Authenticator) -> impl Iterator<Item = &'static str> {
    const BASIC: &str = r#"Basic realm="AppServer", charset="UTF-8""#;
    const BEARER: &str = r#"Bearer realm="AppServer""#;
    let bearer = !authenticator.issuers().is_empty();
    // A 401 carries one at least (RFC 9110 §11.6.1), even where nothing but certificates is offered.
    let basic = authenticator.has_secrets() || !bearer;
    [basic.then_some(BASIC), bearer.then_some(BEARER)].into_iter().flatten()
}

fn finish(response: &mut Response, context: &Context) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if context.peer.is_secure() {
        // Only where TLS ends here: a proxy that ends it knows its own other names and says so itself.
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
    use crate::grant::Grants;
    use crate::http::Rules;
    use crate::limit::{FailureSettings, Failures, LimitMode, LimitTerms, Limits, Per};
    use crate::store::Store;
    use crate::sts::{Endpoint, StsClient, StsSettings};
    use crate::telemetry::{Metrics, Traces};
    use crate::vend::{VendSettings, Vendor};
    use appserver_domain::clock::Clock;

    const FAILURES: FailureSettings = FailureSettings {
        mode: LimitMode::Enforce,
        address: None,
        client: LimitTerms { requests: NonZeroU32::MIN, per: Per::Minute, burst: NonZeroU32::MIN },
    };

    /// An API that knows nobody; its STS is never called.
    fn api() -> Arc<Api> {
        let metrics = Arc::new(Metrics::new());
        let nowhere = Endpoint::try_from("http://127.0.0.1:1".to_owned()).unwrap();
        let settings = StsSettings {
            endpoints: nowhere.into(),
            connect_timeout: Duration::from_secs(1),
            attempt_timeout: Duration::from_secs(1),
            max_attempts: NonZeroU32::MIN,
        };
        let key = appserver_domain::AccessKey::new("testid", "testsecret".into()).unwrap();
        let sts = StsClient::new(settings, key, Clock::system(), Arc::clone(&metrics)).unwrap();
        Arc::new(Api {
            rules: ArcSwap::from_pointee(Rules {
                authenticator: Authenticator::new(Default::default(), Issuers::default()),
                limits: Limits::new(Default::default(), Arc::new(Store::Memory), None),
                failures: Failures::new(FAILURES, None),
                grants: Grants {
                    entitlements: Default::default(),
                    of_clients: Default::default(),
                    issued_within: Duration::from_secs(15),
                },
                proxies: Default::default(),
                cors: Default::default(),
                tickets: None,
                request_timeout: Duration::from_secs(15),
            }),
            vendor: Arc::new(Vendor::new(
                sts,
                Arc::new(Store::Memory),
                VendSettings::for_tests(),
                metrics.vend.clone(),
                Clock::system(),
            )),
            metrics,
            audit: Audit::off(),
            traces: Traces::default(),
            clock: Clock::system(),
        })
    }

    async fn answer(route: axum::routing::MethodRouter, api: Arc<Api>) -> (StatusCode, String) {
        let observed = Observed::new(Router::new().route("/", route), api);
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
        insta::assert_snapshot!(body, @r#"{"StatusCode":500,"Code":"Internal","ErrorCode":"Internal","ErrorMessage":"The service failed; the operator finds the cause by the RequestId.","Message":"The service failed; the operator finds the cause by the RequestId.","RequestId":"<id>"}"#);
        assert_eq!(api.metrics.panics.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_is_answered_at_the_time_out() {
        let started = tokio::time::Instant::now();
        let (status, body) = answer(get(std::future::pending::<Response>), api()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        insta::assert_snapshot!(body, @r#"{"StatusCode":503,"Code":"Upstream.Unavailable","ErrorCode":"Upstream.Unavailable","ErrorMessage":"Alibaba Cloud STS cannot be reached; the token can be had later.","Message":"Alibaba Cloud STS cannot be reached; the token can be had later.","RequestId":"<id>"}"#);
        assert_eq!(started.elapsed(), Duration::from_millis(15_500));
    }
}
