//! Metrics, traces and the log.

mod audit_metrics;
mod by_upstream;
mod callback_metrics;
mod causes;
mod config_metrics;
mod connection_metrics;
mod decision_metrics;
mod escaped;
mod exposition;
mod identity_metrics;
mod issuer_metrics;
mod label;
mod log;
mod log_metrics;
mod log_writer;
mod metrics;
mod process_metrics;
#[cfg(feature = "emulator")]
mod recent_lines;
mod revocation_metrics;
mod store_metrics;
mod throttle_metrics;
mod trace;
mod trace_metrics;
mod transport_metrics;
mod vend_metrics;

pub(crate) use audit_metrics::AuditMetrics;
pub(crate) use callback_metrics::{CallbackMetrics, CallbackOutcome, Redelivery};
pub(crate) use causes::{causes, with_causes};
pub(crate) use config_metrics::{ConfigMetrics, Reload};
pub(crate) use connection_metrics::{ConnectionLimit, Connections};
pub(crate) use decision_metrics::{DecisionMetrics, DecisionOutcome};
pub(crate) use escaped::{escaped, escaped_lines, is_hidden};
pub(crate) use exposition::MetricsFormat;
pub(crate) use identity_metrics::{IdentityMetrics, IdentityRenewal};
pub(crate) use issuer_metrics::{IssuerKeys, IssuerMetrics};
#[cfg(feature = "emulator")]
pub(crate) use log::start_with_copy as start_log_with_copy;
pub(crate) use log::{LogFilter, check_filter, log_panics, start as start_log};
pub(crate) use log_metrics::LogMetrics;
pub(crate) use log_writer::LogEnd;
pub(crate) use metrics::{Metrics, StsCall};
#[cfg(feature = "emulator")]
pub(crate) use recent_lines::RecentLines;
pub(crate) use revocation_metrics::RevocationMetrics;
pub(crate) use store_metrics::{StoreMetrics, StoreOperation};
pub(crate) use throttle_metrics::ThrottleMetrics;
pub(crate) use trace::{
    Collector, Exporter, Span, SpanKind, SpanLink, TraceSettings, Traces, current_trace_id,
    in_child_span,
};
pub(crate) use trace_metrics::{SpanOutcome, TraceMetrics};
pub(crate) use transport_metrics::{HandshakeFailure, ProxyProtocolError, TransportMetrics};
pub(crate) use vend_metrics::{Lookup, Refresh, VendMetrics};
