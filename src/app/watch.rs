//! Detects changes of the configuration's files.

use std::time::Duration;

use tokio::time::sleep;

use crate::config::{FileReads, Files};

/// The files of a configuration with their content at the last load.
#[derive(Debug)]
pub(super) struct Watch {
    files: Files,
    interval: Option<Duration>,
    reads: FileReads,
}

impl Watch {
    /// Polls at this interval; never without one.
    pub(super) fn new(files: Files, interval: Option<Duration>) -> Self {
        Self { files, interval, reads: FileReads::default() }
    }

    /// Watches these files from now on.
    pub(super) fn follow(&mut self, files: Files, interval: Option<Duration>) {
        (self.files, self.interval) = (files, interval);
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// Resolves when the files differ from the loaded ones and two polls in a row agree, so that several files can be
    /// written one after the other.
    pub(super) async fn changed(&mut self) {
        let Some(interval) = self.interval else { return std::future::pending().await };
        let mut before = self.files.clone();
        loop {
            sleep(interval).await;
            let files = before.clone();
            let now = match self.reads.read(move || files.again()).await {
                Ok(now) => now,
                Err(hang) => {
                    if hang.is_new {
                        tracing::error!(config.files = ?before, "configuration files are not watched: {hang}");
                    }
                    continue;
                }
            };
            if now == before && now != self.files {
                return;
            }
            before = now;
        }
    }
}
