//! The audit's thread: takes lines from the queue and writes them in order.

use std::io;
use std::time::Duration;

use super::line;
use super::queue::Lines;
use super::settings::Durability;
use super::shared::Shared;
use super::sink::{Sink, Sinks};
use tokio::time::Instant;

/// Bytes of one write: few enough to notice that a slow reader still reads.
const CHUNK_BYTES: usize = 16 * 1024;
/// The back-off after a failure doubles up to the maximum.
const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// How often the age of files is checked, whether lines come or not.
const CHECK_AGE_EVERY: Duration = Duration::from_mins(1);

struct Writer<'a> {
    shared: &'a Shared,
    sinks: Sinks,
    /// The number of the current file of tokens: each file contains the policies of its tokens.
    file: u64,
}

/// The audit was abandoned before all lines were written.
struct Abandoned;

/// Lines `from..to` of tokens and tickets, which are written to one file.
#[derive(Default)]
struct Chunk {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
    /// How many of the bytes are written.
    done: usize,
}

/// Writes until the queue is closed and empty, or abandoned.
pub(super) fn run(shared: &Shared, sinks: Sinks) {
    let mut writer = Writer { shared, sinks, file: 0 };
    // The code that abandoned the audit has reported it.
    let _ = writer.run();
}

impl Writer<'_> {
    fn run(&mut self) -> Result<(), Abandoned> {
        let Self { shared, sinks, file } = self;
        // Opened before the first line, so that a failure shows at the start.
        retry_until_done(shared, sinks.granted(), |sink| {
            *file += u64::from(sink.ready(0)?);
            Ok(())
        })?;
        let mut lines = Lines::default();
        let mut check_age_at = Instant::now() + CHECK_AGE_EVERY;
        while let Some(reports) = self.shared.queue.take(&mut lines, check_age_at) {
            self.write_granted(&lines)?;
            self.shared.queue.complete_batch();
            let mut refused = lines.refused_lines;
            if reports {
                refused += self.shared.refusals.report(&mut lines.refused, &self.shared.tail);
            }
            self.write_refused(&lines.refused)?;
            self.shared.metrics.written(refused);
            self.shared.queue.written(lines.refused_lines);
            if Instant::now() >= check_age_at {
                self.rotate_old_files()?;
                check_age_at = Instant::now() + CHECK_AGE_EVERY;
            }
        }
        Ok(())
    }

    /// A file without new lines ages, too.
    fn rotate_old_files(&mut self) -> Result<(), Abandoned> {
        let Self { shared, sinks, file } = self;
        retry_until_done(shared, sinks.granted(), |sink| {
            *file += u64::from(sink.rotate_if_old()?);
            Ok(())
        })?;
        retry_until_done(shared, sinks.refused(), |sink| sink.rotate_if_old().map(drop))
    }

    /// Returns when the lines are as durable as configured.
    fn write_granted(&mut self, lines: &Lines) -> Result<(), Abandoned> {
        if lines.granted() == 0 {
            return Ok(());
        }
        let on_disk = self.shared.durability == Durability::Disk;
        let mut backoff = MIN_BACKOFF;
        loop {
            let mut chunk = Chunk::default();
            while chunk.from < lines.granted() {
                let begin = chunk.from;
                let Self { shared, sinks, file } = self;
                retry_until_done(shared, sinks.granted(), |sink| {
                    write_chunk(shared, sink, file, lines, &mut chunk)
                })?;
                if !on_disk {
                    self.written(chunk.to - begin);
                }
                chunk = Chunk { from: chunk.to, ..Chunk::default() };
            }
            if !on_disk {
                return Ok(());
            }
            self.shared.health.write_started();
            match self.sinks.granted().sync() {
                Ok(()) => {
                    self.shared.health.write_succeeded();
                    self.written(lines.granted());
                    return Ok(());
                }
                // It is unknown what is on the disk, and a second sync cannot tell: the lines are written again.
                Err(error) => back_off(self.shared, self.sinks.granted(), &error, backoff)?,
            }
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    fn write_refused(&mut self, lines: &[u8]) -> Result<(), Abandoned> {
        let mut rest = lines;
        while !rest.is_empty() {
            let sink = self.sinks.refused();
            let (chunk, after) = rest.split_at(chunk_end(rest, CHUNK_BYTES.min(sink.max_write())));
            let mut done = 0;
            retry_until_done(self.shared, sink, |sink| {
                // Lines that have begun stay in their file.
                let coming = if done == 0 { chunk.len() as u64 } else { 0 };
                if sink.ready(coming)? {
                    // In another file the interrupted line is written in full.
                    done = whole_lines(&chunk[..done]);
                }
                write(self.shared, sink, chunk, &mut done)
            })?;
            rest = after;
        }
        Ok(())
    }

    fn written(&self, lines: usize) {
        self.shared.metrics.written(lines);
        self.shared.queue.written(lines);
    }
}

/// Writes the rest of the chunk, and composes it again if the file changes.
fn write_chunk(
    shared: &Shared,
    sink: &mut Sink,
    file: &mut u64,
    lines: &Lines,
    chunk: &mut Chunk,
) -> io::Result<()> {
    let longest = CHUNK_BYTES.min(sink.max_write());
    if chunk.bytes.is_empty() {
        chunk.compose(shared, lines, *file, longest);
    }
    let coming = if chunk.done == 0 { chunk.bytes.len() as u64 } else { 0 };
    if sink.ready(coming)? {
        *file += 1;
        // Complete lines stay in the old file; the interrupted line is written in full in the new one.
        let whole = &chunk.bytes[..whole_lines(&chunk.bytes[..chunk.done])];
        *chunk = Chunk { from: chunk.from + count_lines(whole), ..Chunk::default() };
        chunk.compose(shared, lines, *file, longest);
    }
    write(shared, sink, &chunk.bytes, &mut chunk.done)
}

impl Chunk {
    /// Composes as many lines as fit, and at least one. Policies are added here, because only here the file is known.
    fn compose(&mut self, shared: &Shared, lines: &Lines, file: u64, longest: usize) {
        self.to = self.from;
        while self.to < lines.granted() {
            let (line, policy) = lines.granted_line(self.to);
            let policy = policy.filter(|policy| policy.token.needs_policy_in(file));
            let member = policy.map(|policy| line::policy(&policy.text)).unwrap_or_default();
            if self.to > self.from && self.bytes.len() + line.len() + member.len() > longest {
                return;
            }
            line::insert(&mut self.bytes, line, &member, shared.tail.len());
            if let Some(policy) = policy {
                policy.token.policy_written_in(file);
            }
            self.to += 1;
        }
    }
}

/// The end of as many complete lines as fit, and of at least one.
fn chunk_end(lines: &[u8], longest: usize) -> usize {
    let head = &lines[..lines.len().min(longest)];
    match whole_lines(head) {
        0 => lines.iter().position(|&b| b == b'\n').map_or(lines.len(), |end| end + 1),
        end => end,
    }
}

/// How many bytes are complete lines.
fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1)
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}

/// Retries until the work succeeds.
fn retry_until_done(
    shared: &Shared,
    sink: &mut Sink,
    mut work: impl FnMut(&mut Sink) -> io::Result<()>,
) -> Result<(), Abandoned> {
    let mut backoff = MIN_BACKOFF;
    loop {
        shared.health.write_started();
        match work(sink) {
            Ok(()) => {
                shared.health.write_succeeded();
                return Ok(());
            }
            Err(error) => back_off(shared, sink, &error, backoff)?,
        }
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}

fn back_off(
    shared: &Shared,
    sink: &mut Sink,
    error: &io::Error,
    backoff: Duration,
) -> Result<(), Abandoned> {
    sink.write_failed();
    shared.health.write_failed(&sink.name(), error);
    shared.queue.notify_failure();
    shared.queue.pause(backoff);
    if shared.queue.should_stop() { Err(Abandoned) } else { Ok(()) }
}

/// Writes the bytes from `done` on.
fn write(shared: &Shared, sink: &mut Sink, bytes: &[u8], done: &mut usize) -> io::Result<()> {
    while *done < bytes.len() {
        match sink.write(&bytes[*done..]) {
            Ok(written) => {
                *done += written;
                shared.health.write_started();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // The descriptor was made non-blocking by another process.
                shared.queue.pause(Duration::from_millis(10));
                if shared.queue.should_stop() {
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

    fn shared(durability: Durability) -> Shared {
        Shared::new(
            100,
            durability,
            std::num::NonZeroU32::MIN,
            "}\n".to_owned(),
            AuditMetrics::default(),
        )
    }

    /// The sink's calls while these lines were written, and whether that succeeded.
    fn written(shared: &Shared, script: &Scripted, lines: &[&str]) -> (Vec<String>, bool) {
        let mut writer = Writer { shared, sinks: script.sinks(), file: 1 };
        let lines = Lines::all_granted(lines);
        shared.queue.expect(lines.granted());
        let through = writer.write_granted(&lines).is_ok();
        (std::mem::take(&mut script.0.lock().unwrap().did), through)
    }

    #[test]
    fn only_disk_durability_syncs_and_it_does_so_before_lines_count_as_written() {
        let script = Scripted::default();
        for durability in [Durability::Queue, Durability::Process] {
            let did = written(&shared(durability), &script, &["{a}\n", "{b}\n"]);
            assert_eq!(did, (vec!["{a}\n{b}\n".to_owned()], true));
        }
        let on_disk = shared(Durability::Disk);
        let did = written(&on_disk, &script, &["{a}\n"]);
        assert_eq!(did, (vec!["{a}\n".to_owned(), "sync".to_owned()], true));
        assert_eq!(on_disk.queue.len(), 0);
    }

    /// After a failed sync it is unknown what is on the disk.
    #[test]
    fn lines_that_could_not_be_synced_are_written_again() {
        let script = Scripted::default();
        script.0.lock().unwrap().syncs.push_back(Err(io::ErrorKind::StorageFull.into()));
        let did = written(&shared(Durability::Disk), &script, &["{a}\n"]);
        assert_eq!(did, (["{a}\n", "sync", "{a}\n", "sync"].map(str::to_owned).to_vec(), true));
    }

    /// A line's file is known when it is written, not when it is queued.
    #[test]
    fn the_first_line_of_a_token_in_each_file_contains_its_policy() {
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
            queue.take(&mut lines, Instant::now() + CHECK_AGE_EVERY);
            lines
        };
        let (shared, script) = (shared(Durability::Process), Scripted::default());
        let mut writer = Writer { shared: &shared, sinks: script.sinks(), file: 1 };
        // The file changes while lines are written that were composed for the previous one.
        script.0.lock().unwrap().fresh = [false, true, false].into();
        for _ in 0..3 {
            let lines = lines(2);
            shared.queue.expect(lines.granted());
            assert!(writer.write_granted(&lines).is_ok());
        }
        let (with, without) = ("{\"n\":1,\"Policy\":\"policy\"}\n", "{\"n\":1}\n");
        let expected = [
            format!("{with}{without}"),
            "another file".to_owned(),
            format!("{with}{without}"),
            format!("{without}{without}"),
        ];
        assert_eq!(script.0.lock().unwrap().did, expected);
    }
}
