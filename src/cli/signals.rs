//! Signals of a command that runs until it is stopped. They are caught from the first statement of the process on; an earlier signal
//! ends the process, as the system does by default.

use std::ffi::OsStr;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Caught;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use crate::app::Reloads;

/// 128 + SIGTERM, as a shell reports it.
const EXIT_TERMINATED: i32 = 143;

/// The signals received so far, including those from before anything could act on them.
pub(super) struct Signals {
    /// Holds one SIGHUP until a server can reload; further ones are merged with it.
    reload: Arc<Notify>,
    stop: CancellationToken,
    /// The stop was a SIGINT: a user waits at a terminal.
    interrupted: CancellationToken,
}

impl Signals {
    /// The commands that run until they are stopped. Ctrl-C ends others at once, as the system does by default.
    const LONG_RUNNING: [&str; 3] = ["serve", "dev", "emulator"];

    /// Catches signals if the command line, which is not parsed yet, names such a command: a supervisor may not wait for parsing.
    pub(super) fn catch_for(command: Option<&OsStr>) -> Option<Self> {
        let is_long_running = |name: &OsStr| Self::LONG_RUNNING.iter().any(|own| *own == name);
        command.is_some_and(is_long_running).then(Self::catch)
    }

    /// Catches signals: the first SIGTERM or SIGINT stops, the second ends the process at once. A thread waits for them, because
    /// Tokio's streams need its runtime, which takes some milliseconds to start.
    pub(super) fn catch() -> Self {
        let mut caught = Caught::new([SIGHUP, SIGTERM, SIGINT])
            .expect("the system lets a process catch SIGHUP, SIGTERM and SIGINT");
        let [stop, interrupted] = [(); 2].map(|()| CancellationToken::new());
        let reload = Arc::new(Notify::new());
        let signals = Self {
            reload: Arc::clone(&reload),
            stop: stop.clone(),
            interrupted: interrupted.clone(),
        };
        let wait = move || {
            for signal in caught.forever() {
                if signal == SIGHUP {
                    reload.notify_one();
                    continue;
                }
                if signal == SIGINT {
                    interrupted.cancel();
                }
                if stop.is_cancelled() {
                    std::process::exit(EXIT_TERMINATED);
                }
                stop.cancel();
            }
        };
        let thread = std::thread::Builder::new().name("signals".into());
        thread.spawn(wait).expect("threads can be started");
        signals
    }

    /// The result of `work`; `None` if a stop comes first.
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

    /// Reloads the servers' configuration on each SIGHUP, including an earlier one; they log the outcome. Returns the token that
    /// stops the servers. A SIGINT also cancels `prompt`, so that the stop has no delay.
    pub(super) fn reload_and_stop(
        self,
        servers: Vec<Reloads>,
        prompt: &[CancellationToken],
    ) -> CancellationToken {
        let Self { reload, stop, interrupted } = self;
        tokio::spawn(async move {
            loop {
                reload.notified().await;
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
