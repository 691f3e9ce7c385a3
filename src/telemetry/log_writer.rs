//! The log's own thread. Standard error is often a pipe, whose reader may be slow or stuck: no request waits for it.
//!
//! Not `tracing-appender`: it bounds lines and not bytes, and where its queue is full at the end it prints to standard
//! output, which is the audit's.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait; lines beyond them are dropped and counted. Some thousand lines.
const MAX_WAITING: usize = 1024 * 1024;
/// How long lines gather: waking the thread for each would cost a new token more than its line. Errors do not wait.
const GATHER: Duration = Duration::from_millis(5);
/// Written at once, so that a slow reader shows that it still reads.
const CHUNK: usize = 16 * 1024;
/// How long the end of the process waits for standard error to take more, in steps of a millisecond.
const LAST_PATIENCE_MS: u32 = 1000;

/// Takes lines and never waits.
#[derive(Clone, Debug)]
pub(super) struct LogWriter {
    shared: Arc<Shared>,
    /// Whether what is written here is to be read at once.
    is_urgent: bool,
}

/// How many lines of the log were dropped so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct DroppedLines(Arc<AtomicU64>);

/// Held for as long as something may be logged. Then what waits is written, unless nobody takes it.
#[derive(Debug)]
#[must_use]
pub(crate) struct LogEnd(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Held to copy a line or to swap buffers, never across a write.
    waiting: Mutex<Waiting>,
    /// Wakes the thread.
    wake: Condvar,
    dropped: DroppedLines,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Bytes that the thread has taken and not written.
    unwritten: usize,
    thread: Thread,
    /// Something is to be read at once, or nothing may be logged any more.
    hurry: bool,
    ending: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Thread {
    #[default]
    Busy,
    Asleep,
    Gathering,
}

impl LogWriter {
    pub(super) fn start(to: impl Write + Send + 'static) -> (Self, LogEnd) {
        Self::start_gathering(to, GATHER)
    }

    fn start_gathering(to: impl Write + Send + 'static, gather: Duration) -> (Self, LogEnd) {
        let shared = Arc::<Shared>::default();
        let ours = Arc::clone(&shared);
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || ours.write_all(to, gather)).expect("the system gives us threads");
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
        waiting.hurry |= is_urgent;
        self.wake_if_needed(waiting);
    }

    /// Once: until it sleeps again, the thread looks for itself.
    fn wake_if_needed(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let wakes = match waiting.thread {
            Thread::Asleep => true,
            Thread::Gathering => waiting.hurry || waiting.len() > MAX_WAITING / 2,
            Thread::Busy => false,
        };
        if wakes {
            waiting.thread = Thread::Busy;
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// The thread: until the process ends. What cannot be written is lost, as nobody could be told.
    fn write_all(&self, mut to: impl Write, gather: Duration) {
        let mut lines = Vec::new();
        loop {
            self.take(&mut lines, gather);
            for chunk in lines.chunks(CHUNK) {
                let _ = to.write_all(chunk);
                self.waiting().unwritten -= chunk.len();
            }
        }
    }

    fn take(&self, lines: &mut Vec<u8>, gather: Duration) {
        lines.clear();
        // What a bad time has made long is given back.
        lines.shrink_to(4 * CHUNK);
        let mut waiting = self.waiting();
        waiting.thread = Thread::Asleep;
        let none = |waiting: &mut Waiting| waiting.lines.is_empty();
        self.wake.wait_while(&mut waiting, none);
        waiting.thread = Thread::Gathering;
        let calm = |waiting: &mut Waiting| {
            !waiting.hurry && !waiting.ending && waiting.lines.len() <= MAX_WAITING / 2
        };
        self.wake.wait_while_for(&mut waiting, calm, gather);
        (waiting.thread, waiting.hurry) = (Thread::Busy, false);
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
    /// One call for each line.
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
        (waiting.hurry, waiting.ending) = (true, true);
        self.0.wake_if_needed(waiting);
        let (mut before, mut patience) = (usize::MAX, LAST_PATIENCE_MS);
        loop {
            match self.0.waiting().len() {
                0 => return,
                waiting if waiting < before => (before, patience) = (waiting, LAST_PATIENCE_MS),
                _ if patience == 0 => return,
                _ => patience -= 1,
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// What was written, and whether more may be.
    #[derive(Clone, Default)]
    struct Gate(Arc<Inside>);

    #[derive(Default)]
    struct Inside {
        state: Mutex<(Vec<u8>, bool)>,
        opened: Condvar,
        /// What each call of `write` brought.
        writes: Mutex<Vec<String>>,
        wrote: Condvar,
    }

    impl Gate {
        fn open(&self) {
            self.0.state.lock().unwrap().1 = true;
            self.0.opened.notify_all();
        }

        /// So many calls of `write`, if they come within a minute.
        fn writes(&self, count: usize) -> Vec<String> {
            let writes = self.0.writes.lock().unwrap();
            let minute = Duration::from_mins(1);
            let waited = self.0.wrote.wait_timeout_while(writes, minute, |w| w.len() < count);
            waited.unwrap().0.clone()
        }
    }

    impl Write for Gate {
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
    fn what_nobody_reads_delays_nobody_and_what_has_no_room_is_counted() {
        let gate = Gate::default();
        let (mut writer, end) = LogWriter::start(gate.clone());
        let line = [b'x'; 1024];
        for _ in 0..1034 {
            writer.write_all(&line).unwrap();
        }
        assert_eq!(writer.dropped().count(), 10);
        // Once it is read again, all comes that had room, and the end waits for it.
        gate.open();
        drop(end);
        assert_eq!(gate.0.state.lock().unwrap().0.len(), 1024 * 1024);
    }

    #[test]
    fn the_end_does_not_wait_for_who_never_reads() {
        let (mut writer, end) = LogWriter::start(Gate::default());
        writer.write_all(b"last words").unwrap();
        drop(end);
        assert_eq!(writer.dropped().count(), 0);
    }

    const HOUR: Duration = Duration::from_hours(1);

    /// Lines that come one by one cost one wake-up together.
    #[test]
    fn lines_gather_and_an_error_is_written_at_once_with_those_before_it() {
        let gate = Gate::default();
        gate.open();
        let (mut writer, end) = LogWriter::start_gathering(gate.clone(), HOUR);
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
        assert_eq!(gate.writes(1), ["a\nb\nc\n WARN d\nERROR e\n"]);
        drop(end);
    }

    #[test]
    fn the_end_does_not_let_lines_gather() {
        let gate = Gate::default();
        gate.open();
        let (mut writer, end) = LogWriter::start_gathering(gate.clone(), HOUR);
        writer.write_all(b"last words\n").unwrap();
        drop(end);
        assert_eq!(gate.writes(1), ["last words\n"]);
    }
}
