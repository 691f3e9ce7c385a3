//! `appserver serve`.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::config_files::ConfigFiles;
use super::failure::{EXIT_CONFIG, EXIT_KEY_REFUSED, EXIT_UNAVAILABLE, Failure};
use super::runtime::block_on;
use super::signals::Signals;
use crate::app::App;
use crate::config::{LogFormat, SecretsToo, Settings};
#[cfg(feature = "emulator")]
use crate::telemetry::RecentLines;
use crate::telemetry::{self, LogEnd, LogFilter};
use appserver_domain::clock::Clock;

/// The time limit for reading a configuration, whose files may be on a network.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn serve(config: &ConfigFiles, signals: Signals) -> Result<(), Failure> {
    block_on(async {
        let config = config.clone();
        let settings = read(move || config.load_for_check(SecretsToo::Yes));
        let Some(settings) = signals.unless_stopped(settings).await? else { return Ok(()) };
        // Dropped last: buffered log lines are written then.
        let (log, _end) = start_log(&settings)?;
        let started = async { Ok(Box::pin(App::start(settings, Clock::system())).await?) };
        let Some(app) = Box::pin(signals.unless_stopped(started)).await? else { return Ok(()) };
        let app = app.with_log(log);
        let stop = signals.reload_and_stop(vec![app.reloads()], &[app.prompt()]);
        run(app, stop).await
    })
}

/// Runs the server until `stop`; an unusable AccessKey ends it with its own exit code.
pub(super) async fn run(app: App, stop: CancellationToken) -> Result<(), Failure> {
    app.run(stop).await.map_err(|unfit| {
        tracing::error!("{unfit}");
        Failure::new(EXIT_KEY_REFUSED, unfit)
    })
}

pub(super) fn start_log(settings: &Settings) -> Result<(LogFilter, LogEnd), Failure> {
    telemetry::start_log(settings.log_format == LogFormat::Json, &settings.log_filter)
        .map_err(|error| Failure::new(EXIT_CONFIG, format!("log.filter: {error}")))
}

#[cfg(feature = "emulator")]
pub(super) fn start_log_with_copy(
    settings: &Settings,
    copy: RecentLines,
) -> Result<(LogFilter, LogEnd), Failure> {
    let is_json = settings.log_format == LogFormat::Json;
    telemetry::start_log_with_copy(is_json, &settings.log_filter, copy)
        .map_err(|error| Failure::new(EXIT_CONFIG, format!("log.filter: {error}")))
}

/// Reads files on a thread, so that a hanging file does not block the command.
pub(super) async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let read = tokio::time::timeout(READ_TIMEOUT, spawn_blocking(work)).await;
    let hangs = |_| {
        let secs = READ_TIMEOUT.as_secs();
        let message =
            format!("reading the configuration takes longer than {secs} s; does a mount hang?");
        Failure::new(EXIT_UNAVAILABLE, message)
    };
    read.map_err(hangs)?.expect("reading a configuration does not panic")
}
