//! `appserver serve`.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{ConfigFiles, EXIT_CONFIG, EXIT_KEY_REFUSED, Failure, block_on};
use crate::app::{App, Reloads};
use crate::clock::Clock;
use crate::config::{LogFormat, Mode, Settings};
use crate::telemetry::{self, LogEnd, LogFilter};

pub(super) fn serve(config: &ConfigFiles) -> Result<(), Failure> {
    let settings = config.load(Mode::Production)?;
    // To the end: what waits to be logged is written before this ends.
    let (log, _end) = start_log(&settings)?;
    block_on(async {
        let app = App::start(settings, Clock::system()).await?.with_log(log);
        reload_on_signal(vec![app.reloads()]);
        run(app, stop_on_signal()).await
    })
}

/// Runs the server until `stop`; an AccessKey that may not be used ends it with its own exit code.
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

/// Each SIGHUP has the configuration read again; what came of it stands in the log.
pub(super) fn reload_on_signal(servers: Vec<Reloads>) {
    let mut hangups = signal(SignalKind::hangup()).expect("SIGHUP can be listened for");
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            for server in &servers {
                let _ = server.reload().await;
            }
        }
    });
}

/// Cancelled by the first SIGTERM or SIGINT; the second ends the process at once.
pub(super) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let mut signals = [SignalKind::terminate(), SignalKind::interrupt()]
        .map(|kind| signal(kind).expect("SIGTERM and SIGINT can be listened for"));
    tokio::spawn(async move {
        for _ in 0..2 {
            let [terminate, interrupt] = &mut signals;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if told.is_cancelled() {
                // 128 + SIGTERM, as a shell would report it.
                std::process::exit(143);
            }
            told.cancel();
        }
    });
    stop
}
