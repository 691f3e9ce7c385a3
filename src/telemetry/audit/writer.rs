//! The audit's own thread: takes lines out of the queue and writes them, in their order, each once.

use std::io;
use std::time::Duration;

use super::sink::Sink;
use super::trail::Common;

/// Written at once, if there is so much: few enough that a slow reader shows that it still reads.
const CHUNK: usize = 16 * 1024;
/// After a failure, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A buffer that a bad time has made longer than this is given back.
const KEPT_BUFFER: usize = 1024 * 1024;

/// Writes until the queue is closed and empty, or abandoned.
pub(super) fn run(common: &Common, mut sink: Sink) {
    // At once: what cannot be opened is to be known before there is a line.
    if !until_done(common, &mut sink, |sink| sink.ready(0).map(drop)) {
        return;
    }
    let mut lines = Vec::new();
    while common.queue.take(&mut lines) {
        let mut rest = &lines[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunk_of(rest));
            let mut done = 0;
            if !until_done(common, &mut sink, |sink| write(common, sink, chunk, &mut done)) {
                return;
            }
            let count = lines_in(chunk);
            common.metrics.written(count);
            common.queue.written(count);
            rest = after;
        }
        if lines.capacity() > KEPT_BUFFER {
            lines = Vec::new();
        }
    }
}

/// Where to cut: behind as many whole lines as fit, and at least one.
fn chunk_of(lines: &[u8]) -> usize {
    let ends = |bytes: &[u8]| bytes.iter().rposition(|&b| b == b'\n');
    let head = &lines[..lines.len().min(CHUNK)];
    let end = ends(head).or_else(|| lines.iter().position(|&b| b == b'\n'));
    end.map_or(lines.len(), |end| end + 1)
}

/// In parts whose count fits into a byte: that is a few vector instructions, and one by one it would be more work than
/// all else that is done for a line here.
fn lines_in(chunk: &[u8]) -> usize {
    let ends = |part: &[u8]| part.iter().map(|&b| u8::from(b == b'\n')).sum::<u8>();
    chunk.chunks(255).map(|part| usize::from(ends(part))).sum()
}

/// Tries until the work is done; whether it is.
fn until_done(
    common: &Common,
    sink: &mut Sink,
    mut work: impl FnMut(&mut Sink) -> io::Result<()>,
) -> bool {
    let mut pause = FIRST_PAUSE;
    loop {
        common.health.busy();
        match work(sink) {
            Ok(()) => {
                common.health.worked();
                return true;
            }
            Err(error) => {
                sink.failed();
                common.health.failed(&error);
            }
        }
        common.queue.pause(pause);
        if common.queue.is_abandoned() {
            return false;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Writes whole lines, from what is `done` of them on.
fn write(common: &Common, sink: &mut Sink, lines: &[u8], done: &mut usize) -> io::Result<()> {
    // Lines that have begun belong to the file in which they have.
    let coming = if *done == 0 { lines.len() as u64 } else { 0 };
    if sink.ready(coming)? {
        common.next_file();
        // In another file the line that broke off is written whole.
        *done = lines[..*done].iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    }
    while *done < lines.len() {
        match sink.write(&lines[*done..]) {
            Ok(written) => {
                *done += written;
                common.health.busy();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Somebody has made it so: then waiting is ours to do.
                common.queue.pause(Duration::from_millis(10));
                if common.queue.is_abandoned() {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
