//! `[tracing]`, resolved.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::config::bounds::number;
use crate::config::field::Field;
use crate::config::problems::{Problem, Problems};
use crate::config::secret_file::read_secret;
use crate::config::secret_reads::SecretReads;
use crate::telemetry::{Collector, TraceSettings};

/// Spans, exported by OTLP over HTTP.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawTracing {
    /// Default empty: nothing is traced. A collector's base address; `/v1/traces` is added.
    pub(crate) otlp_endpoint: Field<String>,
    /// For collectors that want a key: holds `name=value` lines, sent as headers.
    pub(crate) headers_file: Field<PathBuf>,
    /// 0.0 to 1.0, default 0.05. Of the requests that come without a decision.
    pub(crate) sample_ratio: Field<f64>,
    /// Default true. Requests with a `traceparent` are recorded, or not, as it says.
    pub(crate) trust_remote_parent: Field<bool>,
    /// Default `appserver`.
    pub(crate) service_name: Field<String>,
    /// Milliseconds, default 5000. Then the export has failed, and its spans are dropped.
    pub(crate) timeout_ms: Field<u64>,
    /// Default 4096. A span beyond it is dropped.
    pub(crate) max_queued_spans: Field<usize>,
}

const ENDPOINT: &str = "tracing.otlp_endpoint";
const HEADERS_FILE: &str = "tracing.headers_file";

/// Headers that say how a request is sent, which is not for a file to say.
const OURS: [&str; 4] = ["content-length", "content-type", "host", "transfer-encoding"];

/// The configured export, whose file is not read yet.
#[derive(Clone, Debug)]
pub(crate) struct TracingSource {
    settings: TraceSettings,
    headers_file: Option<PathBuf>,
}

/// What is wanted, if anything is.
pub(crate) fn resolve(
    raw: RawTracing,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<Option<TracingSource>> {
    let endpoint = problems.require(ENDPOINT, raw.otlp_endpoint);
    let wanted = endpoint.as_ref().is_none_or(|text: &String| !text.is_empty());
    let collector = endpoint.filter(|text| !text.is_empty()).and_then(|text| {
        Collector::try_from(text).map_err(|invalid| problems.add(ENDPOINT, invalid)).ok()
    });
    // Empty is how a later layer takes back what an earlier one set.
    let headers_file = problems.take(HEADERS_FILE, raw.headers_file);
    let headers_file = headers_file.filter(|path: &PathBuf| !path.as_os_str().is_empty());
    if headers_file.is_some() && collector.as_ref().is_some_and(Collector::is_readable_on_the_way) {
        problems.add(
            HEADERS_FILE,
            "the key in it would cross the network in the clear: `tracing.otlp_endpoint` must begin with `https://`",
        );
    }
    let ratio = raw.sample_ratio;
    let sample_ratio = number(problems, "tracing.sample_ratio", ratio, 0.0, 1.0, "of all requests");
    let trust_remote_parent =
        problems.require("tracing.trust_remote_parent", raw.trust_remote_parent);
    let service_name = problems.require("tracing.service_name", raw.service_name);
    if service_name.as_ref().is_some_and(|name: &String| name.is_empty() || name.len() > 255) {
        problems.add("tracing.service_name", "it must have 1 to 255 characters");
    }
    let timeout =
        number(problems, "tracing.timeout_ms", raw.timeout_ms, 100, 60_000, "milliseconds");
    let max_queued = raw.max_queued_spans;
    let max_queued =
        number(problems, "tracing.max_queued_spans", max_queued, 1, 1_000_000, "spans");
    if !wanted {
        return Some(None);
    }
    let file = headers_file.clone();
    secret_reads.add(move || file.map(|file| read_headers(&file)).transpose());
    let settings = TraceSettings {
        collector: collector?,
        headers: HeaderMap::new(),
        sample_ratio: sample_ratio?,
        trust_remote_parent: trust_remote_parent?,
        service_name: service_name?,
        timeout: timeout.map(Duration::from_millis)?,
        max_queued: max_queued?,
    };
    Some(Some(TracingSource { settings, headers_file }))
}

impl TracingSource {
    /// What is sound and still unwise.
    pub(crate) fn warnings(&self) -> Option<Problem> {
        self.settings.collector.is_readable_on_the_way().then(|| Problem {
            path: ENDPOINT.to_owned(),
            message:
                "spans cross the network in the clear; they hold no secret, but who calls and when"
                    .to_owned(),
        })
    }

    /// Reads the headers.
    pub(crate) fn read(&self) -> Result<TraceSettings, Problems> {
        let mut settings = self.settings.clone();
        if let Some(path) = &self.headers_file {
            settings.headers = read_headers(path)?;
        }
        Ok(settings)
    }
}

fn read_headers(path: &Path) -> Result<HeaderMap, Problems> {
    let text = read_secret(HEADERS_FILE, path)?;
    let mut headers = HeaderMap::new();
    for (number, line) in text.expose_secret().lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        // Not what stands there: that may be the key.
        let (name, value) = header(line).ok_or_else(|| {
            let at = format!("{}: line {}", path.display(), number + 1);
            Problems::one(HEADERS_FILE, format!("{at} is not `name=value`, as a header can be"))
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once('=')?;
    let name: HeaderName = name.trim().parse().ok()?;
    let mut value: HeaderValue = value.trim().parse().ok()?;
    value.set_sensitive(true);
    (!OURS.contains(&name.as_str()) && !value.is_empty()).then_some((name, value))
}
