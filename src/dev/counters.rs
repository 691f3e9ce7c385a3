//! How well tokens are shared, in seven numbers.

use std::sync::Arc;

use serde::Serialize;

use crate::telemetry::Metrics;

/// `/dev/counters.json`.
#[derive(Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Counters {
    /// Tokens handed out.
    tokens: u64,
    /// Of these, from memory and fresh.
    hits: u64,
    /// Fetched from STS.
    misses: u64,
    /// Fetched by another server.
    shared: u64,
    /// Callers who waited for a call that was under way.
    joined: u64,
    /// AssumeRole calls, retries and refreshes ahead included.
    sts_calls: u64,
    /// Tokens for which STS was not asked.
    saved: u64,
}

impl Counters {
    pub(super) fn of(servers: &[Arc<Metrics>]) -> Self {
        let texts: Vec<_> = servers.iter().map(|metrics| metrics.encoded()).collect();
        Self::read(&texts)
    }

    /// Read from the text that Prometheus scrapes: the metrics themselves can be written and not read.
    fn read(texts: &[String]) -> Self {
        let sum = |name: &str, label: &str| -> u64 {
            let samples = texts.iter().flat_map(|text| text.lines()).filter_map(|line| {
                let (series, count) = line.rsplit_once(' ')?;
                let rest = series.strip_prefix(name)?;
                // Another metric's name may begin alike.
                let is_it = rest.is_empty() || rest.starts_with('{');
                (is_it && rest.contains(label)).then(|| count.parse::<u64>().ok())?
            });
            samples.sum()
        };
        let lookups =
            |outcome: &str| sum("appserver_vend_lookups_total", &format!("outcome=\"{outcome}\""));
        let tokens = sum("appserver_tokens_vended_total", "");
        let sts_calls = sum("appserver_sts_call_duration_seconds_count", r#"action="AssumeRole""#);
        Self {
            tokens,
            hits: lookups("hit"),
            misses: lookups("miss"),
            shared: lookups("shared"),
            joined: sum("appserver_vend_coalesced_total", ""),
            sts_calls,
            saved: tokens.saturating_sub(sts_calls),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::{Lookup, StsCall};

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
            for action in ["AssumeRole", "GetCallerIdentity"] {
                metrics.sts_call(&StsCall { action, outcome: "success" }, Duration::ZERO);
            }
            Arc::new(metrics)
        };
        let expected = Counters {
            tokens: 8,
            hits: 4,
            misses: 2,
            shared: 2,
            joined: 2,
            sts_calls: 2,
            saved: 6,
        };
        assert_eq!(Counters::of(&[server(), server()]), expected);
        assert_eq!(Counters::of(&[Arc::new(Metrics::new())]), Counters::default());
    }
}
