//! The log: on standard error, one line an event, never a secret.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

/// Starts the log of this process. `filter` is a level or `EnvFilter` directives.
pub(crate) fn start(
    json: bool,
    filter: &str,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Starting twice only happens in tests; the first one stays.
    let _ = if json {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    Ok(())
}

/// Logs where a panic happened, and not its message: a message is built from values, and values may be secret.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "a thread panicked; this is a bug, please report the location");
    }));
}
