//! Whether lines can be written, as far as is known.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::trail::AuditUnavailable;
use crate::telemetry::with_causes;

/// A sink that takes nothing for so long counts as broken: a reader that hangs, or a disk.
const STALLED: Duration = Duration::from_secs(2);
/// For how long it must have been seen so. When a machine is so busy that this process is not run, or it was stopped, its
/// clock has gone on when it wakes, and a writer that has not had a moment yet looks as if it hung.
const CERTAIN: Duration = Duration::from_millis(500);
/// How often the log is told that lines find no room.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// What the writer shows of itself.
///
/// A write that does not return cannot say so. Who asks sees how long it has been under way.
#[derive(Debug)]
pub(super) struct Health {
    origin: Instant,
    /// The last write failed.
    failing: AtomicBool,
    /// Since when the write under way has been, in milliseconds from the origin and never 0; 0 if none is.
    busy_since: AtomicU64,
    /// The write under way that was seen to take too long, by its `busy_since`.
    suspected: AtomicU64,
    /// When that was seen first, as `busy_since`.
    suspected_since: AtomicU64,
    /// Whether the log has been told that it is broken.
    told: AtomicBool,
    /// When the log was told last that there was no room, as `busy_since`.
    told_of_crowd: AtomicU64,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            failing: AtomicBool::new(false),
            busy_since: AtomicU64::new(0),
            suspected: AtomicU64::new(0),
            suspected_since: AtomicU64::new(0),
            told: AtomicBool::new(false),
            told_of_crowd: AtomicU64::new(0),
        }
    }

    /// A write begins.
    pub(super) fn busy(&self) {
        self.busy_since.store(self.now(), Ordering::Relaxed);
    }

    /// A write succeeded.
    pub(super) fn worked(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
        if self.told.load(Ordering::Relaxed) && self.told.swap(false, Ordering::Relaxed) {
            tracing::warn!("the audit is written again");
        }
    }

    /// A write failed.
    pub(super) fn failed(&self, sink: &str, error: &std::io::Error) {
        self.failing.store(true, Ordering::Relaxed);
        self.busy_since.store(0, Ordering::Relaxed);
        if !self.told.swap(true, Ordering::Relaxed) {
            let cause = with_causes(error);
            tracing::error!(
                error.cause = cause,
                "the audit cannot be written to {sink}; its lines are kept, and tried again"
            );
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.trouble().is_some()
    }

    /// What is wrong with the sink.
    pub(super) fn trouble(&self) -> Option<AuditUnavailable> {
        if self.failing.load(Ordering::Relaxed) {
            return Some(AuditUnavailable::Failing);
        }
        let since = self.busy_since.load(Ordering::Relaxed);
        // Mostly the writer has nothing to do, and nobody looks at a clock.
        let stalled = since != 0 && self.has_stalled(since);
        if stalled && !self.told.swap(true, Ordering::Relaxed) {
            tracing::error!("the audit's sink takes nothing; its lines wait");
        }
        stalled.then_some(AuditUnavailable::Stalled)
    }

    /// Whether the write that is under way since then has been seen to hang.
    fn has_stalled(&self, since: u64) -> bool {
        let now = self.now();
        if now.saturating_sub(since) <= millis(STALLED) {
            return false;
        }
        if self.suspected.swap(since, Ordering::Relaxed) != since {
            self.suspected_since.store(now, Ordering::Relaxed);
            return false;
        }
        now.saturating_sub(self.suspected_since.load(Ordering::Relaxed)) > millis(CERTAIN)
    }

    /// A line found no room.
    pub(super) fn crowded(&self) {
        let (now, last) = (self.now(), self.told_of_crowd.load(Ordering::Relaxed));
        let is_due = last == 0 || now.saturating_sub(last) > millis(TELL_AGAIN);
        if is_due && self.told_of_crowd.swap(now, Ordering::Relaxed) == last {
            tracing::warn!(
                "decisions find no room for their lines: the audit's sink is slower than they come"
            );
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
    async fn a_write_that_does_not_return_is_broken_until_it_does() {
        let health = Health::new();
        health.busy();
        tokio::time::advance(STALLED).await;
        assert!(!health.is_broken());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!health.is_broken(), "it was seen once");
        tokio::time::advance(CERTAIN).await;
        assert!(!health.is_broken());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(health.is_broken());
        health.worked();
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(!health.is_broken(), "who has nothing to write is well");
    }

    /// T60: a process that was stopped, or not run, in the middle of a write; again and again.
    #[tokio::test(start_paused = true)]
    async fn a_write_during_which_the_process_was_stopped_is_not_broken() {
        let health = Health::new();
        for _ in 0..5 {
            health.busy();
            tokio::time::advance(Duration::from_secs(60)).await;
            // Requests that come before the writer does.
            for _ in 0..32 {
                assert!(!health.is_broken());
            }
            tokio::time::advance(CERTAIN).await;
            assert!(!health.is_broken());
            health.worked();
        }
    }
}
