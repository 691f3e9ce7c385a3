//! The audit as requests use it: a token leaves only after its line is recorded as configured.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::grant_line::GrantRecord;
use super::health::AuditUnavailable;
use super::identity_line::IdentityRecord;
use super::line::{self, Decision, Request, TokenFields};
use super::names::UserNames;
use super::queue::{Batch, TokenPolicy};
use super::refusals::RefusalOutcome;
use super::settings::{AuditSettings, Durability, OnFailure};
use super::shared::Shared;
use super::sink::Sinks;
use super::upload_line::UploadedRecord;
use super::writer;
use crate::telemetry::AuditMetrics;
use crate::vend::TokenSource;
use appserver_domain::clock::Clock;

/// How long a request waits for space in the queue where no token may leave without its line: bursts pass, and so do
/// moments in which the writer gets no CPU. A request does not wait for an unavailable sink.
const MAX_WAIT_FOR_SPACE: Duration = Duration::from_secs(2);
/// How long a request waits until its line is written, where a token may leave without it.
const MAX_WAIT_FOR_WRITE: Duration = Duration::from_millis(250);
/// The interval at which a waiting request checks again.
const RECHECK: Duration = Duration::from_millis(100);
/// How long a stopping server waits for the last lines.
const DRAIN: Duration = Duration::from_secs(3);

/// The audit, if it is enabled.
#[derive(Clone, Debug)]
pub(crate) struct Audit(Option<Arc<Trail>>);

/// An enabled audit.
#[derive(Debug)]
pub(crate) struct Trail {
    shared: Arc<Shared>,
    on_failure: OnFailure,
    names: UserNames,
    /// Resolves when the writer ends.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

/// The time that a request may still wait, spent in steps of [`RECHECK`].
///
/// Not a deadline: a process that was stopped or got no CPU finds its deadlines passed before the writer could run. Here
/// that costs one step.
struct WaitBudget(Duration);

impl WaitBudget {
    /// Waits for the change, for one step at most.
    async fn wait(&mut self, change: impl Future) {
        let (began, look) = (Instant::now(), self.0.min(RECHECK));
        // The caller checks again either way.
        let _ = timeout(look, change).await;
        self.0 -= began.elapsed().min(look);
    }

    fn is_spent(&self) -> bool {
        self.0.is_zero()
    }
}

impl Audit {
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Starts the writer. Failures of the sink are logged, reported by [`Audit::is_unavailable`], and retried.
    pub(crate) fn start(
        settings: AuditSettings,
        names: UserNames,
        clock: &Clock,
        metrics: AuditMetrics,
    ) -> Self {
        let AuditSettings {
            sink,
            on_failure,
            durability,
            buffer_lines,
            refusals_per_second,
            instance,
        } = settings;
        let tail = line::tail(&instance);
        let shared = Shared::new(buffer_lines, durability, refusals_per_second, tail, metrics);
        let shared = Arc::new(shared);
        let (writers, sinks) = (Arc::clone(&shared), Sinks::new(sink, durability, clock));
        let (ending, ended) = oneshot::channel();
        let writer = move || {
            writer::run(&writers, sinks);
            // The receiver may be gone.
            let _ = ending.send(());
        };
        let thread = std::thread::Builder::new().name("audit".into());
        thread.spawn(writer).expect("the system gives us threads");
        let ended = Mutex::new(Some(ended));
        Self(Some(Arc::new(Trail { shared, on_failure, names, ended })))
    }

    /// The audit, if it is enabled.
    pub(crate) fn trail(&self) -> Option<&Trail> {
        self.0.as_deref()
    }

    /// Whether the sink does not accept lines now.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.trail().is_some_and(|trail| trail.shared.health.is_unavailable())
    }

    /// Whether the audit lets no token leave now.
    pub(crate) fn blocks_tokens(&self) -> bool {
        self.trail().is_some_and(|trail| trail.check().is_err())
    }

    /// Updates the gauges; called for each scrape.
    pub(crate) fn measure(&self) {
        if let Some(trail) = self.trail() {
            let Shared { queue, metrics, .. } = &*trail.shared;
            metrics.measured(queue.len(), self.is_unavailable());
        }
    }

    /// Waits until the last lines are written, for [`DRAIN`] at most.
    pub(crate) async fn close(&self) {
        let Some(trail) = self.trail() else { return };
        let Shared { queue, metrics, .. } = &*trail.shared;
        queue.close();
        let ended = trail.ended.lock().take();
        let Some(ended) = ended else { return };
        if timeout(DRAIN, ended).await.is_err() {
            queue.abandon();
            let lines = queue.len();
            metrics.lost(lines);
            tracing::error!(
                audit.lines = lines,
                "audit lines could not be written before the stop; they are lost"
            );
        }
    }
}

impl Trail {
    /// How lines name users, for the members that a request prepares.
    pub(crate) fn names(&self) -> &UserNames {
        &self.names
    }

    /// Whether a token could leave now; checked before anything is spent on it.
    pub(crate) fn check(&self) -> Result<(), AuditUnavailable> {
        match self.on_failure {
            OnFailure::Continue => Ok(()),
            OnFailure::Refuse => self.shared.health.unavailable().map_or(Ok(()), Err),
        }
    }

    /// Records that a token leaves. It may leave only if this succeeds; its line is then as durable as [`Durability`] says.
    /// After an error the line may still be written, followed by the line of the request's failure.
    pub(crate) async fn vended(
        &self,
        request: Request<'_>,
        source: TokenSource,
        token: &Arc<TokenFields>,
        policy: String,
    ) -> Result<(), AuditUnavailable> {
        let decision = Decision::Vended { source, token };
        let policy = TokenPolicy { token: Arc::clone(token), text: policy };
        self.record(&request, &decision, self.names.are_plain().then_some(policy)).await
    }

    /// Records that a ticket leaves, in the same way.
    pub(crate) async fn issued(
        &self,
        request: Request<'_>,
        expires: DateTime<Utc>,
    ) -> Result<(), AuditUnavailable> {
        self.record(&request, &Decision::Issued { expires }, None).await
    }

    /// Records an upload that is about to be forwarded, in the same way.
    pub(crate) async fn uploaded(
        &self,
        record: &UploadedRecord<'_>,
    ) -> Result<(), AuditUnavailable> {
        self.check()?;
        match self.queued(&record.line(&self.names, &self.shared.tail), None).await? {
            Some(batch) => self.wait_as_configured(&batch).await,
            None => Ok(()),
        }
    }

    /// Records the next step of that upload. Nothing waits for its line; without space it is counted as lost.
    pub(crate) fn upload_step(&self, record: &UploadedRecord<'_>) {
        let line = record.line(&self.names, &self.shared.tail);
        if self.shared.queue.push(&line, &mut None).is_none() {
            self.shared.count_lost();
        }
    }

    /// Records that a form or a URL leaves, in the same way.
    pub(crate) async fn signed(
        &self,
        request: Request<'_>,
        members: &str,
    ) -> Result<(), AuditUnavailable> {
        self.record(&request, &Decision::Signed { members }, None).await
    }

    /// Fails only where nothing may leave without its line.
    async fn record(
        &self,
        request: &Request<'_>,
        decision: &Decision<'_>,
        policy: Option<TokenPolicy>,
    ) -> Result<(), AuditUnavailable> {
        self.check()?;
        let subject = self.subject_of(request);
        let named = Request { subject: subject.as_deref(), ..*request };
        let line = &line::format(&named, decision, &self.shared.tail);
        let Some(batch) = self.queued(line, policy).await? else { return Ok(()) };
        request.is_granted.store(true, Ordering::Relaxed);
        self.wait_as_configured(&batch).await
    }

    /// The batch of the queued line; `None` where it is lost and may be.
    async fn queued(
        &self,
        line: &str,
        mut policy: Option<TokenPolicy>,
    ) -> Result<Option<Arc<Batch>>, AuditUnavailable> {
        Ok(match (self.shared.queue.push(line, &mut policy), self.on_failure) {
            (Some(batch), _) => Some(batch),
            (None, OnFailure::Continue) => {
                self.shared.count_lost();
                None
            }
            // Boxed: keeps the future of requests that find space small.
            (None, OnFailure::Refuse) => Some(Box::pin(self.push_when_space(line, policy)).await?),
        })
    }

    async fn wait_as_configured(&self, batch: &Batch) -> Result<(), AuditUnavailable> {
        match self.shared.durability {
            Durability::Queue => Ok(()),
            // Boxed for the same reason.
            Durability::Process | Durability::Disk => {
                Box::pin(self.wait_until_written(batch)).await
            }
        }
    }

    /// Waits until the lines are written. Where nothing may leave before, it waits for as long as the sink is available; the
    /// request has its own time-out.
    async fn wait_until_written(&self, batch: &Batch) -> Result<(), AuditUnavailable> {
        let mut budget = match self.on_failure {
            OnFailure::Refuse => WaitBudget(Duration::MAX),
            // The lines stay queued and may still be written.
            OnFailure::Continue => WaitBudget(MAX_WAIT_FOR_WRITE),
        };
        loop {
            // Subscribed before the check, as below.
            let changed = batch.changed();
            if batch.is_written() {
                return Ok(());
            }
            match (self.shared.health.unavailable(), self.on_failure) {
                (Some(unavailable), OnFailure::Refuse) => return Err(unavailable),
                (Some(_), OnFailure::Continue) => return Ok(()),
                (None, _) if budget.is_spent() => return Ok(()),
                (None, _) => budget.wait(changed).await,
            }
        }
    }

    /// Records that a reload changes a grant; called before the change is active. The line is queued even
    /// if there is no space for tokens, up to a bound, and keeps its place before those of later tokens.
    pub(crate) fn grant_changed(&self, record: &GrantRecord<'_>) {
        if !self.shared.queue.push_grant(&record.line(&self.shared.tail)) {
            self.shared.count_lost();
        }
    }

    /// Records which credentials sign from now on. The line has the space of changed grants: there are few of them.
    pub(crate) fn identity_changed(&self, record: &IdentityRecord<'_>) {
        if !self.shared.queue.push_grant(&record.line(&self.shared.tail)) {
            self.shared.count_lost();
        }
    }

    /// Records that nothing leaves. The line is written if there is space, and beyond a rate together with others. A line
    /// that retracts an earlier line of the same request is always queued.
    pub(crate) fn denied(&self, request: Request<'_>, decision: &Decision<'_>) {
        let Shared { queue, refusals, tail, .. } = &*self.shared;
        let subject = self.subject_of(&request);
        let request = Request { subject: subject.as_deref(), ..request };
        if request.is_granted.load(Ordering::Relaxed) {
            let line = line::format(&request, decision, tail);
            if !queue.push_retraction(&line) {
                self.shared.count_lost();
            }
            return;
        }
        match refusals.record(&request, decision, tail, Instant::now()) {
            RefusalOutcome::Line(line) if queue.push_refused(&line) => {}
            RefusalOutcome::Line(_) => self.shared.count_lost(),
            RefusalOutcome::Counted(true) => queue.count(),
            RefusalOutcome::Counted(false) => {}
        }
    }

    /// The user as the line names it.
    fn subject_of<'a>(&self, request: &Request<'a>) -> Option<Cow<'a, str>> {
        request.subject.map(|subject| self.names.subject(request.issuer, subject))
    }

    async fn push_when_space(
        &self,
        line: &str,
        mut policy: Option<TokenPolicy>,
    ) -> Result<Arc<Batch>, AuditUnavailable> {
        let mut budget = WaitBudget(MAX_WAIT_FOR_SPACE);
        loop {
            // Subscribed before the check, so that space freed in between is not missed.
            let space = self.shared.queue.space_freed();
            if let Some(batch) = self.shared.queue.push(line, &mut policy) {
                return Ok(batch);
            }
            self.check()?;
            if budget.is_spent() {
                self.shared.health.queue_full();
                return Err(AuditUnavailable::Full);
            }
            budget.wait(space).await;
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::audit::queue::Lines;

    /// An audit with a queue of one line; the test acts as its writer.
    fn trail(durability: Durability) -> Arc<Trail> {
        let metrics = AuditMetrics::default();
        let shared = Shared::new(1, durability, NonZeroU32::MIN, String::new(), metrics);
        let (shared, ended) = (Arc::new(shared), Mutex::default());
        let (on_failure, names) = (OnFailure::Refuse, UserNames::Plain);
        Arc::new(Trail { shared, on_failure, names, ended })
    }

    impl Trail {
        fn write_all(&self) {
            let mut lines = Lines::default();
            self.shared.queue.take(&mut lines, Instant::now() + RECHECK);
            self.shared.queue.written(lines.granted());
            self.shared.queue.complete_batch();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_two_seconds_for_space_and_then_fails() {
        let trail = trail(Durability::Queue);
        assert!(trail.shared.queue.push("1\n", &mut None).is_some());
        let began = Instant::now();
        let refused = trail.push_when_space("2\n", None).await.unwrap_err();
        assert_eq!((refused, began.elapsed()), (AuditUnavailable::Full, MAX_WAIT_FOR_SPACE));
    }

    /// A process that got no CPU for a minute finds all timers due before its writer could run.
    #[tokio::test(start_paused = true)]
    async fn time_without_cpu_does_not_count_as_waiting() {
        let trail = trail(Durability::Process);
        let waiting = |line: &'static str| {
            let trail = Arc::clone(&trail);
            tokio::spawn(async move {
                let batch = trail.push_when_space(line, None).await?;
                trail.wait_until_written(&batch).await
            })
        };
        let (first, second) = (waiting("1\n"), waiting("2\n"));
        for _ in 0..10 {
            tokio::time::advance(Duration::from_mins(1)).await;
            // All due timers fire before the writer runs.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        assert!(!first.is_finished() && !second.is_finished());
        trail.write_all();
        assert_eq!(first.await.unwrap(), Ok(()));
        while trail.shared.queue.len() == 0 {
            tokio::task::yield_now().await;
        }
        trail.write_all();
        assert_eq!(second.await.unwrap(), Ok(()));
    }
}
