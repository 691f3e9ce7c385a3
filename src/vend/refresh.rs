//! The task that refreshes tokens ahead of need.
//!
//! There is at most one, it starts with the first schedule, and it ends with its owner.

use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cache::{Key, RefreshSchedule};

/// Refreshes in flight at one time, some 5 KB each; what is due beyond that waits. STS answers in a fifth of a second, so
/// this allows some hundreds a second, more than the budget's share for refreshes.
const MAX_IN_FLIGHT: usize = 64;

/// Owns the task.
#[derive(Debug, Default)]
pub(super) struct Refresher {
    task: OnceLock<DropGuard>,
}

impl Refresher {
    /// Starts the task if it does not run yet. For each key that is due it spawns what `refresh` returns, on a task that
    /// lives as long as the refresh takes.
    pub(super) fn ensure_started<R, F>(&self, schedule: &Arc<RefreshSchedule>, refresh: R)
    where
        R: Fn(Arc<Key>) -> Option<F> + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.task.get_or_init(|| {
            let stop = CancellationToken::new();
            let stopped = stop.clone();
            let refreshing = run(Arc::clone(schedule), refresh);
            tokio::spawn(async move { stopped.run_until_cancelled(refreshing).await });
            stop.drop_guard()
        });
    }
}

async fn run<R, F>(schedule: Arc<RefreshSchedule>, refresh: R)
where
    R: Fn(Arc<Key>) -> Option<F> + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    loop {
        let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { return };
        let key = schedule.next().await;
        let Some(refreshing) = refresh(key) else { continue };
        tokio::spawn(Box::pin(async move {
            refreshing.await;
            drop(permit);
        }));
    }
}
