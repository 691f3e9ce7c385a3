//! The tokio runtime of the commands that wait. A file of its own, because every such command imports it.

use std::time::Duration;

/// How long what is still going on may take to end: threads that read files which hang never do.
const LEFT_OVER: Duration = Duration::from_millis(200);

/// A runtime for the commands that wait.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("the system gives us threads");
    let done = runtime.block_on(future);
    runtime.shutdown_timeout(LEFT_OVER);
    done
}
