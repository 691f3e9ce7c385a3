//! A span in progress, and the task-local that makes it the parent of spans started within it.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind as Kind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span as OtlpSpan, Status};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::Tracer;
use super::parent::Parent;

/// OTLP's span flags: the trace is sampled, the flag below is set, and the parent is remote.
const SAMPLED: u32 = 0x01;
const REMOTE_KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

tokio::task_local! {
    /// The innermost span of the task; unset without a trace.
    static CURRENT: Span;
}

/// A span of a trace. It ends, and is exported if it is recorded, when its last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Span(Arc<SpanState>);

#[derive(Debug)]
struct SpanState {
    trace_id: [u8; 16],
    recording: Option<Recording>,
}

#[derive(Debug)]
struct Recording {
    span_id: [u8; 8],
    began: Instant,
    /// Locked to change the span, never across an await.
    span: Mutex<OtlpSpan>,
    tracer: Arc<Tracer>,
}

/// OpenTelemetry's kind of a span.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SpanKind {
    /// A request to this server.
    Server,
    /// A call to another service.
    Client,
    /// Work inside this server.
    Internal,
}

/// The ids of a recorded span, to link a later trace to it, maybe long after it has ended.
#[derive(Clone, Debug)]
pub(crate) struct SpanLink {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    tracer: Arc<Tracer>,
}

impl Span {
    /// The root of a new trace.
    pub(super) fn root(tracer: &Arc<Tracer>, kind: SpanKind) -> Self {
        Self::recorded(
            tracer,
            kind,
            rand::random(),
            OtlpSpan { flags: REMOTE_KNOWN, ..OtlpSpan::default() },
        )
    }

    /// The span of a request whose caller records the trace.
    pub(super) fn with_remote_parent(
        tracer: &Arc<Tracer>,
        parent: &Parent,
        trace_state: String,
    ) -> Self {
        let span = OtlpSpan {
            parent_span_id: parent.span_id.to_vec(),
            flags: REMOTE_KNOWN | REMOTE,
            trace_state,
            ..OtlpSpan::default()
        };
        Self::recorded(tracer, SpanKind::Server, parent.trace_id, span)
    }

    /// A span that is not recorded, of a trace whose id is known.
    pub(super) fn not_exported(trace_id: [u8; 16]) -> Self {
        Self(Arc::new(SpanState { trace_id, recording: None }))
    }

    fn recorded(tracer: &Arc<Tracer>, kind: SpanKind, trace_id: [u8; 16], span: OtlpSpan) -> Self {
        let span_id: [u8; 8] = rand::random();
        let now = tracer.clock.now().timestamp_nanos_opt().unwrap_or_default();
        let kind = match kind {
            SpanKind::Server => Kind::Server,
            SpanKind::Client => Kind::Client,
            SpanKind::Internal => Kind::Internal,
        };
        let span = OtlpSpan {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            kind: kind.into(),
            flags: SAMPLED | span.flags,
            start_time_unix_nano: u64::try_from(now).unwrap_or_default(),
            ..span
        };
        let recording = Recording {
            span_id,
            began: Instant::now(),
            span: Mutex::new(span),
            tracer: Arc::clone(tracer),
        };
        Self(Arc::new(SpanState { trace_id, recording: Some(recording) }))
    }

    /// The current span of the task.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// A child of this span.
    pub(crate) fn child(&self, name: &'static str, kind: SpanKind) -> Self {
        let Some(recording) = &self.0.recording else { return self.clone() };
        let span = OtlpSpan {
            parent_span_id: recording.span_id.to_vec(),
            trace_state: recording.span().trace_state.clone(),
            flags: REMOTE_KNOWN,
            name: name.to_owned(),
            ..OtlpSpan::default()
        };
        Self::recorded(&recording.tracer, kind, self.0.trace_id, span)
    }

    /// The target of a link to this span; none if it is not recorded.
    pub(crate) fn link_target(&self) -> Option<SpanLink> {
        let Recording { span_id, tracer, .. } = self.0.recording.as_ref()?;
        let tracer = Arc::clone(tracer);
        Some(SpanLink { trace_id: self.0.trace_id, span_id: *span_id, tracer })
    }

    /// The trace's id, as logs and headers write it.
    pub(crate) fn id(&self) -> String {
        hex::encode(self.0.trace_id)
    }

    /// Whether attributes are kept.
    pub(crate) fn is_recorded(&self) -> bool {
        self.0.recording.is_some()
    }

    pub(crate) fn rename(&self, name: String) {
        self.change(|span| span.name = name);
    }

    /// Sets a text attribute, named by the semantic conventions or with the prefix `appserver.`.
    pub(crate) fn set_text(&self, key: &'static str, text: &str) {
        self.change(|span| {
            span.attributes.push(attribute(key, Value::StringValue(text.to_owned())));
        });
    }

    pub(crate) fn set_number(&self, key: &'static str, number: i64) {
        self.change(|span| span.attributes.push(attribute(key, Value::IntValue(number))));
    }

    /// Marks the span as failed, with an `error.type` of a closed set.
    pub(crate) fn set_error(&self, kind: &'static str) {
        self.set_text("error.type", kind);
        self.set_failed();
    }

    /// Marks the span as failed without a type.
    pub(crate) fn set_failed(&self) {
        let status = Status { code: StatusCode::Error.into(), message: String::new() };
        self.change(|span| span.status = Some(status));
    }

    /// Adds a link to another span.
    pub(crate) fn link(&self, other: &SpanLink) {
        self.change(|span| span.links.push(other.link()));
    }

    /// Runs the work with this span as [`Span::current`].
    pub(crate) fn in_scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    fn change(&self, change: impl FnOnce(&mut OtlpSpan)) {
        if let Some(recording) = &self.0.recording {
            change(&mut recording.span());
        }
    }
}

impl Recording {
    fn span(&self) -> MutexGuard<'_, OtlpSpan> {
        // Every change is one step.
        self.span.lock()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let took = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut span = std::mem::take(&mut *self.span());
        span.end_time_unix_nano = span.start_time_unix_nano.saturating_add(took);
        self.tracer.ended(span);
    }
}

impl SpanLink {
    /// Starts a trace that links to this span.
    pub(crate) fn start_linked(&self, name: &'static str) -> Span {
        let trace = Span::root(&self.tracer, SpanKind::Internal);
        trace.rename(name.to_owned());
        trace.link(self);
        trace
    }

    fn link(&self) -> Link {
        Link {
            trace_id: self.trace_id.to_vec(),
            span_id: self.span_id.to_vec(),
            flags: SAMPLED | REMOTE_KNOWN,
            ..Link::default()
        }
    }
}

/// Wraps work for another task in a child of the current span.
pub(crate) fn in_child_span<F: Future>(
    name: &'static str,
    work: F,
) -> impl Future<Output = F::Output> {
    let part = Span::current().map(|trace| trace.child(name, SpanKind::Internal));
    async move {
        match part {
            Some(part) => part.in_scope(work).await,
            None => work.await,
        }
    }
}

/// The current trace's id, for the log.
pub(crate) fn current_trace_id() -> Option<String> {
    CURRENT.try_with(Span::id).ok()
}

pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
