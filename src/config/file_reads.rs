//! Bounded reads of files: only regular ones, of a maximum length, within a maximum time.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

/// The longest file. A list of revoked certificates may have some megabytes; all other files are far smaller.
const MAX_BYTES: u64 = 64 << 20;
/// For all files of a configuration together. They are small, but may be on a network file system.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a whole file of a configuration. A pipe or a device, which may never end, is an error at once.
pub(super) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    #[cfg(feature = "emulator")]
    if let Some(text) = super::built_in(path) {
        return Ok(text.into());
    }
    regular(path, MAX_BYTES)
}

/// Reads a whole text file of a configuration, likewise.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    text(read_bytes(path)?)
}

/// The same with a limit of its own.
pub(super) fn read_text_up_to(limit: u64, path: &Path) -> io::Result<String> {
    text(regular(path, limit)?)
}

/// Reads a file that is named on the command line. It may be a pipe, as the shell's `<(…)` is, with the same maximum
/// length.
pub(crate) fn read_argument(path: &Path) -> io::Result<String> {
    text(bounded(path, MAX_BYTES)?)
}

fn regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    check_regular(path)?;
    bounded(path, limit)
}

/// A pipe, a device or a directory is an error.
pub(crate) fn check_regular(path: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_file() {
        return Ok(());
    }
    Err(refused(format!("it must be a regular file, and is {}", kind(&metadata))))
}

fn bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let limit = match limit >> 20 {
            0 => format!("{} KiB", limit >> 10),
            mebibytes => format!("{mebibytes} MiB"),
        };
        return Err(refused(format!("it is longer than {limit}")));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(bytes).map_err(not_text)
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// Reads files on threads of their own, one read at a time, each with a time-out. A mount that hangs blocks only its own
/// thread.
#[derive(Debug)]
pub(crate) struct FileReads {
    timeout: Duration,
    /// The last read, which may have timed out.
    last: Option<JoinHandle<()>>,
    hangs: bool,
}

/// The files were not read in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hang {
    timeout: Duration,
    /// Whether this is the first read that timed out.
    pub(crate) is_new: bool,
}

impl fmt::Display for Hang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.timeout.as_secs();
        write!(f, "reading its files takes longer than {secs} s; does a mount hang?")
    }
}

impl Default for FileReads {
    fn default() -> Self {
        Self { timeout: TIMEOUT, last: None, hangs: false }
    }
}

impl FileReads {
    /// Runs `work`, unless an earlier read still hangs. Fails if it takes too long.
    pub(crate) async fn read<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Hang> {
        if let Some(last) = &mut self.last {
            // A read whose waiter was cancelled will end soon.
            let wait = if self.hangs { Duration::ZERO } else { self.timeout };
            if tokio::time::timeout(wait, last).await.is_err() {
                return Err(self.hang());
            }
        }
        let (done, outcome) = oneshot::channel();
        // Stored before the wait, which may be cancelled at any time.
        self.last = Some(spawn_blocking(move || drop(done.send(work()))));
        match tokio::time::timeout(self.timeout, outcome).await {
            Ok(read) => {
                (self.last, self.hangs) = (None, false);
                Ok(read.expect("reading files does not panic"))
            }
            Err(_) => Err(self.hang()),
        }
    }

    fn hang(&mut self) -> Hang {
        Hang { timeout: self.timeout, is_new: !std::mem::replace(&mut self.hangs, true) }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn only_regular_files_of_a_sane_length_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::fs::write(at("bytes"), [0xff]).unwrap();
        File::create(at("long")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        std::fs::write(at("text"), "text").unwrap();
        std::os::unix::fs::symlink("text", at("link")).unwrap();
        let read = |path: &Path| read_text(path).unwrap_or_else(|error| format!("({error})"));
        let mut all: Vec<_> = ["pipe", "socket", "bytes", "long", "link", "none"]
            .map(at)
            .iter()
            .map(|p| read(p))
            .collect();
        all.push(read(folder.path()));
        all.push(read(Path::new("/dev/zero")));
        insta::assert_snapshot!(all.join("\n"), @r"
(it must be a regular file, and is a pipe)
(it must be a regular file, and is a socket)
(it is not UTF-8 text)
(it is longer than 64 MiB)
text
(No such file or directory (os error 2))
(it must be a regular file, and is a directory)
(it must be a regular file, and is a device)
");
    }

    /// A pipe or a device on the command line has the same limit as a file.
    #[test]
    fn an_argument_may_be_a_pipe_and_no_longer_than_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = {
            let pipe = pipe.clone();
            std::thread::spawn(move || std::fs::write(pipe, "text").unwrap())
        };
        assert_eq!(read_argument(&pipe).unwrap(), "text");
        writer.join().unwrap();
        let endless = read_argument(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(endless.to_string(), "it is longer than 64 MiB");
    }

    /// A mount that hangs blocks one thread, however often it is read, and is read again once it no longer hangs.
    #[tokio::test]
    async fn a_read_that_hangs_times_out_and_is_not_repeated_before_it_ends() {
        let mut reads = FileReads { timeout: Duration::from_millis(20), ..FileReads::default() };
        let (end, hangs) = mpsc::channel::<()>();
        let hang = reads.read(move || hangs.recv()).await.unwrap_err();
        assert!(hang.is_new);
        assert_eq!(hang.to_string(), "reading its files takes longer than 0 s; does a mount hang?");
        let again = reads.read(|| unreachable!("the one before it still reads")).await;
        let again: Result<(), Hang> = again;
        assert!(!again.unwrap_err().is_new);
        drop(end);
        while !reads.last.as_ref().unwrap().is_finished() {
            tokio::task::yield_now().await;
        }
        for number in 0..100 {
            assert_eq!(reads.read(move || number).await.unwrap(), number);
        }
    }

    /// As a watch does when a reload is requested meanwhile.
    #[tokio::test]
    async fn a_reading_that_nobody_waits_for_any_more_does_not_hang() {
        let mut reads = FileReads::default();
        let (end, slow) = mpsc::channel::<()>();
        let given_up = reads.read(move || slow.recv());
        assert!(tokio::time::timeout(Duration::from_millis(5), given_up).await.is_err());
        drop(end);
        assert_eq!(reads.read(|| 7).await.unwrap(), 7);
    }
}
