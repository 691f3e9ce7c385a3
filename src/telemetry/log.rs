//! The log on standard error: one line per event, never a secret.

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
#[cfg(feature = "emulator")]
use super::recent_lines::RecentLines;

/// The filter of the process's log. It can be changed at run time.
///
/// Filtered events cost no more than with a fixed filter: each call site caches its interest, and a change only resets
/// these caches. Each logged event takes one more read lock.
#[derive(Clone, Debug)]
pub(crate) struct LogFilter {
    handle: reload::Handle<EnvFilter, Registry>,
    dropped: DroppedLines,
}

impl LogFilter {
    /// Replaces the filter.
    pub(crate) fn change(&self, filter: &str) -> Result<(), ParseError> {
        let filter = EnvFilter::try_new(filter)?;
        // It fails if another log was started before this one, as in tests.
        let _ = self.handle.reload(filter);
        Ok(())
    }

    /// The counter of dropped lines, for the metrics.
    pub(crate) fn dropped(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

/// Starts the process's log, which is written until [`LogEnd`] is dropped. `filter` is a level or `EnvFilter` directives.
pub(crate) fn start(json: bool, filter: &str) -> Result<(LogFilter, LogEnd), ParseError> {
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(filter)?);
    let (writer, end) = LogWriter::start(std::io::stderr());
    let dropped = writer.dropped();
    let filtered = tracing_subscriber::registry().with(filter);
    // Starting twice only happens in tests; the first one stays.
    let _ = if json {
        filtered.with(json_lines(writer)).try_init()
    } else {
        filtered.with(pretty_lines(writer)).try_init()
    };
    Ok((LogFilter { handle, dropped }, end))
}

/// The same, with a copy of this crate's lines from DEBUG on, as JSON, for the page of `appserver dev`.
///
/// Here the filter is one of a layer: each line takes more time than with [`start`].
#[cfg(feature = "emulator")]
pub(crate) fn start_with_copy(
    json: bool,
    filter: &str,
    copy: RecentLines,
) -> Result<(LogFilter, LogEnd), ParseError> {
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(filter)?);
    let (writer, end) = LogWriter::start(std::io::stderr());
    let dropped = writer.dropped();
    let lines = if json { json_lines(writer).boxed() } else { pretty_lines(writer).boxed() };
    let copied = json_lines(copy).with_filter(EnvFilter::try_new("appserver=debug")?);
    // Starting twice only happens in tests; the first one stays.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(copied).try_init();
    Ok((LogFilter { handle, dropped }, end))
}

/// Lines for people, in colour on a terminal.
fn pretty_lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    let is_terminal = std::io::stderr().is_terminal();
    fmt::layer().with_ansi(is_terminal).with_target(false).with_writer(writer)
}

/// One JSON object per line: time, level, the event's fields, target, and its spans from the outermost to the innermost.
fn json_lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(writer)
}

/// Why a filter is invalid. The message does not repeat the filter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidFilter {
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// `EnvFilter` takes a single word for a module, and logs everything of that module and nothing else: a misspelt level
    /// would silence the log.
    #[error(
        "a word alone is a level: `off`, `error`, `warn`, `info`, `debug` or `trace`; a module is written with its \
         level, such as `info,appserver=debug`"
    )]
    NotALevel,
}

/// Checks that a filter is valid.
pub(crate) fn check_filter(filter: &str) -> Result<(), InvalidFilter> {
    EnvFilter::try_new(filter)?;
    let mut words = filter.split(',').map(str::trim).filter(|word| !word.is_empty());
    let is_directive = |word: &str| {
        word.contains(['=', '[']) || word.contains("::") || word.parse::<LevelFilter>().is_ok()
    };
    if words.all(is_directive) { Ok(()) } else { Err(InvalidFilter::NotALevel) }
}

/// Logs the location of each panic but not its message: messages are built from values, which may be secret. Without a
/// log, the location is written to standard error.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        const BUG: &str = "a thread panicked; this is a bug, please report the location";
        let location = panic.location().map(ToString::to_string);
        if tracing::dispatcher::has_been_set() {
            tracing::error!(panic.location = location, "{BUG}");
        } else {
            // There is no place left to report a failure.
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
        for valid in
            ["info", "WARN", "off", "", "info,appserver=debug", "appserver::http", "warn,h2=off"]
        {
            assert!(check_filter(valid).is_ok(), "{valid}");
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

    /// The single line of JSON that `log` writes, without its time.
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
    fn fields_recorded_after_a_span_began_are_logged() {
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
        fn any_text_is_logged_on_one_line_and_parses_to_the_same_text(text in any::<String>()) {
            let line = json_line(|| tracing::info!(text, shown = %text, debugged = ?text));
            prop_assert_eq!(&line["text"], &text);
            prop_assert_eq!(&line["shown"], &text);
            prop_assert_eq!(&line["debugged"], &format!("{text:?}"));
        }
    }

    #[test]
    fn a_panic_is_logged_with_its_location_and_without_its_message() {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        // The hook belongs to the process: a panic of another test at this moment would not be printed, but still fail it.
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
