//! Compresses and deletes rotated files, on a thread of its own: the writer only renames.
//!
//! No step loses a line: a plain file is removed only after its compressed copy is on the disk under its own name. What a
//! crash leaves between two steps is finished or removed at the next start.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use chrono::TimeDelta;

use super::compression::{compress, is_copy};
use super::rotation::{FileIdentity, PlainFile, RotatedFiles};
use appserver_domain::clock::Clock;

/// How often files are checked without a rotation: their age is that of time alone.
const CHECK_EVERY: Duration = Duration::from_mins(10);

/// What happens to rotated files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    pub(super) compress: bool,
    /// Files whose last line is older are deleted.
    pub(super) max_rotated_age: Option<TimeDelta>,
}

struct Maintenance {
    files: Vec<Arc<RotatedFiles>>,
    retention: Retention,
    clock: Clock,
    rotated: Receiver<()>,
    /// Whether the last pass failed; the failure is logged.
    has_failed: bool,
}

/// Starts the thread, which ends with the last sender. A message on it reports a rotation.
pub(super) fn start(
    files: Vec<Arc<RotatedFiles>>,
    retention: Retention,
    clock: Clock,
) -> SyncSender<()> {
    let (sender, rotated) = sync_channel(1);
    let mut maintenance = Maintenance { files, retention, clock, rotated, has_failed: false };
    let thread = std::thread::Builder::new().name("audit-files".into());
    thread.spawn(move || maintenance.run()).expect("the system gives us threads");
    sender
}

impl Maintenance {
    fn run(&mut self) {
        for files in &self.files {
            // Of a process that ended while it compressed; its plain file is still there.
            let _ = fs::remove_file(files.temporary());
        }
        loop {
            self.pass();
            match self.rotated.recv_timeout(CHECK_EVERY) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// One failure keeps no other file from its turn.
    fn pass(&mut self) {
        let mut failures = Vec::new();
        for files in &self.files {
            let cutoff = self
                .retention
                .max_rotated_age
                .and_then(|max_rotated_age| self.clock.now().checked_sub_signed(max_rotated_age));
            let removed = cutoff.map_or(Ok(()), |cutoff| files.remove_older(cutoff));
            failures.extend(removed.err().map(|error| (files, "deleted", error)));
            if self.retention.compress {
                let errors = compress_all(files, &self.rotated);
                failures.extend(errors.into_iter().map(|error| (files, "compressed", error)));
            }
        }
        let had_failed = std::mem::replace(&mut self.has_failed, !failures.is_empty());
        for (files, verb, error) in failures.iter().filter(|_| !had_failed) {
            let path = files.path().display();
            tracing::error!(error.message = %error, "a rotated file of the audit {path} cannot be {verb}; it stays as it is, retrying later");
        }
    }
}

/// Compresses the files that are to be compressed, and returns what failed.
fn compress_all(files: &RotatedFiles, rotated: &Receiver<()>) -> Vec<io::Error> {
    let (mut failed, mut errors) = (Vec::<FileIdentity>::new(), Vec::new());
    // A rotation in the meantime needs no message: the names are read again for each file.
    let mut is_stopped = || matches!(rotated.try_recv(), Err(TryRecvError::Disconnected));
    while !is_stopped() {
        let mut plain = match files.next_plain(&failed) {
            Ok(Some(plain)) => plain,
            Ok(None) => break,
            Err(error) => {
                errors.push(error);
                break;
            }
        };
        if let Err(error) = replace(files, &mut plain, &mut is_stopped) {
            failed.push(plain.identity);
            errors.push(error);
        }
    }
    errors
}

/// Puts a compressed copy into the place of the plain file.
fn replace(
    files: &RotatedFiles,
    plain: &mut PlainFile,
    is_stopped: impl FnMut() -> bool,
) -> io::Result<()> {
    match &plain.copy {
        // A crash came between the last two steps.
        Some(copy) if is_copy(copy, &plain.file)? => {}
        Some(_) => {
            return Err(io::Error::other(
                "a compressed file of the same number has other lines; move one of the two away",
            ));
        }
        None => {
            let temporary = files.temporary();
            if !compress(plain, &temporary, is_stopped)? {
                return Ok(());
            }
            if !files.add_copy(plain.identity, &temporary)? {
                return fs::remove_file(temporary);
            }
        }
    }
    // The copy's name must be on the disk before that of the plain file goes.
    files.sync_folder()?;
    files.remove_plain(plain.identity)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{Read, Write};
    use std::path::Path;

    use super::*;

    /// Another file beside the one that is written, and its text, compressed or not.
    fn beside(path: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for file in fs::read_dir(path.parent().unwrap()).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let bytes = fs::read(file.path()).unwrap();
            let mut text = String::new();
            if file.path().extension().is_some_and(|extension| extension == "gz") {
                flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
            } else {
                text = String::from_utf8(bytes).unwrap();
            }
            found.insert(name, text);
        }
        found
    }

    fn named(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn pass(path: &Path, max_rotated_age: Option<TimeDelta>) {
        let files = vec![Arc::new(RotatedFiles::new(path.into(), 5))];
        let retention = Retention { compress: true, max_rotated_age };
        // Dropping the sender would end the pass before its first file.
        let (_sender, rotated) = sync_channel(1);
        let clock = Clock::system();
        Maintenance { files, retention, clock, rotated, has_failed: false }.pass();
    }

    fn gzipped(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn all_rotated_files_but_the_newest_are_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for (name, text) in [("audit.jsonl", "d"), ("audit.jsonl.1", "c"), ("audit.jsonl.3", "a")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        pass(&path, None);
        let expected = [("audit.jsonl", "d"), ("audit.jsonl.1", "c"), ("audit.jsonl.3.gz", "a")];
        assert_eq!(beside(&path), named(&expected));
    }

    /// Each state that a crash can leave, and no line is lost or twice in it afterwards.
    #[test]
    fn what_a_crash_leaves_is_finished_or_removed_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        write("audit.jsonl", b"d");
        // While it was compressed.
        write(".audit.jsonl.gz.tmp", &gzipped("b")[..7]);
        write("audit.jsonl.2", b"b");
        // After the copy had its name.
        write("audit.jsonl.3", b"a");
        write("audit.jsonl.3.gz", &gzipped("a"));
        let files = vec![Arc::new(RotatedFiles::new(path.clone(), 5))];
        let retention = Retention { compress: true, max_rotated_age: None };
        let sender = start(files, retention, Clock::system());
        let expected =
            named(&[("audit.jsonl", "d"), ("audit.jsonl.2.gz", "b"), ("audit.jsonl.3.gz", "a")]);
        let names = |found: &[&str]| {
            let there = fs::read_dir(folder.path()).unwrap();
            let mut there: Vec<_> = there.map(|file| file.unwrap().file_name()).collect();
            there.sort();
            there == found
        };
        let done = ["audit.jsonl", "audit.jsonl.2.gz", "audit.jsonl.3.gz"];
        for _ in 0..1000 {
            if names(&done) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(beside(&path), expected);
        drop(sender);
    }

    /// By another program: nobody knows which of them is right.
    #[test]
    fn a_compressed_file_with_other_lines_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        fs::write(folder.path().join("audit.jsonl.2"), "b").unwrap();
        fs::write(folder.path().join("audit.jsonl.2.gz"), gzipped("x")).unwrap();
        fs::write(folder.path().join("audit.jsonl.3"), "a").unwrap();
        pass(&path, None);
        let expected =
            [("audit.jsonl.2", "b"), ("audit.jsonl.2.gz", "x"), ("audit.jsonl.3.gz", "a")];
        assert_eq!(beside(&path), named(&expected));
    }

    #[test]
    fn rotated_files_are_deleted_when_their_last_line_is_too_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for number in 1..=3 {
            fs::write(folder.path().join(format!("audit.jsonl.{number}")), "line").unwrap();
        }
        let oldest = fs::File::options().write(true).open(folder.path().join("audit.jsonl.3"));
        let hours = |hours| (Clock::system().now() - TimeDelta::hours(hours)).into();
        oldest.unwrap().set_modified(hours(3)).unwrap();
        pass(&path, Some(TimeDelta::hours(2)));
        let expected = [("audit.jsonl.1", "line"), ("audit.jsonl.2.gz", "line")];
        assert_eq!(beside(&path), named(&expected));
    }
}
