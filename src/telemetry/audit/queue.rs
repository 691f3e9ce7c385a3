//! Lines that wait for the writer: at most so many, and nobody who brings one waits for the sink.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// How long the writer lets lines gather. Woken for each, it would cost more than all the rest of a hit.
const GATHER: Duration = Duration::from_millis(5);

/// One buffer for all lines: bringing one is a copy under a lock, and allocates nothing.
#[derive(Debug)]
pub(super) struct Queue {
    /// A std mutex: held to copy a line or to swap buffers, never across an await or a write.
    waiting: Mutex<Waiting>,
    /// Wakes the writer.
    wake: Condvar,
    /// Tells those who found no room that there is some.
    room: Notify,
    most: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    lines: usize,
    /// Lines that the writer has taken and not written.
    taken: usize,
    writer_sleeps: bool,
    closed: bool,
    abandoned: bool,
}

/// How much of the queue a line may fill.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Share {
    /// Of a token.
    All,
    /// Of a refusal. Strangers can have as many as they like; the last quarter is kept for tokens.
    Most,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        let (waiting, wake, room) = (Mutex::default(), Condvar::new(), Notify::new());
        Self { waiting, wake, room, most }
    }

    /// Takes the line, if there is room.
    pub(super) fn push(&self, line: &str, share: Share) -> bool {
        let most = match share {
            Share::All => self.most,
            Share::Most => self.most - self.most / 4,
        };
        let mut waiting = self.waiting();
        if waiting.lines + waiting.taken >= most || waiting.closed {
            return false;
        }
        waiting.bytes.extend_from_slice(line.as_bytes());
        waiting.lines += 1;
        if waiting.writer_sleeps || waiting.lines == self.urgent() {
            waiting.writer_sleeps = false;
            drop(waiting);
            self.wake.notify_one();
        }
        true
    }

    /// Resolves when lines were written since it was made.
    pub(super) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// Lines that are not written.
    pub(super) fn len(&self) -> usize {
        let waiting = self.waiting();
        waiting.lines + waiting.taken
    }

    /// For the writer: waits for lines and takes all there are. None come after `false`.
    pub(super) fn take(&self, lines: &mut Vec<u8>) -> bool {
        let mut waiting = self.waiting();
        waiting.writer_sleeps = true;
        let idle = |waiting: &mut Waiting| waiting.lines == 0 && !waiting.closed;
        waiting = self.wake.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
        waiting.writer_sleeps = false;
        let urgent = self.urgent();
        let calm = |waiting: &mut Waiting| waiting.lines < urgent && !waiting.closed;
        let gathered = self.wake.wait_timeout_while(waiting, GATHER, calm);
        (waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        lines.clear();
        std::mem::swap(lines, &mut waiting.bytes);
        waiting.taken = std::mem::take(&mut waiting.lines);
        waiting.taken > 0
    }

    /// For the writer: so many of the lines that it took are written.
    pub(super) fn written(&self, lines: usize) {
        self.waiting().taken -= lines;
        self.room.notify_waiters();
    }

    /// For the writer: a pause, which the end cuts short.
    pub(super) fn pause(&self, pause: Duration) {
        let go_on = |waiting: &mut Waiting| !waiting.abandoned;
        drop(self.wake.wait_timeout_while(self.waiting(), pause, go_on));
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

    pub(super) fn is_abandoned(&self) -> bool {
        self.waiting().abandoned
    }

    /// With so many lines the writer gathers no longer.
    fn urgent(&self) -> usize {
        (self.most / 2).max(1)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_leave_the_last_quarter_to_tokens() {
        let queue = Queue::new(8);
        let taken = |share| (0..8).filter(|_| queue.push("{}\n", share)).count();
        assert_eq!((taken(Share::Most), taken(Share::All), queue.len()), (6, 2, 8));
    }

    #[test]
    fn what_is_taken_and_not_written_still_has_its_place() {
        let (queue, mut lines) = (Queue::new(2), Vec::new());
        assert!(queue.push("a\n", Share::All) && queue.push("b\n", Share::All));
        assert!(queue.take(&mut lines));
        assert_eq!(lines, b"a\nb\n");
        assert!(!queue.push("c\n", Share::All));
        queue.written(1);
        assert!(queue.push("c\n", Share::All) && !queue.push("d\n", Share::All));
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_takes_no_more() {
        let (queue, mut lines) = (Queue::new(2), Vec::new());
        queue.push("a\n", Share::All);
        queue.close();
        assert!(!queue.push("b\n", Share::All));
        assert!(queue.take(&mut lines) && lines == b"a\n");
        queue.written(1);
        assert!(!queue.take(&mut lines));
    }
}
