//! Notices that the configuration's files have changed.

use std::time::Duration;

use tokio::time::sleep;

use crate::config::Files;

/// The files of a configuration as they were when it was loaded.
#[derive(Debug)]
pub(super) struct Watch {
    files: Files,
    interval: Option<Duration>,
}

impl Watch {
    /// Watches by this interval; never, without one.
    pub(super) fn new(files: Files, interval: Option<Duration>) -> Self {
        Self { files, interval }
    }

    /// Looks out for changes of these from now on.
    pub(super) fn follow(&mut self, files: Files, interval: Option<Duration>) {
        *self = Self { files, interval };
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// Comes when the files are others than they were, and were the same in two looks: who writes several of them one
    /// after the other is not disturbed.
    pub(super) async fn changed(&self) {
        let Some(interval) = self.interval else { return std::future::pending().await };
        let mut before = self.files.clone();
        loop {
            sleep(interval).await;
            let now = look_again(before.clone()).await;
            if now == before && now != self.files {
                return;
            }
            before = now;
        }
    }
}

/// Files may lie on a network.
async fn look_again(files: Files) -> Files {
    let looked = tokio::task::spawn_blocking(move || files.again()).await;
    looked.expect("looking at files does not panic")
}
