//! Counters of token sharing, read from the servers' metrics.

use std::sync::Arc;

use serde::Serialize;

use crate::telemetry::Metrics;

/// `/dev/counters.json`.
#[derive(Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Counters {
    /// Vended tokens.
    tokens: u64,
    /// Lookups answered from the cache.
    hits: u64,
    /// Lookups that needed STS.
    misses: u64,
    /// Lookups answered by a token of another server.
    shared: u64,
    /// Callers that waited for a call in flight.
    joined: u64,
    /// Signed upload forms and URLs.
    signed: u64,
    /// AssumeRole calls, including retries and refresh-ahead.
    sts_calls: u64,
    /// Tokens, forms and URLs that needed no STS call.
    saved: u64,
}

impl Counters {
    pub(super) fn of(servers: &[Arc<Metrics>]) -> Self {
        let texts: Vec<_> = servers.iter().map(|metrics| metrics.encoded()).collect();
        Self::read(&texts)
    }

    /// Reads the Prometheus text: the metrics themselves are write-only.
    fn read(texts: &[String]) -> Self {
        let sum = |name: &str, label: &str| -> u64 {
            let samples = texts.iter().flat_map(|text| text.lines()).filter_map(|line| {
                let (series, count) = line.rsplit_once(' ')?;
                let rest = series.strip_prefix(name)?;
                // Another metric's name can have the same prefix.
                let is_series = rest.is_empty() || rest.starts_with('{');
                (is_series && rest.contains(label)).then(|| count.parse::<u64>().ok())?
            });
            samples.sum()
        };
        let lookups =
            |outcome: &str| sum("appserver_vend_lookups_total", &format!("outcome=\"{outcome}\""));
        let tokens = sum("appserver_tokens_vended_total", "");
        let signed =
            sum("appserver_uploads_signed_total", "") + sum("appserver_urls_signed_total", "");
        let sts_calls = sum("appserver_sts_call_duration_seconds_count", r#"action="AssumeRole""#);
        Self {
            tokens,
            hits: lookups("hit"),
            misses: lookups("miss"),
            shared: lookups("shared"),
            joined: sum("appserver_vend_coalesced_total", ""),
            signed,
            sts_calls,
            saved: (tokens + signed).saturating_sub(sts_calls),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::{Lookup, StsCall};
    use appserver_domain::UpstreamName;

    #[test]
    fn the_counters_of_all_servers_are_read_from_their_metrics() {
        let server = || {
            let metrics = Metrics::new();
            let (client, grant) = ("client-002".parse().unwrap(), "daily-photos".parse().unwrap());
            for outcome in [Lookup::Miss, Lookup::Hit, Lookup::Hit, Lookup::Shared] {
                metrics.vend.looked_up(outcome);
                metrics.vended(&client, &grant);
            }
            metrics.vend.coalesced();
            metrics.upload_signed(&client, &grant);
            for action in ["AssumeRole", "GetCallerIdentity"] {
                metrics.sts_call(
                    &StsCall::new(action, "success", &UpstreamName::default()),
                    Duration::ZERO,
                );
            }
            Arc::new(metrics)
        };
        let expected = Counters {
            tokens: 8,
            hits: 4,
            misses: 2,
            shared: 2,
            joined: 2,
            signed: 2,
            sts_calls: 2,
            saved: 8,
        };
        assert_eq!(Counters::of(&[server(), server()]), expected);
        assert_eq!(Counters::of(&[Arc::new(Metrics::new())]), Counters::default());
    }
}
