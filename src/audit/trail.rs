//! What requests call.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::health::Health;
use super::line::{self, Decision, Request, Source, TokenFields};
use super::queue::{Batch, Queue, TokenPolicy};
use super::refusals::{Noted, Refusals};
use super::settings::{AuditSettings, Durability, OnFailure};
use super::sink::Sinks;
use super::writer;
use crate::telemetry::AuditMetrics;

/// How long a request that must have its line waits for room: a burst passes, and so does a moment in which the writer
/// gets no CPU. A sink that is broken is not waited for.
const ROOM_WITHIN: Duration = Duration::from_secs(2);
/// How long a request waits until its line is written, if it may leave without.
const WRITTEN_WITHIN: Duration = Duration::from_millis(250);
/// Between two looks of one who waits.
const LOOK: Duration = Duration::from_millis(100);
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
    /// Resolves when the writer has ended.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

/// What requests and the writer share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) queue: Queue,
    pub(super) refusals: Refusals,
    pub(super) health: Health,
    pub(super) metrics: AuditMetrics,
    pub(super) durability: Durability,
    /// The end of every line.
    pub(super) tail: String,
}

/// The line of a token cannot be written, and without it no token leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AuditUnavailable {
    #[error("the audit's sink fails")]
    Failing,
    #[error("the audit's sink takes nothing")]
    Stalled,
    /// It is there and slower than lines come.
    #[error("as many lines wait for the audit's sink as may (`audit.buffer_lines`)")]
    Full,
}

impl AuditUnavailable {
    /// For metrics and the log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Failing => "audit_failing",
            Self::Stalled => "audit_stalled",
            Self::Full => "audit_full",
        }
    }
}

/// How long somebody still waits, in looks.
///
/// Not until a deadline: a process that gets no CPU, or was stopped, finds its deadlines passed when it wakes, before the
/// writer has had a moment. That costs one look here.
struct Patience(Duration);

impl Patience {
    /// Waits for the change, for a look at most.
    async fn wait(&mut self, change: impl Future) {
        let (began, look) = (Instant::now(), self.0.min(LOOK));
        // Whoever waits looks again either way.
        let _ = timeout(look, change).await;
        self.0 -= began.elapsed().min(look);
    }

    fn is_over(&self) -> bool {
        self.0.is_zero()
    }
}

impl Audit {
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Starts the writer. What is wrong with its sink shows in the log and in [`Audit::is_broken`], and is tried again.
    pub(crate) fn start(settings: AuditSettings, metrics: AuditMetrics) -> Self {
        let AuditSettings {
            sink,
            on_failure,
            durability,
            buffer_lines,
            refusals_per_second,
            instance,
        } = settings;
        let tail = line::tail(&instance);
        let common = Common::new(buffer_lines, durability, refusals_per_second, tail, metrics);
        let common = Arc::new(common);
        let (writers, sinks) = (Arc::clone(&common), Sinks::new(sink, durability));
        let (ending, ended) = oneshot::channel();
        let writer = move || {
            writer::run(&writers, sinks);
            // Nobody may be there to hear it.
            let _ = ending.send(());
        };
        let thread = std::thread::Builder::new().name("audit".into());
        thread.spawn(writer).expect("the system gives us threads");
        let ended = Mutex::new(Some(ended));
        Self(Some(Arc::new(Trail { common, on_failure, ended })))
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
        let ended = trail.ended.lock().take();
        let Some(ended) = ended else { return };
        if timeout(DRAIN, ended).await.is_err() {
            queue.abandon();
            let lines = queue.len();
            metrics.lost(lines);
            tracing::error!(audit.lines = lines, "the audit could not be written to its end");
        }
    }
}

impl Trail {
    /// Whether a token may leave at all, before anything is spent on it.
    pub(crate) fn check(&self) -> Result<(), AuditUnavailable> {
        match self.on_failure {
            OnFailure::Continue => Ok(()),
            OnFailure::Refuse => self.common.health.trouble().map_or(Ok(()), Err),
        }
    }

    /// A token is about to leave. It may if this says so, and then its line is where [`Durability`] wants it. If not, its
    /// line may still be written, and that of the request's failure comes after it.
    pub(crate) async fn vended(
        &self,
        request: Request<'_>,
        source: Source,
        token: &Arc<TokenFields>,
        policy: String,
    ) -> Result<(), AuditUnavailable> {
        let decision = Decision::Vended { source, token };
        self.recorded(
            &request,
            &decision,
            Some(TokenPolicy { token: Arc::clone(token), text: policy }),
        )
        .await
    }

    /// A ticket is about to leave: the same.
    pub(crate) async fn issued(
        &self,
        request: Request<'_>,
        expires: DateTime<Utc>,
    ) -> Result<(), AuditUnavailable> {
        self.recorded(&request, &Decision::Issued { expires }, None).await
    }

    /// An error, if without its line nothing may leave, and the line is not there.
    async fn recorded(
        &self,
        request: &Request<'_>,
        decision: &Decision<'_>,
        mut policy: Option<TokenPolicy>,
    ) -> Result<(), AuditUnavailable> {
        self.check()?;
        let line = &line::written(request, decision, &self.common.tail);
        let batch = match (self.common.queue.push(line, &mut policy), self.on_failure) {
            (Some(batch), _) => batch,
            (None, OnFailure::Continue) => {
                self.common.lose_one();
                return Ok(());
            }
            // Boxed: requests that find room have none for it.
            (None, OnFailure::Refuse) => Box::pin(self.push_patiently(line, policy)).await?,
        };
        request.is_granted.store(true, Ordering::Relaxed);
        match self.common.durability {
            Durability::Queue => Ok(()),
            // Boxed: a request that has not come so far has no room for it.
            Durability::Process | Durability::Disk => Box::pin(self.written(&batch)).await,
        }
    }

    /// Waits until the lines are written. Where nothing may leave before, that is as long as the sink is sound; a request
    /// has its own time-out.
    async fn written(&self, batch: &Batch) -> Result<(), AuditUnavailable> {
        let mut patience = match self.on_failure {
            OnFailure::Refuse => Patience(Duration::MAX),
            // They wait on, and may still be written.
            OnFailure::Continue => Patience(WRITTEN_WITHIN),
        };
        loop {
            // Made before the look, as below.
            let changed = batch.changed();
            if batch.is_written() {
                return Ok(());
            }
            match (self.common.health.trouble(), self.on_failure) {
                (Some(trouble), OnFailure::Refuse) => return Err(trouble),
                (Some(_), OnFailure::Continue) => return Ok(()),
                (None, _) if patience.is_over() => return Ok(()),
                (None, _) => patience.wait(changed).await,
            }
        }
    }

    /// Something that will not leave. Its line is written if there is room, and beyond a rate together with others. One
    /// that takes back what an earlier line of its request says is written in any case.
    pub(crate) fn denied(&self, request: Request<'_>, decision: &Decision<'_>) {
        let Common { queue, refusals, tail, .. } = &*self.common;
        if request.is_granted.load(Ordering::Relaxed) {
            let line = line::written(&request, decision, tail);
            if !queue.push_taken_back(&line) {
                self.common.lose_one();
            }
            return;
        }
        match refusals.note(&request, decision, tail, Instant::now()) {
            Noted::Line(line) if queue.push_refused(&line) => {}
            Noted::Line(_) => self.common.lose_one(),
            Noted::Counted(true) => queue.count(),
            Noted::Counted(false) => {}
        }
    }

    async fn push_patiently(
        &self,
        line: &str,
        mut policy: Option<TokenPolicy>,
    ) -> Result<Arc<Batch>, AuditUnavailable> {
        let mut patience = Patience(ROOM_WITHIN);
        loop {
            // Made before the look: room that comes in between is not missed.
            let room = self.common.queue.room();
            if let Some(batch) = self.common.queue.push(line, &mut policy) {
                return Ok(batch);
            }
            self.check()?;
            if patience.is_over() {
                self.common.health.crowded();
                return Err(AuditUnavailable::Full);
            }
            patience.wait(room).await;
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        self.common.queue.close();
    }
}

impl Common {
    pub(super) fn new(
        buffer_lines: usize,
        durability: Durability,
        refusals_per_second: NonZeroU32,
        tail: String,
        metrics: AuditMetrics,
    ) -> Self {
        Self {
            queue: Queue::new(buffer_lines, durability != Durability::Queue),
            refusals: Refusals::new(refusals_per_second),
            health: Health::new(),
            metrics,
            durability,
            tail,
        }
    }

    fn lose_one(&self) {
        self.metrics.lost(1);
        self.health.crowded();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::audit::queue::Lines;

    /// One whose queue has one place, and whose writer is the test.
    fn trail(durability: Durability) -> Arc<Trail> {
        let metrics = AuditMetrics::default();
        let common = Common::new(1, durability, NonZeroU32::MIN, String::new(), metrics);
        let (common, ended) = (Arc::new(common), Mutex::default());
        Arc::new(Trail { common, on_failure: OnFailure::Refuse, ended })
    }

    impl Trail {
        fn write_all(&self) {
            let mut lines = Lines::default();
            self.common.queue.take(&mut lines);
            self.common.queue.written(lines.granted());
            self.common.queue.done();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_two_seconds_for_room_and_is_told_that_there_was_none() {
        let trail = trail(Durability::Queue);
        assert!(trail.common.queue.push("1\n", &mut None).is_some());
        let began = Instant::now();
        let refused = trail.push_patiently("2\n", None).await.unwrap_err();
        assert_eq!((refused, began.elapsed()), (AuditUnavailable::Full, ROOM_WITHIN));
    }

    /// T60: a process that was not run for a minute finds all its timers due, and its writer has not had a moment.
    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_process_was_not_run_is_no_waiting() {
        let trail = trail(Durability::Process);
        let waiting = |line: &'static str| {
            let trail = Arc::clone(&trail);
            tokio::spawn(async move {
                let batch = trail.push_patiently(line, None).await?;
                trail.written(&batch).await
            })
        };
        let (first, second) = (waiting("1\n"), waiting("2\n"));
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(60)).await;
            // Whatever is due has its turn before the writer does.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        assert!(!first.is_finished() && !second.is_finished());
        trail.write_all();
        assert_eq!(first.await.unwrap(), Ok(()));
        while trail.common.queue.len() == 0 {
            tokio::task::yield_now().await;
        }
        trail.write_all();
        assert_eq!(second.await.unwrap(), Ok(()));
    }
}
