//! Lines that wait for the writer: at most so many, and nobody who brings one waits for the sink unless they want to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::line::TokenFields;

/// How long the writer lets lines gather that nobody waits for. Woken for each, it would cost more than all the rest of
/// a hit.
const GATHER: Duration = Duration::from_millis(5);
/// How often refusals that were only counted are written.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// One buffer for all lines of a kind: bringing one is a copy under a lock, and allocates nothing.
#[derive(Debug)]
pub(super) struct Queue {
    /// Held to copy a line or to swap buffers, never across an await or a write.
    waiting: Mutex<Waiting>,
    /// Wakes the writer.
    wake: Condvar,
    /// Tells those who found no room that there is some.
    room: Notify,
    most: usize,
    /// Whether those who bring lines of tokens wait until they are written.
    awaited: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Lines,
    /// Whose lines wait.
    batch: Arc<Batch>,
    /// Whose lines the writer has taken.
    taken: Option<Arc<Batch>>,
    /// Lines that the writer has taken and not written.
    unwritten: usize,
    writer: Writer,
    /// Somebody waits for a line to be written.
    hurry: bool,
    /// Refusals are counted, to be written together.
    counting: bool,
    /// The writer has taken their numbers, and has not come back.
    reporting: bool,
    /// When these are written.
    report_at: Option<Instant>,
    closed: bool,
    abandoned: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Writer {
    #[default]
    Busy,
    Asleep,
    Gathering,
}

/// Lines on their way to the sink.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// What was handed out.
    granted: Vec<u8>,
    of_granted: Vec<Granted>,
    /// What was not.
    pub(super) refused: Vec<u8>,
    pub(super) refused_lines: usize,
}

/// A line of something that was handed out.
#[derive(Debug)]
struct Granted {
    /// Where it ends in the buffer.
    end: usize,
    policy: Option<TokenPolicy>,
}

/// What a token may do. The writer tells it in the first line of the token in each file.
#[derive(Debug)]
pub(super) struct TokenPolicy {
    pub(super) token: Arc<TokenFields>,
    pub(super) text: String,
}

/// Lines that are written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    is_written: AtomicBool,
    /// It is written, or the sink fails.
    changed: Notify,
}

impl Queue {
    pub(super) fn new(most: usize, awaited: bool) -> Self {
        let (waiting, wake, room) = (Mutex::default(), Condvar::new(), Notify::new());
        Self { waiting, wake, room, most, awaited }
    }

    /// Takes the line of something that is handed out, and its token's policy, if there is room.
    pub(super) fn push(&self, line: &str, policy: &mut Option<TokenPolicy>) -> Option<Arc<Batch>> {
        let mut waiting = self.waiting();
        if waiting.len() >= self.most || waiting.closed {
            return None;
        }
        waiting.lines.grant(line, policy.take());
        let batch = Arc::clone(&waiting.batch);
        waiting.hurry |= self.awaited;
        self.wake_for_lines(waiting);
        Some(batch)
    }

    /// Takes the line that takes one back, which stands behind it in the same file. It has room if that one had.
    pub(super) fn push_taken_back(&self, line: &str) -> bool {
        let mut waiting = self.waiting();
        if waiting.closed {
            return false;
        }
        waiting.lines.grant(line, None);
        self.wake_for_lines(waiting);
        true
    }

    /// Takes the line of a refusal, if there is room. Strangers can have as many as they like; the last quarter is kept
    /// for tokens.
    pub(super) fn push_refused(&self, line: &str) -> bool {
        let mut waiting = self.waiting();
        if waiting.len() >= self.most - self.most / 4 || waiting.closed {
            return false;
        }
        waiting.lines.refused.extend_from_slice(line.as_bytes());
        waiting.lines.refused_lines += 1;
        self.wake_for_lines(waiting);
        true
    }

    /// Refusals are only counted from now on; in a while the writer asks for them.
    pub(super) fn count(&self) {
        let mut waiting = self.waiting();
        waiting.counting = true;
        if waiting.writer == Writer::Asleep && waiting.report_at.is_none() {
            self.wake(waiting);
        }
    }

    fn wake_for_lines(&self, waiting: MutexGuard<'_, Waiting>) {
        let gathers_no_longer = waiting.hurry || waiting.lines.len() >= self.urgent();
        match waiting.writer {
            Writer::Asleep => self.wake(waiting),
            Writer::Gathering if gathers_no_longer => self.wake(waiting),
            Writer::Gathering | Writer::Busy => {}
        }
    }

    /// Once: until it sleeps again, the writer looks for itself.
    fn wake(&self, mut waiting: MutexGuard<'_, Waiting>) {
        waiting.writer = Writer::Busy;
        drop(waiting);
        self.wake.notify_one();
    }

    /// Resolves when lines were written since it was made.
    pub(super) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// Lines that are not written.
    pub(super) fn len(&self) -> usize {
        self.waiting().len()
    }

    /// For the writer: waits for lines and takes all there are, and says whether refusals that were counted are due.
    /// None come after `None`.
    pub(super) fn take(&self, lines: &mut Lines) -> Option<bool> {
        lines.clear();
        let mut waiting = self.sleep(self.waiting());
        if !waiting.closed {
            waiting.writer = Writer::Gathering;
            let urgent = self.urgent();
            let calm = |waiting: &mut Waiting| {
                !waiting.hurry && !waiting.closed && (1..urgent).contains(&waiting.lines.len())
            };
            self.wake.wait_while_for(&mut waiting, calm, GATHER);
        }
        waiting.writer = Writer::Busy;
        waiting.hurry = false;
        std::mem::swap(lines, &mut waiting.lines);
        waiting.unwritten = lines.len();
        let batch = std::mem::take(&mut waiting.batch);
        waiting.taken = Some(batch);
        let reports = waiting.counting && (waiting.closed || waiting.is_due());
        waiting.reporting = reports;
        if reports {
            (waiting.counting, waiting.report_at) = (false, None);
        }
        (lines.len() > 0 || reports || !waiting.closed).then_some(reports)
    }

    /// Until there are lines, a report is due, or none come any more.
    fn sleep<'a>(&self, mut waiting: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        loop {
            if waiting.counting && waiting.report_at.is_none() {
                waiting.report_at = Some(Instant::now() + REPORT_EVERY);
            }
            if waiting.lines.len() > 0 || waiting.closed || waiting.is_due() {
                return waiting;
            }
            waiting.writer = Writer::Asleep;
            match waiting.report_at {
                None => self.wake.wait(&mut waiting),
                Some(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    self.wake.wait_for(&mut waiting, left);
                }
            }
        }
    }

    /// For the writer: so many of the lines that it took are written.
    pub(super) fn written(&self, lines: usize) {
        self.waiting().unwritten -= lines;
        self.room.notify_waiters();
    }

    /// For the writer: what it took of what was handed out is where it is to be.
    pub(super) fn done(&self) {
        if let Some(batch) = self.waiting().taken.take() {
            batch.is_written.store(true, Ordering::Release);
            batch.changed.notify_waiters();
        }
    }

    /// For the writer: the sink fails, and who waits should know.
    pub(super) fn trouble(&self) {
        let waiting = self.waiting();
        for batch in waiting.taken.iter().chain([&waiting.batch]) {
            batch.changed.notify_waiters();
        }
    }

    /// For the writer: a pause, which the end cuts short.
    pub(super) fn pause(&self, pause: Duration) {
        let go_on = |waiting: &mut Waiting| !waiting.abandoned && !waiting.has_ended();
        self.wake.wait_while_for(&mut self.waiting(), go_on, pause);
    }

    /// No more lines are taken; what waits is still written.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.wake.notify_all();
    }

    /// The writer need not try any more.
    pub(super) fn abandon(&self) {
        let mut waiting = self.waiting();
        (waiting.closed, waiting.abandoned) = (true, true);
        drop(waiting);
        self.wake.notify_all();
    }

    /// Whether the writer need not try again: nobody waits for it any more, or nothing is left to write.
    pub(super) fn is_over(&self) -> bool {
        let waiting = self.waiting();
        waiting.abandoned || waiting.has_ended()
    }

    /// With so many lines the writer gathers no longer.
    fn urgent(&self) -> usize {
        (self.most / 2).max(1)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

impl Waiting {
    /// What has a place in the queue.
    fn len(&self) -> usize {
        self.lines.len() + self.unwritten
    }

    /// Whether there is nothing to write, and nothing more comes.
    fn has_ended(&self) -> bool {
        self.closed && self.len() == 0 && !self.counting && !self.reporting
    }

    fn is_due(&self) -> bool {
        self.report_at.is_some_and(|at| Instant::now() >= at)
    }
}

impl Batch {
    pub(super) fn is_written(&self) -> bool {
        self.is_written.load(Ordering::Acquire)
    }

    /// Resolves when it is written, or the sink has failed, since this was made.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }
}

impl Lines {
    fn len(&self) -> usize {
        self.of_granted.len() + self.refused_lines
    }

    fn grant(&mut self, line: &str, policy: Option<TokenPolicy>) {
        self.granted.extend_from_slice(line.as_bytes());
        self.of_granted.push(Granted { end: self.granted.len(), policy });
    }

    /// How many tell of something that was handed out.
    pub(super) fn granted(&self) -> usize {
        self.of_granted.len()
    }

    /// The line of this number, of those that tell of something that was handed out.
    pub(super) fn granted_line(&self, number: usize) -> (&[u8], Option<&TokenPolicy>) {
        let begin = number.checked_sub(1).map_or(0, |before| self.of_granted[before].end);
        let Granted { end, policy } = &self.of_granted[number];
        (&self.granted[begin..*end], policy.as_ref())
    }

    /// Empties it; a buffer that a bad time has made longer than this is given back.
    fn clear(&mut self) {
        const KEPT: usize = 1024 * 1024;
        self.of_granted.clear();
        self.refused_lines = 0;
        for buffer in [&mut self.granted, &mut self.refused] {
            buffer.clear();
            buffer.shrink_to(KEPT);
        }
    }
}

#[cfg(test)]
impl Queue {
    /// As if so many lines had been taken.
    pub(super) fn expect(&self, lines: usize) {
        self.waiting().unwritten = lines;
    }
}

#[cfg(test)]
impl Lines {
    /// Lines of things that were handed out, and have no policy.
    pub(super) fn all_granted(lines: &[&str]) -> Self {
        let queue = Queue::new(100, false);
        lines.iter().for_each(|line| drop(queue.push(line, &mut None)));
        std::mem::take(&mut queue.waiting().lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &Queue, line: &str) -> bool {
        queue.push(line, &mut None).is_some()
    }

    fn taken(queue: &Queue) -> (Vec<u8>, Vec<u8>) {
        let mut lines = Lines::default();
        queue.take(&mut lines).unwrap();
        (lines.granted, lines.refused)
    }

    #[test]
    fn refusals_leave_the_last_quarter_to_tokens() {
        let queue = Queue::new(8, false);
        let refused = (0..8).filter(|_| queue.push_refused("{}\n")).count();
        let granted = (0..8).filter(|_| push(&queue, "{}\n")).count();
        assert_eq!((refused, granted, queue.len()), (6, 2, 8));
    }

    #[test]
    fn what_is_taken_and_not_written_still_has_its_place() {
        let queue = Queue::new(2, false);
        assert!(push(&queue, "a\n") && push(&queue, "b\n"));
        assert_eq!(taken(&queue).0, b"a\nb\n");
        assert!(!push(&queue, "c\n"));
        queue.written(1);
        assert!(push(&queue, "c\n") && !push(&queue, "d\n"));
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_takes_no_more() {
        let (queue, mut lines) = (Queue::new(3, false), Lines::default());
        push(&queue, "a\n");
        queue.push_refused("b\n");
        queue.count();
        queue.close();
        assert!(!push(&queue, "c\n") && !queue.push_refused("d\n"));
        assert_eq!(queue.take(&mut lines), Some(true), "with the last refusals that were counted");
        assert_eq!((&lines.granted[..], &lines.refused[..]), (&b"a\n"[..], &b"b\n"[..]));
        queue.written(2);
        assert_eq!(queue.take(&mut lines), None);
    }

    #[test]
    fn a_batch_is_written_when_the_writer_says_so_and_lines_that_came_later_are_not() {
        let queue = Queue::new(8, true);
        let first = queue.push("a\n", &mut None).unwrap();
        taken(&queue);
        let second = queue.push("b\n", &mut None).unwrap();
        assert!(!first.is_written());
        queue.done();
        assert!(first.is_written() && !second.is_written());
        taken(&queue);
        queue.done();
        assert!(second.is_written());
    }
}
