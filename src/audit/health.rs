//! Whether the sink accepts lines.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::with_causes;

/// A write that takes longer counts as stalled: the reader of a pipe or a disk hangs.
const STALLED_AFTER: Duration = Duration::from_secs(2);
/// How long a stall must be observed. A process that was stopped or got no CPU finds that time has passed before its
/// writer could run, which looks like a stall.
const CONFIRM_AFTER: Duration = Duration::from_millis(500);
/// How often a full queue is logged.
const LOG_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The line of a token cannot be recorded, and no token may leave without it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AuditUnavailable {
    #[error("the audit's sink fails")]
    Failing,
    #[error("the audit's sink is stalled")]
    Stalled,
    /// The sink is available and slower than lines come.
    #[error("the audit's queue is full (`audit.buffer_lines`)")]
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

/// The state of the sink, as the writer reports it.
///
/// A write that hangs cannot report itself, so each reader of the state compares its start with the clock.
#[derive(Debug)]
pub(super) struct Health {
    origin: Instant,
    /// The last write failed.
    has_failed: AtomicBool,
    /// When the current write began, in milliseconds from the origin and never 0; 0 if there is none.
    busy_since: AtomicU64,
    /// The write that was observed to take too long, by its `busy_since`.
    suspected: AtomicU64,
    /// When that was observed first, as `busy_since`.
    suspected_since: AtomicU64,
    /// Whether the failure is logged.
    logged: AtomicBool,
    /// When a full queue was logged last, as `busy_since`.
    queue_full_logged_at: AtomicU64,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            has_failed: AtomicBool::new(false),
            busy_since: AtomicU64::new(0),
            suspected: AtomicU64::new(0),
            suspected_since: AtomicU64::new(0),
            logged: AtomicBool::new(false),
            queue_full_logged_at: AtomicU64::new(0),
        }
    }

    /// Records that a write starts.
    pub(super) fn write_started(&self) {
        self.busy_since.store(self.now(), Ordering::Relaxed);
    }

    /// Records that a write succeeded.
    pub(super) fn write_succeeded(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
        self.has_failed.store(false, Ordering::Relaxed);
        if self.logged.load(Ordering::Relaxed) && self.logged.swap(false, Ordering::Relaxed) {
            tracing::warn!("audit sink accepts lines again");
        }
    }

    /// A write failed.
    pub(super) fn write_failed(&self, sink: &str, error: &std::io::Error) {
        self.has_failed.store(true, Ordering::Relaxed);
        self.busy_since.store(0, Ordering::Relaxed);
        if !self.logged.swap(true, Ordering::Relaxed) {
            let cause = with_causes(error);
            tracing::error!(
                error.cause = cause,
                "audit lines cannot be written to {sink}; keeping them and retrying"
            );
        }
    }

    pub(super) fn is_unavailable(&self) -> bool {
        self.unavailable().is_some()
    }

    /// Why the sink is unavailable, if it is.
    pub(super) fn unavailable(&self) -> Option<AuditUnavailable> {
        if self.has_failed.load(Ordering::Relaxed) {
            return Some(AuditUnavailable::Failing);
        }
        let since = self.busy_since.load(Ordering::Relaxed);
        // Most of the time no write is in progress, and the clock is not read.
        let stalled = since != 0 && self.is_stalled(since);
        if stalled && !self.logged.swap(true, Ordering::Relaxed) {
            tracing::error!("audit sink is stalled; lines wait in the queue");
        }
        stalled.then_some(AuditUnavailable::Stalled)
    }

    /// Whether the write that began then is stalled.
    fn is_stalled(&self, since: u64) -> bool {
        let now = self.now();
        if now.saturating_sub(since) <= millis(STALLED_AFTER) {
            return false;
        }
        if self.suspected.swap(since, Ordering::Relaxed) != since {
            self.suspected_since.store(now, Ordering::Relaxed);
            return false;
        }
        now.saturating_sub(self.suspected_since.load(Ordering::Relaxed)) > millis(CONFIRM_AFTER)
    }

    /// A line found the queue full.
    pub(super) fn queue_full(&self) {
        let (now, last) = (self.now(), self.queue_full_logged_at.load(Ordering::Relaxed));
        let is_due = last == 0 || now.saturating_sub(last) > millis(LOG_AGAIN_AFTER);
        if is_due && self.queue_full_logged_at.swap(now, Ordering::Relaxed) == last {
            tracing::warn!("audit queue is full: lines come faster than the sink accepts them");
        }
    }

    fn now(&self) -> u64 {
        millis(self.origin.elapsed()) + 1
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_hangs_makes_the_sink_unavailable_until_it_returns() {
        let health = Health::new();
        health.write_started();
        tokio::time::advance(STALLED_AFTER).await;
        assert!(!health.is_unavailable());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!health.is_unavailable(), "it was observed once");
        tokio::time::advance(CONFIRM_AFTER).await;
        assert!(!health.is_unavailable());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(health.is_unavailable());
        health.write_succeeded();
        tokio::time::advance(Duration::from_hours(1)).await;
        assert!(!health.is_unavailable(), "an idle writer is available");
    }

    /// The process is stopped, or gets no CPU, in the middle of each write.
    #[tokio::test(start_paused = true)]
    async fn a_write_during_which_the_process_was_stopped_is_not_stalled() {
        let health = Health::new();
        for _ in 0..5 {
            health.write_started();
            tokio::time::advance(Duration::from_mins(1)).await;
            // Requests that run before the writer does.
            for _ in 0..32 {
                assert!(!health.is_unavailable());
            }
            tokio::time::advance(CONFIRM_AFTER).await;
            assert!(!health.is_unavailable());
            health.write_succeeded();
        }
    }
}
