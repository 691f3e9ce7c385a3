//! Everything that the whole process logs at TRACE, searched for secrets; each test sees its own lines.
//!
//! Tests run at the same time in one process, and each has a runtime of its own, by which lines are attributed. Threads
//! outside of any runtime, such as the audit's, write into the log of every test that has begun.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tracing_subscriber::fmt::MakeWriter;

/// By the runtime's id; ids are not used again.
static LOGS: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());

fn logs() -> MutexGuard<'static, BTreeMap<String, Vec<u8>>> {
    LOGS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime() -> Option<String> {
    Handle::try_current().ok().map(|runtime| runtime.id().to_string())
}

/// Secrets of the demo; no log may contain them.
const DEMO_SECRETS: [&str; 7] = [
    "testsecret",
    "client-001-demo-secret",
    "client-002-demo-secret",
    "client-003-demo-secret",
    "client-004-demo-secret",
    "photo-app-demo-secret",
    // `client-002:client-002-demo-secret` as an Authorization header carries it.
    "Y2xpZW50LTAwMjpjbGllbnQtMDAyLWRlbW8tc2VjcmV0",
];

struct Log;

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match runtime() {
            Some(runtime) => logs().entry(runtime).or_default().extend_from_slice(line),
            None => logs().values_mut().for_each(|log| log.extend_from_slice(line)),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

/// Starts the capture, once for all tests of the process; returns the position in this test's log.
pub(crate) fn capture() -> usize {
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(Log);
    // Only the first test sets it.
    let _ = subscriber.with_ansi(false).try_init();
    logs().entry(runtime().expect("tests that log are async")).or_default().len()
}

/// The lines of this test since a position.
pub(crate) fn since(start: usize) -> String {
    let runtime = runtime().expect("tests that log are async");
    let logs = logs();
    let log = logs.get(&runtime).map(|log| &log[start..]);
    String::from_utf8_lossy(log.unwrap_or_default()).into_owned()
}

/// Fails if any of the secrets, or of the demo's, has been logged since.
pub(crate) fn assert_free_of<'a>(start: usize, secrets: impl Iterator<Item = &'a str>) {
    let log = since(start);
    assert!(!log.is_empty(), "the log was not captured");
    // In one pass: some tests have thousands of secrets.
    let any =
        DEMO_SECRETS.into_iter().chain(secrets).map(regex::escape).collect::<Vec<_>>().join("|");
    let any = regex::RegexBuilder::new(&any).size_limit(1 << 30).build().unwrap();
    let line = log.lines().find(|line| any.is_match(line));
    assert_eq!(line, None, "a secret was logged");
}
