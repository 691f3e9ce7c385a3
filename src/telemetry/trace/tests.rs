//! Sampling, and the bounded queue of ended spans.

use reqwest::header::HeaderName;

use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";

fn settings(sample_ratio: f64, trust_remote_parent: bool) -> TraceSettings {
    TraceSettings {
        collector: Collector::try_from("http://127.0.0.1:1".to_owned()).unwrap(),
        headers: HeaderMap::new(),
        sample_ratio,
        trust_remote_parent,
        service_name: "appserver".to_owned(),
        timeout: std::time::Duration::from_secs(1),
        max_queued: 8,
    }
}

fn traces(settings: TraceSettings) -> (Traces, Exporter, TraceMetrics) {
    let metrics = TraceMetrics::default();
    let (clock, egress) = (Clock::system(), Egress::default());
    let (traces, exporter) = Traces::to(settings, egress, clock, metrics.clone()).unwrap();
    (traces, exporter, metrics)
}

/// How many of a thousand requests are recorded, and how many get a span at all.
fn recorded(settings: TraceSettings, flags: Option<u8>) -> (usize, usize) {
    let (traces, _exporter, _) = traces(settings);
    let headers: HeaderMap = flags
        .map(|flags| {
            let value = format!("{PARENT}{flags}").parse().unwrap();
            (HeaderName::from_static("traceparent"), value)
        })
        .into_iter()
        .collect();
    let spans: Vec<_> = (0..1000).filter_map(|_| traces.start_request(&headers)).collect();
    (spans.iter().filter(|span| span.is_recorded()).count(), spans.len())
}

#[test]
fn a_trusted_callers_decision_precedes_the_ratio() {
    assert_eq!(recorded(settings(0.0, true), None), (0, 0));
    assert_eq!(recorded(settings(1.0, true), None), (1000, 1000));
    assert_eq!(recorded(settings(0.0, true), Some(1)), (1000, 1000));
    assert_eq!(recorded(settings(1.0, true), Some(0)), (0, 1000));
    // The decision of an untrusted caller is ignored.
    assert_eq!(recorded(settings(0.0, false), Some(1)), (0, 0));
    assert_eq!(recorded(settings(1.0, false), Some(0)), (1000, 1000));
    let (some, _) = recorded(settings(0.25, true), None);
    assert!((150..350).contains(&some), "{some}");
    assert!(Traces::default().start_request(&HeaderMap::new()).is_none());
}

#[test]
fn spans_beyond_a_full_queue_are_dropped_and_counted() {
    let (traces, exporter, metrics) = traces(settings(1.0, true));
    for _ in 0..100 {
        drop(traces.start_request(&HeaderMap::new()));
    }
    assert_eq!(metrics.count(SpanOutcome::QueueFull), 92);
    drop(exporter);
}

/// Each span is counted exactly once.
#[tokio::test]
async fn an_unreachable_collector_loses_the_spans_and_they_are_counted() {
    let (traces, exporter, metrics) = traces(settings(1.0, true));
    let stop = tokio_util::sync::CancellationToken::new();
    let exporter = tokio::spawn(exporter.run(stop.clone()));
    for _ in 0..5 {
        drop(traces.start_request(&HeaderMap::new()));
    }
    stop.cancel();
    exporter.await.unwrap();
    assert_eq!(metrics.count(SpanOutcome::ExportFailed), 5);
    assert_eq!(metrics.count(SpanOutcome::QueueFull), 0);
}

#[tokio::test]
async fn the_current_span_is_set_only_within_its_scope_and_in_child_tasks() {
    let (traces, _exporter, _) = traces(settings(1.0, true));
    let trace = traces.start_request(&HeaderMap::new()).unwrap();
    let id = trace.id();
    let in_child_span = trace.clone().in_scope(async {
        assert_eq!(current_trace_id(), Some(trace.id()));
        tokio::spawn(in_child_span("work", async { current_trace_id() })).await.unwrap()
    });
    assert_eq!(in_child_span.await, Some(id));
    assert_eq!(current_trace_id(), None);
}
