//! The tokio runtime of the commands that wait. A file of its own, because every such command imports it.

use std::time::Duration;

/// How long remaining tasks have to end: a thread that reads a hanging file never ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);

/// Runs an asynchronous command.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("threads can be started");
    let done = runtime.block_on(future);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    done
}
