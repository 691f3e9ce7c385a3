//! The bounded queue of lines between requests and the writer. Adding a line never waits for the sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::line::TokenFields;
use super::locks::{Condvar, Mutex, MutexGuard};

/// How long the writer collects lines that no request waits for. A wake-up for each line would cost more than the rest
/// of a cache hit.
const BATCH_FOR: Duration = Duration::from_millis(5);
/// The most lines beyond the queue's limit with which a changed grant still finds space: about 10 MB. Each reload adds such
/// lines, and with a stuck sink nothing removes them.
pub(super) const MAX_BEYOND_FOR_GRANTS: usize = 10_000;
/// How often counted refusals are written.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// One buffer for all lines of a kind: adding a line is a copy under a lock and allocates nothing.
#[derive(Debug)]
pub(super) struct Queue {
    /// Held to copy a line or to swap buffers, never across an await or a write.
    state: Mutex<QueueState>,
    /// Wakes the writer.
    wake: Condvar,
    /// Notified when lines were written, for requests that found the queue full.
    space: Notify,
    max_lines: usize,
    /// Whether requests wait until their lines are written.
    callers_wait: bool,
}

#[derive(Debug, Default)]
struct QueueState {
    lines: Lines,
    /// The batch of the lines in `lines`.
    batch: Arc<Batch>,
    /// The batch that the writer is writing.
    taken: Option<Arc<Batch>>,
    /// Lines that the writer has taken and not yet written.
    unwritten: usize,
    writer: WriterState,
    /// A request waits for its line to be written.
    flush_now: bool,
    /// Counted refusals wait for the next report.
    counting: bool,
    /// The writer is writing such a report.
    reporting: bool,
    /// When the next report is due.
    report_due_at: Option<Instant>,
    closed: bool,
    abandoned: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum WriterState {
    #[default]
    Working,
    Sleeping,
    Batching,
}

/// Lines on their way to the sink.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Of tokens and tickets.
    pub(super) granted: Vec<u8>,
    granted_lines: Vec<Granted>,
    /// Of refused and failed requests.
    pub(super) refused: Vec<u8>,
    pub(super) refused_lines: usize,
}

/// A line of a token or a ticket.
#[derive(Debug)]
struct Granted {
    /// Where it ends in the buffer.
    end: usize,
    policy: Option<TokenPolicy>,
}

/// A token's session policy. The writer adds it to the token's first line in each file.
#[derive(Debug)]
pub(super) struct TokenPolicy {
    pub(super) token: Arc<TokenFields>,
    pub(super) text: String,
}

/// Lines that are written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    is_written: AtomicBool,
    /// Notified when it is written and when the sink fails.
    changed: Notify,
}

impl Queue {
    pub(super) fn new(max_lines: usize, callers_wait: bool) -> Self {
        let (state, wake, space) = (Mutex::default(), Condvar::new(), Notify::new());
        Self { state, wake, space, max_lines, callers_wait }
    }

    /// Adds the line of a token or a ticket, with the token's policy, if there is space.
    pub(super) fn push(&self, line: &str, policy: &mut Option<TokenPolicy>) -> Option<Arc<Batch>> {
        let mut state = self.state();
        if state.len() >= self.max_lines || state.closed {
            return None;
        }
        state.lines.grant(line, policy.take());
        let batch = Arc::clone(&state.batch);
        state.flush_now |= self.callers_wait;
        self.wake_if_needed(state);
        Some(batch)
    }

    /// Adds the line that retracts an earlier one, behind it in the same file. It needs no free space.
    pub(super) fn push_retraction(&self, line: &str) -> bool {
        self.push_below(usize::MAX, line)
    }

    /// Adds the line of a changed grant behind the earlier ones of tokens, even if there is no space for tokens.
    pub(super) fn push_grant(&self, line: &str) -> bool {
        self.push_below(self.max_lines.saturating_add(MAX_BEYOND_FOR_GRANTS), line)
    }

    fn push_below(&self, max_lines: usize, line: &str) -> bool {
        let mut state = self.state();
        if state.len() >= max_lines || state.closed {
            return false;
        }
        state.lines.grant(line, None);
        self.wake_if_needed(state);
        true
    }

    /// Adds the line of a refusal, if there is space. Anyone can cause refusals, so the last quarter of the queue is
    /// reserved for tokens.
    pub(super) fn push_refused(&self, line: &str) -> bool {
        let mut state = self.state();
        if state.len() >= self.max_lines - self.max_lines / 4 || state.closed {
            return false;
        }
        state.lines.refused.extend_from_slice(line.as_bytes());
        state.lines.refused_lines += 1;
        self.wake_if_needed(state);
        true
    }

    /// Refusals are counted from now on; the writer reports them within [`REPORT_EVERY`].
    pub(super) fn count(&self) {
        let mut state = self.state();
        state.counting = true;
        if state.writer == WriterState::Sleeping && state.report_due_at.is_none() {
            self.wake(state);
        }
    }

    fn wake_if_needed(&self, state: MutexGuard<'_, QueueState>) {
        let flushes = state.flush_now || state.lines.len() >= self.urgent();
        match state.writer {
            WriterState::Sleeping => self.wake(state),
            WriterState::Batching if flushes => self.wake(state),
            WriterState::Batching | WriterState::Working => {}
        }
    }

    /// Wakes the writer once; until it sleeps again it finds lines by itself.
    fn wake(&self, mut state: MutexGuard<'_, QueueState>) {
        state.writer = WriterState::Working;
        drop(state);
        self.wake.notify_one();
    }

    /// Resolves when lines have been written since the call.
    pub(super) fn space_freed(&self) -> Notified<'_> {
        self.space.notified()
    }

    /// Lines that are not written yet.
    pub(super) fn len(&self) -> usize {
        self.state().len()
    }

    /// For the writer: waits for lines until the deadline, takes all of them, and returns whether a report of counted refusals
    /// is due. `None` if the queue is closed and empty.
    pub(super) fn take(&self, lines: &mut Lines, deadline: Instant) -> Option<bool> {
        lines.clear();
        let mut state = self.sleep(self.state(), deadline);
        if !state.closed {
            state.writer = WriterState::Batching;
            let urgent = self.urgent();
            let keep_collecting = |state: &mut QueueState| {
                !state.flush_now && !state.closed && (1..urgent).contains(&state.lines.len())
            };
            self.wake.wait_while_for(&mut state, keep_collecting, BATCH_FOR);
        }
        state.writer = WriterState::Working;
        if state.flush_now {
            // Requests that can run now add their lines to the same write. On an idle core this returns at once; on a busy
            // one each line would interrupt the other requests for a write of its own.
            MutexGuard::unlocked(&mut state, std::thread::yield_now);
        }
        state.flush_now = false;
        std::mem::swap(lines, &mut state.lines);
        state.unwritten = lines.len();
        let batch = std::mem::take(&mut state.batch);
        state.taken = Some(batch);
        let reports = state.counting && (state.closed || state.is_due());
        state.reporting = reports;
        if reports {
            (state.counting, state.report_due_at) = (false, None);
        }
        (lines.len() > 0 || reports || !state.closed).then_some(reports)
    }

    /// Returns when there are lines, a report is due, the queue is closed, or at the deadline.
    fn sleep<'a>(
        &self,
        mut state: MutexGuard<'a, QueueState>,
        deadline: Instant,
    ) -> MutexGuard<'a, QueueState> {
        loop {
            if state.counting && state.report_due_at.is_none() {
                state.report_due_at = Some(Instant::now() + REPORT_EVERY);
            }
            if state.lines.len() > 0 || state.closed || state.is_due() {
                return state;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return state;
            }
            state.writer = WriterState::Sleeping;
            let report = state.report_due_at.map(|at| at.saturating_duration_since(Instant::now()));
            self.wake.wait_for(&mut state, report.map_or(left, |report| report.min(left)));
        }
    }

    /// For the writer: this many of the taken lines are written.
    pub(super) fn written(&self, lines: usize) {
        self.state().unwritten -= lines;
        self.space.notify_waiters();
    }

    /// For the writer: the taken lines of tokens and tickets are as durable as configured.
    pub(super) fn complete_batch(&self) {
        if let Some(batch) = self.state().taken.take() {
            batch.is_written.store(true, Ordering::Release);
            batch.changed.notify_waiters();
        }
    }

    /// For the writer: the sink fails; wakes the requests that wait for it.
    pub(super) fn notify_failure(&self) {
        let state = self.state();
        for batch in state.taken.iter().chain([&state.batch]) {
            batch.changed.notify_waiters();
        }
    }

    /// For the writer: sleeps for this long, or until it should stop.
    pub(super) fn pause(&self, pause: Duration) {
        let go_on = |state: &mut QueueState| !state.abandoned && !state.is_drained();
        self.wake.wait_while_for(&mut self.state(), go_on, pause);
    }

    /// Accepts no more lines; the queued ones are still written.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.wake.notify_all();
    }

    /// Makes the writer give up.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        (state.closed, state.abandoned) = (true, true);
        drop(state);
        self.wake.notify_all();
    }

    /// Whether the writer should not retry: it was stopped, or nothing is left to write.
    pub(super) fn should_stop(&self) -> bool {
        let state = self.state();
        state.abandoned || state.is_drained()
    }

    /// With this many lines the writer stops collecting.
    fn urgent(&self) -> usize {
        (self.max_lines / 2).max(1)
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock()
    }
}

impl QueueState {
    /// Lines that take up space.
    fn len(&self) -> usize {
        self.lines.len() + self.unwritten
    }

    /// Whether nothing is left to write and nothing can be added.
    fn is_drained(&self) -> bool {
        self.closed && self.len() == 0 && !self.counting && !self.reporting
    }

    fn is_due(&self) -> bool {
        self.report_due_at.is_some_and(|at| Instant::now() >= at)
    }
}

impl Batch {
    pub(super) fn is_written(&self) -> bool {
        self.is_written.load(Ordering::Acquire)
    }

    /// Resolves when the batch is written or the sink fails after the call.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }
}

impl Lines {
    pub(super) fn len(&self) -> usize {
        self.granted_lines.len() + self.refused_lines
    }

    fn grant(&mut self, line: &str, policy: Option<TokenPolicy>) {
        self.granted.extend_from_slice(line.as_bytes());
        self.granted_lines.push(Granted { end: self.granted.len(), policy });
    }

    /// How many lines of tokens and tickets there are.
    pub(super) fn granted(&self) -> usize {
        self.granted_lines.len()
    }

    /// The line of a token or a ticket by its number.
    pub(super) fn granted_line(&self, number: usize) -> (&[u8], Option<&TokenPolicy>) {
        let begin = number.checked_sub(1).map_or(0, |before| self.granted_lines[before].end);
        let Granted { end, policy } = &self.granted_lines[number];
        (&self.granted[begin..*end], policy.as_ref())
    }

    /// Empties it and gives back what a buffer has grown beyond this size.
    fn clear(&mut self) {
        const RETAINED_BYTES: usize = 1024 * 1024;
        self.granted_lines.clear();
        self.refused_lines = 0;
        for buffer in [&mut self.granted, &mut self.refused] {
            buffer.clear();
            buffer.shrink_to(RETAINED_BYTES);
        }
    }
}

#[cfg(test)]
impl Queue {
    /// Sets the number of taken lines.
    pub(super) fn expect(&self, lines: usize) {
        self.state().unwritten = lines;
    }
}

#[cfg(test)]
impl Lines {
    /// Lines of tokens without a policy.
    pub(super) fn all_granted(lines: &[&str]) -> Self {
        let queue = Queue::new(100, false);
        for line in lines {
            drop(queue.push(line, &mut None));
        }
        std::mem::take(&mut queue.state().lines)
    }
}
