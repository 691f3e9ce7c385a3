//! The two text formats of metrics, and their negotiation.

use std::collections::HashSet;

/// The text format of a response to a scraper.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MetricsFormat {
    /// OpenMetrics 1.0, which Prometheus requests and `prometheus-client` writes.
    OpenMetrics,
    /// Prometheus's text format 0.0.4, for all other scrapers and `promtool`.
    Text,
}

impl MetricsFormat {
    /// The format for a request with this `Accept`.
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        let open = |accept: &str| accept.contains("application/openmetrics-text");
        if accept.is_some_and(open) { Self::OpenMetrics } else { Self::Text }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Converts the output of `prometheus-client` to this format.
    pub(crate) fn write(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => to_text(&open_metrics),
        }
    }
}

/// The two differ in their comments alone: OpenMetrics describes a counter without the `_total` of its samples, and has
/// units and an end mark.
fn to_text(open_metrics: &str) -> String {
    let types = open_metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let counters: HashSet<&str> = types.filter_map(|line| line.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let comment = ["# HELP ", "# TYPE "].into_iter().find(|start| line.starts_with(start));
        match comment.and_then(|start| Some((start, line[start.len()..].split_once(' ')?))) {
            Some((start, (name, rest))) if counters.contains(name) => {
                text.extend([start, name, "_total ", rest, "\n"]);
            }
            None if line.starts_with("# ") => {}
            Some(_) | None => text.extend([line, "\n"]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_open_metrics_only_on_request() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (Some(prometheus), MetricsFormat::OpenMetrics),
            (Some("text/plain;version=0.0.4"), MetricsFormat::Text),
            (Some("*/*"), MetricsFormat::Text),
            (None, MetricsFormat::Text),
        ] {
            assert_eq!(MetricsFormat::accepted(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn the_text_format_names_counters_like_their_samples_and_has_no_units_and_no_end_mark() {
        let open_metrics = "\
# HELP requests Requests, # TYPE a counter.
# TYPE requests counter
requests_total{code=\"# HELP requests\"} 1
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_sum 0.5
wait_seconds_count 1
wait_seconds_bucket{le=\"+Inf\"} 1
# EOF
";
        insta::assert_snapshot!(MetricsFormat::Text.write(open_metrics.to_owned()), @r##"
        # HELP requests_total Requests, # TYPE a counter.
        # TYPE requests_total counter
        requests_total{code="# HELP requests"} 1
        # HELP wait_seconds Waits.
        # TYPE wait_seconds histogram
        wait_seconds_sum 0.5
        wait_seconds_count 1
        wait_seconds_bucket{le="+Inf"} 1
        "##);
    }
}
