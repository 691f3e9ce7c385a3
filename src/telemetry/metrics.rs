//! All metrics of a server. Label values come from closed sets: none is taken from a request.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::by_upstream::UpstreamLabel;
use super::label::Label;
use super::process_metrics::ProcessMetrics;
use super::{
    AuditMetrics, CallbackMetrics, ConfigMetrics, Connections, DecisionMetrics, IdentityMetrics,
    IssuerMetrics, LogMetrics, RevocationMetrics, StoreMetrics, ThrottleMetrics, TraceMetrics,
    VendMetrics,
};
use appserver_domain::{ClientId, GrantName, UpstreamName};

/// Bounds of latency histograms, in seconds: from a cached answer to the longest time-out.
const LATENCY_BOUNDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// Every reason of a 5xx. Created at zero: an alert on the first one needs the zero before it.
const FAILURES: [&str; 37] = [
    "audit_failing",
    "audit_full",
    "audit_stalled",
    "breaker",
    "budget",
    "call_lost",
    "call_timeout",
    "callback_audit",
    "callback_backend",
    "callback_full",
    "callback_key",
    "callback_lost",
    "callback_not_configured",
    "callback_timed_out",
    "callback_unconfirmed",
    "decision_breaker",
    "decision_busy",
    "decision_failed",
    "decision_lost",
    "decision_timed_out",
    "decision_unreachable",
    "decision_wrong_answer",
    "max_waiting",
    "no_credentials",
    "not_ready",
    "panic",
    "request_timeout",
    "short_session",
    "sts_clock_skewed",
    "sts_invalid_response",
    "sts_nonce_used",
    "sts_refused",
    "sts_throttled",
    "sts_timed_out",
    "sts_unavailable",
    "sts_unreachable",
    "sts_proxy",
];

/// One server's metrics. Not global, so that servers in one process count separately.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
    /// The histogram of nearly all requests, looked up once.
    tokens_answered: Histogram,
    vended: Family<VendedLabels, Counter>,
    uploads_signed: Family<VendedLabels, Counter>,
    urls_signed: Family<VendedLabels, Counter>,
    failed: Family<FailedLabel, Counter>,
    sts_calls: Family<StsCall, Histogram, fn() -> Histogram>,
    /// Of the vending engine.
    pub(crate) vend: VendMetrics,
    /// Of the store that replicas share.
    pub(crate) store: StoreMetrics,
    /// Of the active configuration.
    pub(crate) config: ConfigMetrics,
    /// Of the credentials that sign.
    pub(crate) identity: IdentityMetrics,
    /// Of issuers' keys.
    pub(crate) issuers: IssuerMetrics,
    /// Of limits.
    pub(crate) throttled: ThrottleMetrics,
    /// Of the audit.
    pub(crate) audit: AuditMetrics,
    /// Of reports of uploads by OSS.
    pub(crate) callbacks: CallbackMetrics,
    /// Of the decision hook.
    pub(crate) decision: DecisionMetrics,
    /// Of the lists of revocations.
    pub(crate) revocations: RevocationMetrics,
    /// Of the process's log.
    pub(crate) log: LogMetrics,
    /// Of spans exported to a collector.
    pub(crate) trace: TraceMetrics,
    /// Of the public listener.
    pub(crate) connections: Connections,
    /// Handlers that panicked. Anything but 0 is a bug.
    pub(crate) panics: Counter,
    /// Policies of callers about which the two proofs of containment disagree. Anything but 0 is a bug.
    pub(crate) policy_disagreements: Counter,
    ready: Gauge,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    route: &'static str,
    status: u16,
    code: &'static str,
}

/// The labels of a token by the usual route.
const TOKEN_VENDED: RequestLabels =
    RequestLabels { route: "/v1/token", status: 200, code: "Success" };

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct VendedLabels {
    client: Label<ClientId>,
    grant: Label<GrantName>,
}

impl VendedLabels {
    fn of(client: &ClientId, grant: &GrantName) -> Self {
        Self { client: Label(client.clone()), grant: Label(grant.clone()) }
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct FailedLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct BuildLabels {
    version: &'static str,
}

/// The labels of one attempt at STS.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct StsCall {
    /// `AssumeRole` or `GetCallerIdentity`.
    pub(crate) action: &'static str,
    /// `success`, `abandoned` if the caller disconnected, or the kind of error.
    pub(crate) outcome: &'static str,
    #[prometheus(flatten)]
    upstream: UpstreamLabel,
}

impl StsCall {
    pub(crate) fn new(
        action: &'static str,
        outcome: &'static str,
        upstream: &UpstreamName,
    ) -> Self {
        Self { action, outcome, upstream: UpstreamLabel(upstream.clone()) }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let latency: fn() -> Histogram = || Histogram::new(LATENCY_BOUNDS);
        let requests = Family::new_with_constructor(latency);
        let tokens_answered = Histogram::clone(&requests.get_or_create(&TOKEN_VENDED));
        let metrics = Self {
            registry: Registry::default(),
            tokens_answered,
            requests,
            vended: Family::default(),
            uploads_signed: Family::default(),
            urls_signed: Family::default(),
            failed: Family::default(),
            sts_calls: Family::new_with_constructor(latency),
            vend: VendMetrics::new(),
            store: StoreMetrics::new(),
            config: ConfigMetrics::default(),
            identity: IdentityMetrics::default(),
            issuers: IssuerMetrics::default(),
            throttled: ThrottleMetrics::default(),
            audit: AuditMetrics::default(),
            callbacks: CallbackMetrics::default(),
            decision: DecisionMetrics::new(),
            revocations: RevocationMetrics::default(),
            log: LogMetrics::default(),
            trace: TraceMetrics::default(),
            connections: Connections::default(),
            panics: Counter::default(),
            policy_disagreements: Counter::default(),
            ready: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        for reason in FAILURES {
            drop(self.failed.get_or_create(&FailedLabel { reason }));
        }
        self.registry.register_collector(Box::new(ProcessMetrics));
        let registry = self.registry.sub_registry_with_prefix("appserver");
        let build: Family<BuildLabels, Gauge> = Family::default();
        build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "1, by the version", build);
        registry.register_with_unit(
            "http_request_duration",
            "Requests answered, by route, status and code",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register(
            "tokens_vended",
            "Tokens vended, by client and grant",
            self.vended.clone(),
        );
        registry.register(
            "uploads_signed",
            "Upload forms signed, by client and grant",
            self.uploads_signed.clone(),
        );
        registry.register(
            "urls_signed",
            "URLs of objects signed, by client and grant",
            self.urls_signed.clone(),
        );
        registry.register(
            "requests_failed",
            "Requests answered 5xx, by reason",
            self.failed.clone(),
        );
        registry.register_with_unit(
            "sts_call_duration",
            "Attempts at STS, by action and outcome",
            Unit::Seconds,
            self.sts_calls.clone(),
        );
        self.vend.register(registry);
        self.store.register(registry);
        self.config.register(registry);
        self.identity.register(registry);
        self.trace.register(registry);
        self.issuers.register(registry);
        self.throttled.register(registry);
        self.audit.register(registry);
        self.callbacks.register(registry);
        self.decision.register(registry);
        self.revocations.register(registry);
        self.log.register(registry);
        self.connections.register(registry);
        registry.register("panics", "Handlers that panicked", self.panics.clone());
        registry.register(
            "policy_disagreements",
            "Policies of callers about which the two proofs of containment disagree",
            self.policy_disagreements.clone(),
        );
        registry.register("ready", "Whether /readyz answers 200", self.ready.clone());
        self
    }

    /// A request was answered. `code` is the response's `Code`, which is of a closed set.
    pub(crate) fn request(
        &self,
        route: &'static str,
        status: u16,
        code: &'static str,
        took: Duration,
    ) {
        let labels = RequestLabels { route, status, code };
        if labels == TOKEN_VENDED {
            self.tokens_answered.observe(took.as_secs_f64());
        } else {
            self.requests.get_or_create(&labels).observe(took.as_secs_f64());
        }
    }

    /// A token was vended. Client and grant are configured, so their number is bounded.
    pub(crate) fn vended(&self, client: &ClientId, grant: &GrantName) {
        self.vended.get_or_create(&VendedLabels::of(client, grant)).inc();
    }

    /// The form of an upload was signed.
    pub(crate) fn upload_signed(&self, client: &ClientId, grant: &GrantName) {
        self.uploads_signed.get_or_create(&VendedLabels::of(client, grant)).inc();
    }

    /// The URL of an object was signed.
    pub(crate) fn url_signed(&self, client: &ClientId, grant: &GrantName) {
        self.urls_signed.get_or_create(&VendedLabels::of(client, grant)).inc();
    }

    /// A request was answered 5xx, for a reason of a closed set.
    pub(crate) fn failed(&self, reason: &'static str) {
        debug_assert!(FAILURES.contains(&reason), "{reason} is not shown from the start");
        self.failed.get_or_create(&FailedLabel { reason }).inc();
    }

    /// An attempt at STS ended. A retry is another attempt.
    pub(crate) fn sts_call(&self, call: &StsCall, took: Duration) {
        self.sts_calls.get_or_create(call).observe(took.as_secs_f64());
    }

    /// Readiness changed.
    pub(crate) fn ready(&self, ready: bool) {
        self.ready.set(ready.into());
    }

    /// All metrics as OpenMetrics. [`super::MetricsFormat`] converts them to the requested format.
    pub(crate) fn encoded(&self) -> String {
        self.issuers.measure();
        self.log.measure();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a String does not fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::StoreOperation;

    /// The families of the whole registry, each with a sample.
    #[test]
    fn every_metric_is_there_under_its_name() {
        let metrics = Metrics::new();
        metrics.request("/v1/token", 200, "Success", Duration::from_millis(3));
        metrics.vended(&"client-002".parse().unwrap(), &"daily-photos".parse().unwrap());
        metrics.upload_signed(&"photo-app".parse().unwrap(), &"photo-upload".parse().unwrap());
        metrics.url_signed(&"photo-app".parse().unwrap(), &"photo-upload".parse().unwrap());
        metrics.sts_call(
            &StsCall::new("AssumeRole", "success", &UpstreamName::default()),
            Duration::from_millis(40),
        );
        metrics.throttled.beyond(Some(&"client-002".parse().unwrap()), "subject", "shadow");
        metrics.throttled.beyond(None, "address-failures", "enforce");
        metrics.failed("breaker");
        metrics.ready(true);
        metrics.store.called(StoreOperation::Read, true, Duration::from_millis(1));
        metrics.config.active_config("abc", "2016-01-13T14:02:37Z".parse().unwrap());
        metrics.identity.signs("oidc", "2016-01-13T14:02:37Z".parse().unwrap());
        metrics.revocations.active("file", 3);
        metrics.revocations.up("file", true);
        metrics.trace.create_series();
        metrics.connections.transport.certificate_expires(1);
        let keys = metrics.issuers.issuer("company");
        keys.fetched_keys(2);
        let text = metrics.encoded();
        for line in [
            r#"appserver_http_request_duration_seconds_count{route="/v1/token",status="200",code="Success"} 1"#,
            r#"appserver_tokens_vended_total{client="client-002",grant="daily-photos"} 1"#,
            r#"appserver_uploads_signed_total{client="photo-app",grant="photo-upload"} 1"#,
            r#"appserver_urls_signed_total{client="photo-app",grant="photo-upload"} 1"#,
            r#"appserver_sts_call_duration_seconds_count{action="AssumeRole",outcome="success"} 1"#,
            r#"appserver_throttled_total{client="client-002",limit="subject",mode="shadow"} 1"#,
            r#"appserver_throttled_total{client="",limit="address-failures",mode="enforce"} 1"#,
            r#"appserver_requests_failed_total{reason="breaker"} 1"#,
            r#"appserver_requests_failed_total{reason="budget"} 0"#,
            "appserver_connections 0",
            "appserver_ready 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE appserver_"));
        let mut families: Vec<_> = types.collect();
        families.sort_unstable();
        // A family without a sample is not written; a missing one needs a sample above.
        assert_eq!(families.len(), registrations(), "{families:#?}");
        insta::assert_snapshot!(families.join("\n"), @r"
        access_key_unverified gauge
        audit_lines_lost counter
        audit_lines_written counter
        audit_queue_length gauge
        audit_up gauge
        build_info gauge
        config_info gauge
        config_last_reload_successful gauge
        config_loaded_timestamp_seconds gauge
        config_needs_restart gauge
        config_reloads counter
        connections gauge
        connections_evicted counter
        connections_malformed counter
        connections_refused counter
        decision_breaker_open gauge
        decision_call_duration_seconds histogram
        decision_requests counter
        http_request_duration_seconds histogram
        jwks_age_seconds gauge
        jwks_fetches counter
        jwks_keys gauge
        log_lines_dropped counter
        panics counter
        policy_disagreements counter
        proxy_protocol_errors counter
        ready gauge
        requests_failed counter
        revocations gauge
        revocations_up gauge
        store_call_duration_seconds histogram
        store_decrypt_failures counter
        store_degraded gauge
        store_replaced counter
        sts_call_duration_seconds histogram
        throttled counter
        tls_certificate_expiry_timestamp_seconds gauge
        tls_handshakes_failed counter
        tokens_vended counter
        trace_failed_exports counter
        trace_spans counter
        upload_callback_kept gauge
        upload_callback_received counter
        upload_callback_redeliveries counter
        uploads_signed counter
        upstream_identity_expiry_timestamp_seconds gauge
        upstream_identity_renewals counter
        urls_signed counter
        vend_breaker_open gauge
        vend_budget_rate gauge
        vend_cached_tokens gauge
        vend_coalesced counter
        vend_lookups counter
        vend_queue_length gauge
        vend_queue_wait_seconds histogram
        vend_refreshes counter
        vend_waiting gauge
        ");
    }

    #[test]
    fn the_series_of_another_upstream_have_its_name() {
        let metrics = Metrics::new();
        let partner: UpstreamName = "partner".parse().unwrap();
        metrics.vend.of(&UpstreamName::default()).measured(90.0, 0, false);
        metrics.vend.of(&partner).measured(9.0, 3, true);
        metrics.config.key_unverified(&partner).set(1);
        metrics.identity.of(&partner).signs("oidc", "2016-01-13T14:02:37Z".parse().unwrap());
        let call = StsCall::new("AssumeRole", "timed_out", &partner);
        metrics.sts_call(&call, Duration::from_millis(40));
        let text = metrics.encoded();
        for line in [
            "appserver_vend_breaker_open 0",
            r#"appserver_vend_breaker_open{upstream="partner"} 1"#,
            r#"appserver_vend_queue_length{upstream="partner"} 3"#,
            "appserver_vend_budget_rate 90.0",
            r#"appserver_vend_budget_rate{upstream="partner"} 9.0"#,
            "appserver_access_key_unverified 0",
            r#"appserver_access_key_unverified{upstream="partner"} 1"#,
            r#"appserver_upstream_identity_renewals_total{outcome="failed",upstream="partner"} 0"#,
            r#"appserver_sts_call_duration_seconds_count{action="AssumeRole",outcome="timed_out",upstream="partner"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
        assert!(!text.contains("{}"), "{text}");
    }

    /// The number of metrics that the code of this folder registers.
    fn registrations() -> usize {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/telemetry");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let code = files.filter(|path| path.is_file()).map(std::fs::read_to_string);
        let calls =
            [concat!("registry.", "register("), concat!("registry.", "register_with_unit(")];
        code.map(|code| {
            let code = code.unwrap();
            calls.iter().map(|call| code.matches(call).count()).sum::<usize>()
        })
        .sum()
    }
}
