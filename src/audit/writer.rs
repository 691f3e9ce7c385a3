//! The audit's own thread: takes lines out of the queue and writes them, in their order, each once.

use std::io;
use std::time::Duration;

use super::line;
use super::queue::Lines;
use super::settings::Durability;
use super::sink::{Sink, Sinks};
use super::trail::Common;

/// Written at once, if there is so much: few enough that a slow reader shows that it still reads.
const CHUNK: usize = 16 * 1024;
/// After a failure, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the writer knows.
struct Writer<'a> {
    common: &'a Common,
    sinks: Sinks,
    /// Counts the files of what was handed out, or whatever its lines go to: each tells of its tokens what they may do.
    file: u64,
}

/// The audit was given up before all was written.
struct Abandoned;

/// Lines of what was handed out, on their way into one file: those with the numbers from `from` to before `to`.
#[derive(Default)]
struct Chunk {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
    /// So many of the bytes are written.
    done: usize,
}

/// Writes until the queue is closed and empty, or abandoned.
pub(super) fn run(common: &Common, sinks: Sinks) {
    let mut writer = Writer { common, sinks, file: 0 };
    // Nobody is there to hear that it was abandoned but who did it.
    let _ = writer.run();
}

impl Writer<'_> {
    fn run(&mut self) -> Result<(), Abandoned> {
        let Self { common, sinks, file } = self;
        // At once: what cannot be opened is to be known before there is a line.
        until_done(common, sinks.granted(), |sink| {
            *file += u64::from(sink.ready(0)?);
            Ok(())
        })?;
        let mut lines = Lines::default();
        while let Some(reports) = self.common.queue.take(&mut lines) {
            self.write_granted(&lines)?;
            self.common.queue.done();
            let mut told = lines.refused_lines;
            if reports {
                told += self.common.refusals.report(&mut lines.refused, &self.common.tail);
            }
            self.write_refused(&lines.refused)?;
            self.common.metrics.written(told);
            self.common.queue.written(lines.refused_lines);
        }
        Ok(())
    }

    /// When this has returned, the lines are where `durability` wants them.
    fn write_granted(&mut self, lines: &Lines) -> Result<(), Abandoned> {
        if lines.granted() == 0 {
            return Ok(());
        }
        let on_disk = self.common.durability == Durability::Disk;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut chunk = Chunk::default();
            while chunk.from < lines.granted() {
                let begin = chunk.from;
                let Self { common, sinks, file } = self;
                until_done(common, sinks.granted(), |sink| {
                    write_chunk(common, sink, file, lines, &mut chunk)
                })?;
                if !on_disk {
                    self.written(chunk.to - begin);
                }
                chunk = Chunk { from: chunk.to, ..Chunk::default() };
            }
            if !on_disk {
                return Ok(());
            }
            self.common.health.busy();
            match self.sinks.granted().sync() {
                Ok(()) => {
                    self.common.health.worked();
                    self.written(lines.granted());
                    return Ok(());
                }
                // What is on the disk is not known, and another try may not find out: rather twice than not at all.
                Err(error) => pause_after(self.common, self.sinks.granted(), &error, pause)?,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn write_refused(&mut self, lines: &[u8]) -> Result<(), Abandoned> {
        let mut rest = lines;
        while !rest.is_empty() {
            let sink = self.sinks.refused();
            let (chunk, after) = rest.split_at(chunk_of(rest, CHUNK.min(sink.longest())));
            let mut done = 0;
            until_done(self.common, sink, |sink| {
                // Lines that have begun belong to the file in which they have.
                let coming = if done == 0 { chunk.len() as u64 } else { 0 };
                if sink.ready(coming)? {
                    // In another file the line that broke off is written whole.
                    done = whole_lines(&chunk[..done]);
                }
                write(self.common, sink, chunk, &mut done)
            })?;
            rest = after;
        }
        Ok(())
    }

    fn written(&self, lines: usize) {
        self.common.metrics.written(lines);
        self.common.queue.written(lines);
    }
}

/// Writes the lines from what is done of them on; those that begin in another file, as that file needs them.
fn write_chunk(
    common: &Common,
    sink: &mut Sink,
    file: &mut u64,
    lines: &Lines,
    chunk: &mut Chunk,
) -> io::Result<()> {
    let longest = CHUNK.min(sink.longest());
    if chunk.bytes.is_empty() {
        chunk.compose(common, lines, *file, longest);
    }
    let coming = if chunk.done == 0 { chunk.bytes.len() as u64 } else { 0 };
    if sink.ready(coming)? {
        *file += 1;
        // What was written whole stays where it is; the line that broke off is written whole here.
        let whole = &chunk.bytes[..whole_lines(&chunk.bytes[..chunk.done])];
        *chunk = Chunk { from: chunk.from + lines_in(whole), ..Chunk::default() };
        chunk.compose(common, lines, *file, longest);
    }
    write(common, sink, &chunk.bytes, &mut chunk.done)
}

impl Chunk {
    /// As many lines as fit, and at least one. Which of them tell their token's policy is decided here, where it is known
    /// in which file they are going to stand.
    fn compose(&mut self, common: &Common, lines: &Lines, file: u64, longest: usize) {
        self.to = self.from;
        while self.to < lines.granted() {
            let (line, policy) = lines.granted_line(self.to);
            let policy = policy.filter(|policy| policy.token.is_untold(file));
            let member = policy.map(|policy| line::policy(&policy.text)).unwrap_or_default();
            if self.to > self.from && self.bytes.len() + line.len() + member.len() > longest {
                return;
            }
            line::insert(&mut self.bytes, line, &member, common.tail.len());
            if let Some(policy) = policy {
                policy.token.told(file);
            }
            self.to += 1;
        }
    }
}

/// Where to cut: behind as many whole lines as fit, and at least one.
fn chunk_of(lines: &[u8], longest: usize) -> usize {
    let head = &lines[..lines.len().min(longest)];
    match whole_lines(head) {
        0 => lines.iter().position(|&b| b == b'\n').map_or(lines.len(), |end| end + 1),
        end => end,
    }
}

/// How many bytes of it are whole lines.
fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1)
}

fn lines_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}

/// Tries until the work is done.
fn until_done(
    common: &Common,
    sink: &mut Sink,
    mut work: impl FnMut(&mut Sink) -> io::Result<()>,
) -> Result<(), Abandoned> {
    let mut pause = FIRST_PAUSE;
    loop {
        common.health.busy();
        match work(sink) {
            Ok(()) => {
                common.health.worked();
                return Ok(());
            }
            Err(error) => pause_after(common, sink, &error, pause)?,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn pause_after(
    common: &Common,
    sink: &mut Sink,
    error: &io::Error,
    pause: Duration,
) -> Result<(), Abandoned> {
    sink.failed();
    common.health.failed(&sink.name(), error);
    common.queue.trouble();
    common.queue.pause(pause);
    if common.queue.is_over() { Err(Abandoned) } else { Ok(()) }
}

/// Writes from what is `done` of it on.
fn write(common: &Common, sink: &mut Sink, bytes: &[u8], done: &mut usize) -> io::Result<()> {
    while *done < bytes.len() {
        match sink.write(&bytes[*done..]) {
            Ok(written) => {
                *done += written;
                common.health.busy();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Somebody has made it so: then waiting is ours to do.
                common.queue.pause(Duration::from_millis(10));
                if common.queue.is_over() {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::sink::tests::Scripted;
    use super::*;
    use crate::telemetry::AuditMetrics;

    fn common(durability: Durability) -> Common {
        Common::new(
            100,
            durability,
            std::num::NonZeroU32::MIN,
            "}\n".to_owned(),
            AuditMetrics::default(),
        )
    }

    /// What the sink was told while these lines were written, and whether they came through.
    fn written(common: &Common, script: &Scripted, lines: &[&str]) -> (Vec<String>, bool) {
        let mut writer = Writer { common, sinks: script.sinks(), file: 1 };
        let lines = Lines::all_granted(lines);
        common.queue.expect(lines.granted());
        let through = writer.write_granted(&lines).is_ok();
        (std::mem::take(&mut script.0.lock().unwrap().did), through)
    }

    #[test]
    fn only_what_is_to_be_on_the_disk_is_synced_and_before_it_counts_as_written() {
        let script = Scripted::default();
        for durability in [Durability::Queue, Durability::Process] {
            let did = written(&common(durability), &script, &["{a}\n", "{b}\n"]);
            assert_eq!(did, (vec!["{a}\n{b}\n".to_owned()], true));
        }
        let on_disk = common(Durability::Disk);
        let did = written(&on_disk, &script, &["{a}\n"]);
        assert_eq!(did, (vec!["{a}\n".to_owned(), "sync".to_owned()], true));
        assert_eq!(on_disk.queue.len(), 0);
    }

    /// After a sync that failed nobody knows what is on the disk.
    #[test]
    fn what_could_not_be_synced_is_written_again() {
        let script = Scripted::default();
        script.0.lock().unwrap().syncs.push_back(Err(io::ErrorKind::StorageFull.into()));
        let did = written(&common(Durability::Disk), &script, &["{a}\n"]);
        assert_eq!(did, (["{a}\n", "sync", "{a}\n", "sync"].map(str::to_owned).to_vec(), true));
    }

    /// A line's file is known when it is written, and not when it is queued.
    #[test]
    fn the_first_line_of_a_token_in_each_file_tells_what_it_may_do() {
        let token = Arc::new(super::super::line::TokenFields::for_tests());
        let lines = |count: usize| {
            let queue = super::super::queue::Queue::new(100, false);
            for _ in 0..count {
                let (token, text) = (Arc::clone(&token), "policy".to_owned());
                queue.push(
                    "{\"n\":1}\n",
                    &mut Some(super::super::queue::TokenPolicy { token, text }),
                );
            }
            let mut lines = Lines::default();
            queue.take(&mut lines);
            lines
        };
        let (common, script) = (common(Durability::Process), Scripted::default());
        let mut writer = Writer { common: &common, sinks: script.sinks(), file: 1 };
        // It is found to be another file when lines are on their way that were meant for the one before.
        script.0.lock().unwrap().fresh = [false, true, false].into();
        for _ in 0..3 {
            let lines = lines(2);
            common.queue.expect(lines.granted());
            assert!(writer.write_granted(&lines).is_ok());
        }
        let (told, not) = ("{\"n\":1,\"Policy\":\"policy\"}\n", "{\"n\":1}\n");
        let expected = [
            format!("{told}{not}"),
            "another file".to_owned(),
            format!("{told}{not}"),
            format!("{not}{not}"),
        ];
        assert_eq!(script.0.lock().unwrap().did, expected);
    }
}
