//! The log: on standard error, one line an event, never a secret.

use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use super::log_writer::{DroppedLines, LogEnd, LogWriter};

/// The filter of this process's log, which can be changed while it runs.
///
/// What the filter leaves out costs as little as before: each place in the code remembers whether it is of interest,
/// and a change only has them all ask again. What is logged takes one read lock more.
#[derive(Clone, Debug)]
pub(crate) struct LogFilter {
    handle: reload::Handle<EnvFilter, Registry>,
    dropped: DroppedLines,
}

impl LogFilter {
    /// Logs by these directives from now on.
    pub(crate) fn change(&self, filter: &str) -> Result<(), ParseError> {
        let filter = EnvFilter::try_new(filter)?;
        // It fails where another log was started before this one, as in tests.
        let _ = self.handle.reload(filter);
        Ok(())
    }

    /// What was dropped of the log, for the metrics.
    pub(crate) fn dropped(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

/// Starts the log of this process, which is written until its end. `filter` is a level or `EnvFilter` directives.
pub(crate) fn start(json: bool, filter: &str) -> Result<(LogFilter, LogEnd), ParseError> {
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(filter)?);
    let (writer, end) = LogWriter::start(std::io::stderr());
    let dropped = writer.dropped();
    let filtered = tracing_subscriber::registry().with(filter);
    // Starting twice only happens in tests; the first one stays.
    let _ = if json {
        filtered.with(json_lines(writer)).try_init()
    } else {
        let lines = fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_target(false);
        filtered.with(lines.with_writer(writer)).try_init()
    };
    Ok((LogFilter { handle, dropped }, end))
}

/// One object a line: time, level, the event's fields, target, and the spans around it from the outermost on.
fn json_lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(writer)
}

/// Why a filter cannot be used. It is not repeated in the error's text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidFilter {
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// `EnvFilter` takes such a word for the name of a module of which all is logged, and of everything else nothing: a
    /// level that is misspelt would silence the log.
    #[error(
        "a word alone is a level: `off`, `error`, `warn`, `info`, `debug` or `trace`; a module is written with its \
         level, such as `info,appserver=debug`"
    )]
    NotALevel,
}

/// Whether a filter can be used.
pub(crate) fn check_filter(filter: &str) -> Result<(), InvalidFilter> {
    EnvFilter::try_new(filter)?;
    let mut words = filter.split(',').map(str::trim).filter(|word| !word.is_empty());
    let is_understood = |word: &str| {
        word.contains(['=', '[']) || word.contains("::") || word.parse::<LevelFilter>().is_ok()
    };
    if words.all(is_understood) { Ok(()) } else { Err(InvalidFilter::NotALevel) }
}

/// Logs where a panic happened, and not its message: a message is built from values, and values may be secret. Where
/// nothing is logged yet, or never, it is written to standard error.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        const BUG: &str = "a thread panicked; this is a bug, please report the location";
        let location = panic.location().map(ToString::to_string);
        if tracing::dispatcher::has_been_set() {
            tracing::error!(panic.location = location, "{BUG}");
        } else {
            // Nobody is left to tell if this fails.
            let _ = writeln!(std::io::stderr(), "{BUG}: {}", location.unwrap_or_default());
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_misspelt_level_is_refused_and_does_not_silence_the_log() {
        for sound in
            ["info", "WARN", "off", "", "info,appserver=debug", "appserver::http", "warn,h2=off"]
        {
            assert!(check_filter(sound).is_ok(), "{sound}");
        }
        for wrong in ["warning", "loud", "infos", "info,appserver", "appserver=debug,verbose"] {
            assert!(matches!(check_filter(wrong), Err(InvalidFilter::NotALevel)), "{wrong}");
        }
        assert!(matches!(check_filter("appserver=loud"), Err(InvalidFilter::Unreadable(_))));
    }

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

    /// The one line of JSON that `log` writes, without its time.
    fn json_line(log: impl FnOnce()) -> Value {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::registry().with(json_lines(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
        let mut line: Value = serde_json::from_str(&text).unwrap();
        let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(time.as_str().unwrap().parse::<DateTime<Utc>>().is_ok(), "{time}");
        line
    }

    #[test]
    fn fields_are_members_of_the_line_under_their_dotted_names() {
        let line = json_line(|| {
            tracing::warn!(
                response.status = 503,
                sts.took_ms = 0.5,
                limit.x = f64::NAN,
                "odd: {}",
                7
            );
        });
        let expected = json!({
            "level": "WARN", "response.status": 503, "sts.took_ms": 0.5, "limit.x": null, "message": "odd: 7",
            "target": module_path!(),
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn spans_have_the_fields_that_were_recorded_later() {
        let line = json_line(|| {
            let request = tracing::info_span!(
                "request",
                request.route = "/v1/token",
                client.id = tracing::field::Empty
            );
            let _in_request = request.enter();
            request.record("client.id", "client-002");
            let _in_call = tracing::info_span!("call", sts.attempt = 2_u64).entered();
            tracing::info!(response.status = 200, "answered");
        });
        let spans = json!([
            {"name": "request", "request.route": "/v1/token", "client.id": "client-002"},
            {"name": "call", "sts.attempt": 2},
        ]);
        let expected = json!({
            "level": "INFO", "response.status": 200, "message": "answered", "target": module_path!(),
            "spans": spans,
        });
        assert_eq!(line, expected);
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_and_is_read_as_it_was_written(text in any::<String>()) {
            let line = json_line(|| tracing::info!(text, shown = %text, debugged = ?text));
            prop_assert_eq!(&line["text"], &text);
            prop_assert_eq!(&line["shown"], &text);
            prop_assert_eq!(&line["debugged"], &format!("{text:?}"));
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
