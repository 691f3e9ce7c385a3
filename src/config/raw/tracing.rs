//! Where traces go, key by key.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::field::Field;

/// Spans, exported by OTLP over HTTP.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawTracing {
    /// Default empty: nothing is traced. A collector's base address; `/v1/traces` is added.
    pub(in crate::config) otlp_endpoint: Field<String>,
    /// For collectors that want a key: holds `name=value` lines, sent as headers.
    pub(in crate::config) headers_file: Field<PathBuf>,
    /// 0.0 to 1.0, default 0.05. Of the requests that come without a decision.
    pub(in crate::config) sample_ratio: Field<f64>,
    /// Default true. Requests with a `traceparent` are recorded, or not, as it says.
    pub(in crate::config) trust_remote_parent: Field<bool>,
    /// Default `appserver`.
    pub(in crate::config) service_name: Field<String>,
    /// Milliseconds, default 5000. Then the export has failed, and its spans are dropped.
    pub(in crate::config) timeout_ms: Field<u64>,
    /// Default 4096. A span beyond it is dropped.
    pub(in crate::config) max_queued_spans: Field<usize>,
}
