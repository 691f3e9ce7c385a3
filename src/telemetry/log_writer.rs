//! The log's own thread. Standard error is often a pipe, whose reader may be slow or stuck: no request waits for it.
//!
//! Not `tracing-appender`: it bounds lines and not bytes, and where its queue is full at the end it prints to standard
//! output, which is the audit's.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait; lines beyond them are dropped and counted. Some thousand lines.
const MAX_WAITING: usize = 1024 * 1024;
/// How long the end of the process waits for standard error to take another line, in steps of a millisecond.
const LAST_PATIENCE_MS: u32 = 1000;

/// Takes lines and never waits.
#[derive(Clone, Debug)]
pub(super) struct LogWriter {
    lines: Sender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    dropped: DroppedLines,
}

/// How many lines of the log were dropped so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct DroppedLines(Arc<AtomicU64>);

/// Held for as long as something may be logged. Then what waits is written, unless nobody takes it.
#[derive(Debug)]
#[must_use]
pub(crate) struct LogEnd(Arc<AtomicUsize>);

impl LogWriter {
    pub(super) fn start(to: impl Write + Send + 'static) -> (Self, LogEnd) {
        let (lines, taken) = mpsc::channel();
        let waiting = Arc::<AtomicUsize>::default();
        let ours = Arc::clone(&waiting);
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || write(&taken, &ours, to)).expect("the system gives us threads");
        let end = LogEnd(Arc::clone(&waiting));
        (Self { lines, waiting, dropped: DroppedLines::default() }, end)
    }

    pub(super) fn dropped(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

/// Until nobody can log any more. What cannot be written is lost, as nobody could be told.
fn write(lines: &Receiver<Vec<u8>>, waiting: &AtomicUsize, mut to: impl Write) {
    for line in lines {
        let _ = to.write_all(&line);
        waiting.fetch_sub(line.len(), Ordering::Release);
    }
}

impl Write for LogWriter {
    /// One call for each line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let before = self.waiting.fetch_add(line.len(), Ordering::Relaxed);
        if before + line.len() > MAX_WAITING || self.lines.send(line.to_vec()).is_err() {
            self.waiting.fetch_sub(line.len(), Ordering::Relaxed);
            self.dropped.0.fetch_add(1, Ordering::Relaxed);
        }
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
}

impl DroppedLines {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for LogEnd {
    fn drop(&mut self) {
        let (mut before, mut patience) = (usize::MAX, LAST_PATIENCE_MS);
        loop {
            match self.0.load(Ordering::Acquire) {
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
    }

    impl Gate {
        fn open(&self) {
            self.0.state.lock().unwrap().1 = true;
            self.0.opened.notify_all();
        }
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let state = self.0.state.lock().unwrap();
            let mut state = self.0.opened.wait_while(state, |(_, open)| !*open).unwrap();
            state.0.extend_from_slice(line);
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
}
