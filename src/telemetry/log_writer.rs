//! Writes the log in a thread of its own. Standard error is often a pipe with a slow or stuck reader; no request waits for
//! it.
//!
//! `tracing-appender` bounds lines and not bytes, and if its queue is full at the end it prints to standard output, which
//! may be the audit's.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait, some thousand lines; lines beyond them are dropped and counted.
const MAX_WAITING: usize = 1024 * 1024;
/// How long the thread collects lines: one wake-up per line would cost more than the line. Errors are written at once.
const BATCH_DELAY: Duration = Duration::from_millis(5);
/// Bytes per write: small, so that progress with a slow reader is visible.
const CHUNK: usize = 16 * 1024;
/// How long the end of the process waits for standard error to make progress.
const FINAL_WAIT_MS: u32 = 1000;

/// Queues lines and never waits.
#[derive(Clone, Debug)]
pub(super) struct LogWriter {
    shared: Arc<Shared>,
    /// Whether lines are written without delay.
    is_urgent: bool,
}

/// Counts the dropped lines of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct DroppedLines(Arc<AtomicU64>);

/// Dropped at the end of the process: waits until the queued lines are written, unless standard error is stuck.
#[derive(Debug)]
#[must_use]
pub(crate) struct LogEnd(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Held to copy a line or to swap buffers, never across a write.
    waiting: Mutex<Waiting>,
    wake: Condvar,
    dropped: DroppedLines,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Bytes that the thread has taken but not yet written.
    unwritten: usize,
    thread: Thread,
    /// The thread must write without delay: an error was logged, or the process ends.
    flush_now: bool,
    ending: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Thread {
    #[default]
    Busy,
    Asleep,
    Batching,
}

impl LogWriter {
    pub(super) fn start(to: impl Write + Send + 'static) -> (Self, LogEnd) {
        Self::start_with_delay(to, BATCH_DELAY)
    }

    fn start_with_delay(to: impl Write + Send + 'static, delay: Duration) -> (Self, LogEnd) {
        let shared = Arc::<Shared>::default();
        let thread_shared = Arc::clone(&shared);
        let thread = thread::Builder::new().name("log".to_owned());
        thread
            .spawn(move || thread_shared.write_all(to, delay))
            .expect("the system gives us threads");
        (Self { shared: Arc::clone(&shared), is_urgent: false }, LogEnd(shared))
    }

    pub(super) fn dropped(&self) -> DroppedLines {
        self.shared.dropped.clone()
    }
}

impl Shared {
    fn push(&self, line: &[u8], is_urgent: bool) {
        let mut waiting = self.waiting();
        if waiting.len() + line.len() > MAX_WAITING {
            self.dropped.0.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.lines.extend_from_slice(line);
        waiting.flush_now |= is_urgent;
        self.wake_if_needed(waiting);
    }

    /// Wakes the thread if it waits. A busy thread looks for new lines itself.
    fn wake_if_needed(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let wakes = match waiting.thread {
            Thread::Asleep => true,
            Thread::Batching => waiting.flush_now || waiting.len() > MAX_WAITING / 2,
            Thread::Busy => false,
        };
        if wakes {
            waiting.thread = Thread::Busy;
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// The thread's loop, until the process ends. Lines that cannot be written are lost: there is no place to report it.
    fn write_all(&self, mut to: impl Write, delay: Duration) {
        let mut lines = Vec::new();
        loop {
            self.take(&mut lines, delay);
            for chunk in lines.chunks(CHUNK) {
                let _ = to.write_all(chunk);
                self.waiting().unwritten -= chunk.len();
            }
        }
    }

    fn take(&self, lines: &mut Vec<u8>, delay: Duration) {
        lines.clear();
        // Releases the memory of a burst.
        lines.shrink_to(4 * CHUNK);
        let mut waiting = self.waiting();
        waiting.thread = Thread::Asleep;
        let is_empty = |waiting: &mut Waiting| waiting.lines.is_empty();
        self.wake.wait_while(&mut waiting, is_empty);
        waiting.thread = Thread::Batching;
        let may_wait = |waiting: &mut Waiting| {
            !waiting.flush_now && !waiting.ending && waiting.lines.len() <= MAX_WAITING / 2
        };
        self.wake.wait_while_for(&mut waiting, may_wait, delay);
        (waiting.thread, waiting.flush_now) = (Thread::Busy, false);
        std::mem::swap(lines, &mut waiting.lines);
        waiting.unwritten = lines.len();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

impl Waiting {
    fn len(&self) -> usize {
        self.lines.len() + self.unwritten
    }
}

impl Write for LogWriter {
    /// Called once for each line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.shared.push(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Self {
        Self { is_urgent: *event.level() == Level::ERROR, ..self.clone() }
    }
}

impl DroppedLines {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for LogEnd {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        (waiting.flush_now, waiting.ending) = (true, true);
        self.0.wake_if_needed(waiting);
        let (mut before, mut remaining_ms) = (usize::MAX, FINAL_WAIT_MS);
        loop {
            match self.0.waiting().len() {
                0 => return,
                waiting if waiting < before => (before, remaining_ms) = (waiting, FINAL_WAIT_MS),
                _ if remaining_ms == 0 => return,
                _ => remaining_ms -= 1,
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// Records what is written, and blocks writes until it is opened.
    #[derive(Clone, Default)]
    struct BlockedSink(Arc<Inside>);

    #[derive(Default)]
    struct Inside {
        state: Mutex<(Vec<u8>, bool)>,
        opened: Condvar,
        /// The text of each call of `write`.
        writes: Mutex<Vec<String>>,
        wrote: Condvar,
    }

    impl BlockedSink {
        fn open(&self) {
            self.0.state.lock().unwrap().1 = true;
            self.0.opened.notify_all();
        }

        /// Waits for this number of calls of `write`, up to a minute.
        fn writes(&self, count: usize) -> Vec<String> {
            let writes = self.0.writes.lock().unwrap();
            let minute = Duration::from_mins(1);
            let waited = self.0.wrote.wait_timeout_while(writes, minute, |w| w.len() < count);
            waited.unwrap().0.clone()
        }
    }

    impl Write for BlockedSink {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let state = self.0.state.lock().unwrap();
            let mut state = self.0.opened.wait_while(state, |(_, open)| !*open).unwrap();
            state.0.extend_from_slice(line);
            self.0.writes.lock().unwrap().push(String::from_utf8_lossy(line).into_owned());
            self.0.wrote.notify_all();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_delays_no_writer_and_lines_beyond_the_bound_are_counted() {
        let sink = BlockedSink::default();
        let (mut writer, end) = LogWriter::start(sink.clone());
        let line = [b'x'; 1024];
        for _ in 0..1034 {
            writer.write_all(&line).unwrap();
        }
        assert_eq!(writer.dropped().count(), 10);
        // Once the reader continues, all queued lines are written, and the end waits for them.
        sink.open();
        drop(end);
        assert_eq!(sink.0.state.lock().unwrap().0.len(), 1024 * 1024);
    }

    #[test]
    fn the_end_does_not_wait_for_a_stuck_reader() {
        let (mut writer, end) = LogWriter::start(BlockedSink::default());
        writer.write_all(b"last words").unwrap();
        drop(end);
        assert_eq!(writer.dropped().count(), 0);
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn lines_are_written_in_batches_and_an_error_at_once_with_those_before_it() {
        let sink = BlockedSink::default();
        sink.open();
        let (mut writer, end) = LogWriter::start_with_delay(sink.clone(), HOUR);
        for line in ["a\n", "b\n", "c\n"] {
            writer.write_all(line.as_bytes()).unwrap();
        }
        let subscriber = tracing_subscriber::fmt()
            .with_writer(writer)
            .without_time()
            .with_ansi(false)
            .with_target(false)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!("d");
            tracing::error!("e");
        });
        assert_eq!(sink.writes(1), ["a\nb\nc\n WARN d\nERROR e\n"]);
        drop(end);
    }

    #[test]
    fn the_end_writes_queued_lines_without_delay() {
        let sink = BlockedSink::default();
        sink.open();
        let (mut writer, end) = LogWriter::start_with_delay(sink.clone(), HOUR);
        writer.write_all(b"last words\n").unwrap();
        drop(end);
        assert_eq!(sink.writes(1), ["last words\n"]);
    }
}
