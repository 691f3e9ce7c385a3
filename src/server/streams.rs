//! How many requests one HTTP/2 connection has under way, and when it has had none for too long.
//!
//! [`Watched`](super::connection::Watched) does this for HTTP/1.1 by what is read and written. Here many requests
//! share one stream of bytes, and pings flow that mean nothing, so requests are counted and not bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::Patience;
use super::connection_table::OpenConnection;

/// So many requests may be given up by their caller, whatever became of the others.
const GIVEN_UP: usize = 100;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    began: Instant,
    begun: AtomicUsize,
    under_way: AtomicUsize,
    given_up: AtomicUsize,
    /// When the last request ended, in milliseconds from `began`.
    idle_since: AtomicU64,
    flooding: Notify,
    connection: Arc<OpenConnection>,
}

/// Why a connection is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unwanted {
    /// It has never brought a whole request.
    Silent,
    /// Nothing is under way, and has not been for long.
    Idle,
    /// Most of its requests are taken back as soon as they are made: that costs us and not them.
    Flooding,
}

impl Streams {
    pub(super) fn new(connection: Arc<OpenConnection>) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            begun: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            flooding: Notify::new(),
            connection,
        })
    }

    /// A request's head has arrived. It lasts until what this returns is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.connection.begin();
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay { streams: Arc::clone(self), answered: false }
    }

    /// Returns once nobody is served by keeping the connection.
    pub(super) async fn unwanted(&self, patience: Patience) -> Unwanted {
        tokio::select! {
            () = self.flooding.notified() => Unwanted::Flooding,
            unwanted = self.idle(patience) => unwanted,
        }
    }

    async fn idle(&self, patience: Patience) -> Unwanted {
        tokio::time::sleep_until(self.began + patience.header.min(patience.idle)).await;
        if self.begun.load(Ordering::Relaxed) == 0 {
            return Unwanted::Silent;
        }
        // A timer that rings too early is moved then, and not with each request.
        loop {
            let busy = self.under_way.load(Ordering::Acquire) > 0;
            let now = Instant::now();
            let idle_timeout = match self.connection.is_a_strangers() {
                true => patience.stranger.min(patience.idle),
                false => patience.idle,
            };
            let idle_since = match busy {
                true => now,
                false => {
                    self.began + Duration::from_millis(self.idle_since.load(Ordering::Relaxed))
                }
            };
            if idle_since + idle_timeout <= now {
                return Unwanted::Idle;
            }
            tokio::time::sleep_until(idle_since + idle_timeout).await;
        }
    }
}

/// One request that is not answered yet.
#[derive(Debug)]
pub(super) struct UnderWay {
    streams: Arc<Streams>,
    answered: bool,
}

impl UnderWay {
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let streams = &*self.streams;
        streams.connection.end();
        let now = u64::try_from(streams.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        streams.idle_since.fetch_max(now, Ordering::Relaxed);
        streams.under_way.fetch_sub(1, Ordering::Release);
        if !self.answered {
            let given_up = streams.given_up.fetch_add(1, Ordering::Relaxed) + 1;
            if given_up > GIVEN_UP && given_up > streams.begun.load(Ordering::Relaxed) / 2 {
                streams.flooding.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        stranger: Duration::from_secs(5),
    };

    fn streams() -> Arc<Streams> {
        Streams::new(OpenConnection::alone())
    }

    async fn ended(streams: &Streams) -> (Unwanted, u64) {
        let unwanted = streams.unwanted(PATIENCE).await;
        (unwanted, streams.began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_ends_with_the_header_time_out() {
        assert_eq!(ended(&streams()).await, (Unwanted::Silent, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn idleness_begins_when_the_last_of_several_requests_ends() {
        let streams = self::streams();
        let (first, second) = (streams.begin(), streams.begin());
        let requests = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            first.answered();
            // Longer than a connection may be idle, which this one is not.
            tokio::time::sleep(Duration::from_secs(100)).await;
            second.answered();
            std::future::pending::<()>().await
        };
        tokio::select! {
            ended = ended(&streams) => assert_eq!(ended, (Unwanted::Idle, 195)),
            () = requests => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_grants_the_idle_time_anew() {
        let streams = self::streams();
        let requests = async {
            for _ in 0..10 {
                streams.begin().answered();
                tokio::time::sleep(Duration::from_secs(74)).await;
            }
            std::future::pending::<()>().await
        };
        tokio::select! {
            ended = ended(&streams) => assert_eq!(ended, (Unwanted::Idle, 9 * 74 + 75)),
            () = requests => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_most_requests_back_is_flooding() {
        let streams = self::streams();
        (0..GIVEN_UP).for_each(|_| drop(streams.begin()));
        let waited = tokio::time::timeout(Duration::from_secs(1), ended(&streams)).await;
        assert!(waited.is_err(), "a caller may give up this often");
        drop(streams.begin());
        assert_eq!(ended(&streams).await.0, Unwanted::Flooding);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_connection_may_have_requests_taken_back() {
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
