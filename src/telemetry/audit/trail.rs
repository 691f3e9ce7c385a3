//! What requests call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::health::Health;
use super::line::{self, Decision, Request, Source, TokenPart};
use super::queue::{Queue, Share};
use super::settings::{AuditSettings, OnFailure};
use super::sink::Sink;
use super::writer;
use crate::telemetry::AuditMetrics;

/// How long a request that must have its line waits for room: a burst passes, an outage is not waited for.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long the end of the server waits for the last lines.
const DRAIN: Duration = Duration::from_secs(3);

/// The audit, or none.
#[derive(Clone, Debug)]
pub(crate) struct Audit(Option<Arc<Trail>>);

/// An audit that is written.
#[derive(Debug)]
pub(crate) struct Trail {
    common: Arc<Common>,
    on_failure: OnFailure,
    /// The end of every line.
    tail: String,
    /// Resolves when the writer has ended.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

/// What requests and the writer share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) queue: Queue,
    pub(super) health: Health,
    pub(super) metrics: AuditMetrics,
    /// Counts files, or whatever lines go to: each is to say of its tokens what they may do.
    file: AtomicU64,
}

/// The line of a token cannot be written, and without it no token leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the audit takes no line")]
pub(crate) struct Unrecorded;

impl Audit {
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Starts the writer. What is wrong with its sink shows in the log and in [`Audit::is_broken`], and is tried again.
    pub(crate) fn start(settings: AuditSettings, metrics: AuditMetrics) -> Self {
        let AuditSettings { sink, on_failure, buffer_lines, instance } = settings;
        let common = Arc::new(Common {
            queue: Queue::new(buffer_lines),
            health: Health::new(),
            metrics,
            file: AtomicU64::new(1),
        });
        let (writers, sink) = (Arc::clone(&common), Sink::new(sink));
        let (ending, ended) = oneshot::channel();
        let writer = move || {
            writer::run(&writers, sink);
            // Nobody may be there to hear it.
            let _ = ending.send(());
        };
        let thread = std::thread::Builder::new().name("audit".into());
        thread.spawn(writer).expect("the system gives us threads");
        let (tail, ended) = (line::tail(&instance), Mutex::new(Some(ended)));
        Self(Some(Arc::new(Trail { common, on_failure, tail, ended })))
    }

    /// The audit, if there is one.
    pub(crate) fn trail(&self) -> Option<&Trail> {
        self.0.as_deref()
    }

    /// Whether lines cannot be written at the moment.
    pub(crate) fn is_broken(&self) -> bool {
        self.trail().is_some_and(|trail| trail.common.health.is_broken())
    }

    /// Whether no token can leave for it.
    pub(crate) fn is_shut(&self) -> bool {
        self.trail().is_some_and(|trail| trail.check().is_err())
    }

    /// Brings the gauges up to date, for who reads the metrics.
    pub(crate) fn measure(&self) {
        if let Some(trail) = self.trail() {
            let Common { queue, metrics, .. } = &*trail.common;
            metrics.measured(queue.len(), self.is_broken());
        }
    }

    /// Has the last lines written, for as long as a stop may wait for them.
    pub(crate) async fn close(&self) {
        let Some(trail) = self.trail() else { return };
        let Common { queue, metrics, .. } = &*trail.common;
        queue.close();
        let ended = trail.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ended) = ended else { return };
        if timeout(DRAIN, ended).await.is_err() {
            queue.abandon();
            let lines = queue.len();
            metrics.lost(lines);
            tracing::error!(lines, "the audit could not be written to its end");
        }
    }
}

impl Trail {
    /// Whether a token may leave at all, before anything is spent on it.
    pub(crate) fn check(&self) -> Result<(), Unrecorded> {
        match self.on_failure {
            OnFailure::Continue => Ok(()),
            OnFailure::Refuse if self.common.health.is_broken() => Err(Unrecorded),
            OnFailure::Refuse => Ok(()),
        }
    }

    /// A token is about to leave. It may if this says so, and then its line is on its way.
    pub(crate) async fn vended(
        &self,
        request: Request<'_>,
        source: Source,
        token: &TokenPart,
        policy: &str,
    ) -> Result<(), Unrecorded> {
        let file = self.common.file.load(Ordering::Relaxed);
        let untold = token.is_untold(file);
        let policy = untold.then_some(policy);
        let line = line::written(&request, &Decision::Vended { source, token, policy }, &self.tail);
        if self.recorded(&line).await? && untold {
            token.told(file);
        }
        Ok(())
    }

    /// A ticket is about to leave: the same.
    pub(crate) async fn issued(
        &self,
        request: Request<'_>,
        expires: DateTime<Utc>,
    ) -> Result<(), Unrecorded> {
        let line = line::written(&request, &Decision::Issued { expires }, &self.tail);
        self.recorded(&line).await.map(drop)
    }

    /// Whether the line is on its way; an error, if without it nothing may leave.
    async fn recorded(&self, line: &str) -> Result<bool, Unrecorded> {
        self.check()?;
        if self.common.queue.push(line, Share::All) {
            return Ok(true);
        }
        match self.on_failure {
            OnFailure::Continue => {
                self.common.lose_one();
                Ok(false)
            }
            // Boxed: requests that find room have none for it.
            OnFailure::Refuse => Box::pin(self.push_patiently(line)).await.map(|()| true),
        }
    }

    /// A token that will not leave. Its line is written if there is room.
    pub(crate) fn denied(&self, request: Request<'_>, decision: &Decision<'_>) {
        let line = line::written(&request, decision, &self.tail);
        if !self.common.queue.push(&line, Share::Most) {
            self.common.lose_one();
        }
    }

    async fn push_patiently(&self, line: &str) -> Result<(), Unrecorded> {
        let until = Instant::now() + PATIENCE;
        loop {
            // Made before the look: room that comes in between is not missed.
            let room = self.common.queue.room();
            if self.common.queue.push(line, Share::All) {
                return Ok(());
            }
            self.check()?;
            if timeout_at(until, room).await.is_err() {
                self.common.health.crowded();
                return Err(Unrecorded);
            }
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        self.common.queue.close();
    }
}

impl Common {
    fn lose_one(&self) {
        self.metrics.lost(1);
        self.health.crowded();
    }

    /// What is written from now on stands elsewhere.
    pub(super) fn next_file(&self) {
        self.file.fetch_add(1, Ordering::Relaxed);
    }
}
