//! A collector of traces that accepts OTLP over HTTP, or fails.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

use crate::stage::TIME_LIMIT;

/// How a collector answers exports.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    Accepts,
    /// It refuses the first exports, this many.
    RejectsFirst(i64),
    Refuses,
    NeverAnswers,
}

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// One export.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Collector {
    /// Stopped on drop.
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let ours = Arc::clone(&seen);
        let answer = move |request: Request| {
            let ours = Arc::clone(&ours);
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
                let path = parts.uri.to_string();
                ours.lock().unwrap().push(Seen { path, headers: parts.headers, body });
                let partial_success = match behaviour {
                    Behaviour::Accepts => None,
                    Behaviour::RejectsFirst(rejected_spans) => Some(ExportTracePartialSuccess {
                        rejected_spans,
                        error_message: "not these".to_owned(),
                    }),
                    Behaviour::Refuses => return (StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
                    Behaviour::NeverAnswers => std::future::pending().await,
                };
                let answer = ExportTraceServiceResponse { partial_success };
                (StatusCode::OK, answer.encode_to_vec())
            }
        };
        let routes = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The spans so far, in the order of their export.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let of_export = |seen: Seen| seen.decoded().resource_spans;
        let resources = self.seen().into_iter().flat_map(of_export);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// Waits for this many spans.
    pub(crate) async fn until(&self, count: usize) -> Vec<Span> {
        let come = async {
            while self.spans().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let come = tokio::time::timeout(TIME_LIMIT, come).await;
        let spans = self.spans();
        assert!(come.is_ok(), "only {} of {count} spans have come", spans.len());
        spans
    }
}

impl Seen {
    pub(crate) fn decoded(&self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest::decode(self.body.clone()).unwrap()
    }
}

/// Attributes as `name = value`, in their order.
pub(crate) fn attribute_lines(attributes: &[KeyValue]) -> Vec<String> {
    let value = |attribute: &KeyValue| match attribute.value.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("unexpected: {other:?}"),
    };
    attributes.iter().map(|attribute| format!("{} = {}", attribute.key, value(attribute))).collect()
}

/// A span on a few lines: its name, what it is below and linked to by their names, its attributes and its status.
pub(crate) fn span_text(span: &Span, among: &[Span]) -> String {
    let named = |id: &[u8]| {
        let found = among.iter().find(|other| other.span_id == id);
        found.map_or_else(|| hex::encode(id), |other| other.name.clone())
    };
    let mut lines = vec![format!("{} {:?}", span.name, SpanKind::try_from(span.kind).unwrap())];
    lines.push(format!("  below {}", named(&span.parent_span_id)));
    lines.extend(span.links.iter().map(|link| format!("  linked to {}", named(&link.span_id))));
    lines.extend(attribute_lines(&span.attributes).iter().map(|line| format!("  {line}")));
    lines.extend(span.status.iter().map(|status| format!("  status {}", status.code)));
    lines.join("\n")
}
