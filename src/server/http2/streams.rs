//! Counts the open requests of one HTTP/2 connection and finds out when it is idle for too long.
//!
//! For HTTP/1.1, `TimeoutStream` watches reads and writes. Here many requests share one stream of bytes, and pings keep
//! it busy, so requests are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::connection_table::OpenConnection;
use super::super::settings::Timeouts;

/// The client may cancel this many requests, even if these are all of its requests.
const ALLOWED_CANCELLATIONS: usize = 100;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    started: Instant,
    /// All requests since the start of the connection.
    total: AtomicUsize,
    active: AtomicUsize,
    cancelled: AtomicUsize,
    /// When the last request ended, in milliseconds from `started`.
    idle_since: AtomicU64,
    flooding: Notify,
    connection: Arc<OpenConnection>,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CloseReason {
    /// It has not sent a complete request head in time.
    NoRequest,
    /// It has had no open request for the idle time-out.
    Idle,
    /// The client cancels most of its requests, which costs the server work and the client nothing.
    Flooding,
}

impl Streams {
    pub(super) fn new(connection: Arc<OpenConnection>) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            total: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            flooding: Notify::new(),
            connection,
        })
    }

    /// A request head has arrived. The request is open until the returned guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> ActiveRequest {
        self.connection.begin();
        self.total.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        ActiveRequest { streams: Arc::clone(self), answered: false }
    }

    /// Resolves when the connection is to be closed.
    pub(super) async fn close_reason(&self, timeouts: Timeouts) -> CloseReason {
        tokio::select! {
            () = self.flooding.notified() => CloseReason::Flooding,
            reason = self.idle(timeouts) => reason,
        }
    }

    async fn idle(&self, timeouts: Timeouts) -> CloseReason {
        tokio::time::sleep_until(self.started + timeouts.header.min(timeouts.idle)).await;
        if self.total.load(Ordering::Relaxed) == 0 {
            return CloseReason::NoRequest;
        }
        // The timer is reset when it fires too early, not with each request.
        loop {
            let busy = self.active.load(Ordering::Acquire) > 0;
            let now = Instant::now();
            let idle_timeout = if self.connection.is_unauthenticated_client() {
                timeouts.unauthenticated_idle.min(timeouts.idle)
            } else {
                timeouts.idle
            };
            let idle_since = if busy {
                now
            } else {
                self.started + Duration::from_millis(self.idle_since.load(Ordering::Relaxed))
            };
            if idle_since + idle_timeout <= now {
                return CloseReason::Idle;
            }
            tokio::time::sleep_until(idle_since + idle_timeout).await;
        }
    }
}

/// A request without a response.
#[derive(Debug)]
pub(super) struct ActiveRequest {
    streams: Arc<Streams>,
    answered: bool,
}

impl ActiveRequest {
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let streams = &*self.streams;
        streams.connection.end();
        let now = u64::try_from(streams.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        streams.idle_since.fetch_max(now, Ordering::Relaxed);
        streams.active.fetch_sub(1, Ordering::Release);
        if !self.answered {
            let cancelled = streams.cancelled.fetch_add(1, Ordering::Relaxed) + 1;
            let total = streams.total.load(Ordering::Relaxed);
            if cancelled > ALLOWED_CANCELLATIONS && cancelled > total / 2 {
                streams.flooding.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams() -> Arc<Streams> {
        Streams::new(OpenConnection::for_tests())
    }

    async fn ended(streams: &Streams) -> (CloseReason, u64) {
        let reason = streams.close_reason(Timeouts::TEST).await;
        (reason, streams.started.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_ends_at_the_header_time_out() {
        assert_eq!(ended(&streams()).await, (CloseReason::NoRequest, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_the_end_of_its_last_open_request() {
        let streams = self::streams();
        let (first, second) = (streams.begin(), streams.begin());
        let requests = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            first.answered();
            // Longer than the idle time-out, which does not apply to a connection with open requests.
            tokio::time::sleep(Duration::from_secs(100)).await;
            second.answered();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = ended(&streams) => assert_eq!(ended, (CloseReason::Idle, 195)),
            () = requests => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_restarts_the_idle_time_out() {
        let streams = self::streams();
        let requests = async {
            for _ in 0..10 {
                streams.begin().answered();
                tokio::time::sleep(Duration::from_secs(74)).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = ended(&streams) => assert_eq!(ended, (CloseReason::Idle, 9 * 74 + 75)),
            () = requests => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_cancels_most_of_its_requests_is_flooding() {
        let streams = self::streams();
        (0..ALLOWED_CANCELLATIONS).for_each(|_| drop(streams.begin()));
        let waited = tokio::time::timeout(Duration::from_secs(1), ended(&streams)).await;
        assert!(waited.is_err(), "a client may cancel this often");
        drop(streams.begin());
        assert_eq!(ended(&streams).await.0, CloseReason::Flooding);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_connection_may_cancel_some_requests() {
        let streams = self::streams();
        for _ in 0..1000 {
            streams.begin().answered();
            streams.begin().answered();
            drop(streams.begin());
        }
        let waited = tokio::time::timeout(Duration::from_secs(1), ended(&streams)).await;
        assert!(waited.is_err());
    }
}
