//! Notices that the configuration's files have changed.

use std::time::Duration;

use tokio::time::sleep;

use crate::config::{FileReads, Files};

/// The files of a configuration as they were when it was loaded.
#[derive(Debug)]
pub(super) struct Watch {
    files: Files,
    interval: Option<Duration>,
    reads: FileReads,
}

impl Watch {
    /// Watches by this interval; never, without one.
    pub(super) fn new(files: Files, interval: Option<Duration>) -> Self {
        Self { files, interval, reads: FileReads::default() }
    }

    /// Looks out for changes of these from now on.
    pub(super) fn follow(&mut self, files: Files, interval: Option<Duration>) {
        (self.files, self.interval) = (files, interval);
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// Comes when the files are others than they were, and were the same in two looks: who writes several of them one
    /// after the other is not disturbed.
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
                        tracing::error!(config.files = ?before, "the configuration is not watched: {hang}");
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
