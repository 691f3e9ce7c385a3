//! `[tracing]`: where traces are exported.

use std::path::{Path, PathBuf};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::config::bounds::{Bounded, Millis, Spans};
use crate::config::field::{Clearable, Field};
use crate::config::problems::{Problem, Problems};
use crate::config::secret_file::read_secret;
use crate::config::secret_reads::SecretReads;
use crate::telemetry::{Collector, TraceSettings};

/// Spans, exported by OTLP over HTTP.
#[derive(Debug, Deserialize)]
pub(crate) struct RawTracing {
    /// Default empty: nothing is traced. A collector's base address; `/v1/traces` is added.
    otlp_endpoint: Field<Clearable<Collector>>,
    /// For collectors that require a key: holds `name=value` lines, sent as headers.
    headers_file: Field<Clearable<PathBuf>>,
    /// Default 0.05. The part of the requests without a sampling decision that is recorded.
    sample_ratio: Field<SampleRatio>,
    /// Default true. A request with a `traceparent` is recorded, or not, as that says.
    trust_remote_parent: Field<bool>,
    /// Default `appserver`.
    service_name: Field<ServiceName>,
    /// Default 5000. Then the export has failed, and its spans are dropped.
    timeout_ms: Field<Millis<100, 60_000>>,
    /// Default 4096. A span beyond it is dropped.
    max_queued_spans: Field<Bounded<Spans, 1, 1_000_000>>,
}

/// From 0 to 1.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "f64")]
struct SampleRatio(f64);

impl TryFrom<f64> for SampleRatio {
    type Error = String;

    fn try_from(ratio: f64) -> Result<Self, String> {
        let is_within = (0.0..=1.0).contains(&ratio);
        is_within
            .then_some(Self(ratio))
            .ok_or_else(|| format!("{ratio} is not between 0 and 1 of all requests"))
    }
}

/// 1 to 255 bytes.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct ServiceName(String);

impl TryFrom<String> for ServiceName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.len() {
            1..=255 => Ok(Self(name)),
            _ => Err("it must have 1 to 255 characters"),
        }
    }
}

const ENDPOINT: &str = "tracing.otlp_endpoint";
const HEADERS_FILE: &str = "tracing.headers_file";

/// Headers that the HTTP client sets itself.
const OURS: [&str; 4] = ["content-length", "content-type", "host", "transfer-encoding"];

/// The configured export, whose headers file is not read yet.
#[derive(Clone, Debug)]
pub(crate) struct TracingSource {
    settings: TraceSettings,
    headers_file: Option<PathBuf>,
}

/// The export; `None` inside where nothing is traced.
pub(crate) fn resolve(
    raw: RawTracing,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<Option<TracingSource>> {
    let is_off = matches!(raw.otlp_endpoint.given(), Some(Clearable(None)));
    let collector = problems.take_set(raw.otlp_endpoint);
    let headers_file = problems.take_set(raw.headers_file);
    if headers_file.is_some()
        && collector.as_ref().is_some_and(Collector::sends_plaintext_over_network)
    {
        problems.add(
            HEADERS_FILE,
            "the key in it would cross the network in the clear: `tracing.otlp_endpoint` must begin with `https://`",
        );
    }
    let sample_ratio = problems.require(raw.sample_ratio);
    let trust_remote_parent = problems.require(raw.trust_remote_parent);
    let service_name = problems.require(raw.service_name);
    let timeout = problems.require(raw.timeout_ms);
    let max_queued = problems.require(raw.max_queued_spans);
    if is_off {
        return Some(None);
    }
    let file = headers_file.clone();
    secret_reads.add(move || file.map(|file| read_headers(&file)).transpose());
    let settings = TraceSettings {
        collector: collector?,
        headers: HeaderMap::new(),
        sample_ratio: sample_ratio?.0,
        trust_remote_parent: trust_remote_parent?,
        service_name: service_name?.0,
        timeout: timeout?.into(),
        max_queued: max_queued?.get(),
    };
    Some(Some(TracingSource { settings, headers_file }))
}

impl TracingSource {
    /// Whether spans are exposed although the settings are valid.
    pub(crate) fn warning(&self) -> Option<Problem> {
        self.settings.collector.sends_plaintext_over_network().then(|| Problem {
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
        // Without the line itself: it may contain the key.
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
