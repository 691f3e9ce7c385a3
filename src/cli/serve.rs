//! `appserver serve`.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{ConfigFiles, EXIT_CONFIG, EXIT_KEY_REFUSED, EXIT_UNAVAILABLE, Failure, block_on};
use crate::app::{App, Reloads};
use crate::clock::Clock;
use crate::config::{LogFormat, SecretsToo, Settings};
use crate::telemetry::{self, LogEnd, LogFilter};

/// A configuration may take so long to be read. The files may lie on a network.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn serve(config: &ConfigFiles) -> Result<(), Failure> {
    block_on(async {
        let signals = Signals::watched();
        let config = config.clone();
        let settings = read(move || config.load_for_check(SecretsToo::Yes));
        let Some(settings) = signals.unless_stopped(settings).await? else { return Ok(()) };
        // To the end: what waits to be logged is written before this ends.
        let (log, _end) = start_log(&settings)?;
        let started = async { Ok(App::start(settings, Clock::system()).await?) };
        let Some(app) = signals.unless_stopped(started).await? else { return Ok(()) };
        let app = app.with_log(log);
        let stop = signals.reload_and_stop(vec![app.reloads()], &[app.prompt()]);
        run(app, stop).await
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

/// Reads files on a thread that nobody has to wait for.
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

/// The signals of the process, from the first moment of a command that serves: before a signal is watched, it kills.
pub(super) struct Signals {
    hangups: Signal,
    stop: CancellationToken,
    /// Somebody sits before it.
    interrupted: CancellationToken,
}

impl Signals {
    /// Watches them: the first SIGTERM or SIGINT stops, the second ends the process at once. A SIGHUP waits until there is
    /// something to reload.
    pub(super) fn watched() -> Self {
        let hangups = signal(SignalKind::hangup()).expect("SIGHUP can be listened for");
        let mut signals = [SignalKind::terminate(), SignalKind::interrupt()]
            .map(|kind| signal(kind).expect("SIGTERM and SIGINT can be listened for"));
        let (stop, interrupted) = (CancellationToken::new(), CancellationToken::new());
        let told = (stop.clone(), interrupted.clone());
        tokio::spawn(async move {
            let (stop, interrupted) = told;
            for _ in 0..2 {
                let [terminate, interrupt] = &mut signals;
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => interrupted.cancel(),
                }
                if stop.is_cancelled() {
                    // 128 + SIGTERM, as a shell would report it.
                    std::process::exit(143);
                }
                stop.cancel();
            }
        });
        Self { hangups, stop, interrupted }
    }

    /// What is awaited; nothing if a stop comes first.
    pub(super) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Option<T>, Failure> {
        self.stop.run_until_cancelled(work).await.transpose()
    }

    #[cfg(feature = "emulator")]
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// From now on each SIGHUP, and one that came before, has the configuration read again; what came of it stands in the
    /// log. Answers what stops the servers; a SIGINT does so without delay.
    pub(super) fn reload_and_stop(
        self,
        servers: Vec<Reloads>,
        prompt: &[CancellationToken],
    ) -> CancellationToken {
        let Self { mut hangups, stop, interrupted } = self;
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                for server in &servers {
                    let _ = server.reload().await;
                }
            }
        });
        let prompt = prompt.to_vec();
        tokio::spawn(async move {
            interrupted.cancelled().await;
            prompt.iter().for_each(CancellationToken::cancel);
        });
        stop
    }
}
