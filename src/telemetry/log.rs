//! The log: on standard error, one line an event, never a secret.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

use super::json::{JsonLine, JsonMembers};

/// Starts the log of this process. `filter` is a level or `EnvFilter` directives.
pub(crate) fn start(
    json: bool,
    filter: &str,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Starting twice only happens in tests; the first one stays.
    let _ = if json {
        builder.fmt_fields(JsonMembers).event_format(JsonLine).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    Ok(())
}

/// Whether a filter can be used; what cannot be used is not repeated in the error's text.
pub(crate) fn check_filter(filter: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(filter).map(|_| ())
}

/// Logs where a panic happened, and not its message: a message is built from values, and values may be secret.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "a thread panicked; this is a bug, please report the location");
    }));
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_logged_by_its_place_and_not_by_its_message() {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        // The hook is the process's; a panic of another test in this moment would go unreported, not unnoticed.
        let usual = std::panic::take_hook();
        log_panics();
        let panicked = tracing::subscriber::with_default(subscriber, || {
            std::panic::catch_unwind(|| panic!("{}", "canary-secret"))
        });
        std::panic::set_hook(usual);
        assert!(panicked.is_err());
        let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("a thread panicked") && log.contains(file!()), "{log}");
        assert!(!log.contains("canary"), "{log}");
    }
}
