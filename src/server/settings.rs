//! The limits of one listener.

use std::time::Duration;

use crate::auth::LONGEST_TOKEN;

/// The longest request head. Clients send a credential and a query, which fit many times. hyper's own limit is 400 KB,
/// which unauthenticated clients could make it hold for each connection.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;
// Tokens have no limit of their own: every token that fits in a head is verified.
const _: () = assert!(LONGEST_TOKEN == MAX_HEAD_BYTES);

/// The limits of one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerSettings {
    /// At the limit, a new connection replaces the longest idle one without an authenticated caller. If there is none, the
    /// new connection is closed at once, so that a load balancer tries the next replica.
    pub(crate) max_connections: usize,
    /// The same per client address; addresses of trusted proxies are exempt. `None`: not limited.
    pub(crate) max_connections_per_address: Option<usize>,
    /// Bytes of memory that all connections may use together, by an estimate per connection.
    pub(crate) max_connection_memory: usize,
    /// Concurrent requests on one HTTP/2 connection; further requests wait.
    pub(crate) max_streams: u32,
    /// From the first byte of a request head to its last, and from the start of a connection to its first request. A TLS
    /// handshake, with a PROXY header before it, has the same time in addition.
    pub(crate) header_timeout: Duration,
    /// Between two requests of one connection.
    pub(crate) idle_timeout: Duration,
    /// The idle time-out until a caller has authenticated on the connection, where client addresses are known.
    pub(crate) unauthenticated_idle_timeout: Duration,
    /// How long open requests may take to finish after shutdown begins.
    pub(crate) drain_timeout: Duration,
    /// Whether each connection begins with a PROXY header, sent by a trusted proxy.
    pub(crate) proxy_protocol: bool,
    /// Whether a connection's address is the client's own, unless a trusted proxy opened it.
    pub(crate) knows_addresses: bool,
}

/// How long a connection waits for its peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For a request head, from its first byte; for the first request, from the start of the connection.
    pub(super) header: Duration,
    /// Between two requests, and for the peer to read an answer.
    pub(super) idle: Duration,
    /// Replaces `idle` while no caller has authenticated, where that is known per client.
    pub(super) unauthenticated_idle: Duration,
    /// After an answer, until hyper's buffers are released.
    pub(super) rest: Duration,
}

/// The next request of a connection that rests costs some microseconds more, and a connection that does not rest is
/// looked at once in this time. Apps send a request now and then, load balancers many a second.
const REST_AFTER: Duration = Duration::from_millis(500);

impl ServerSettings {
    pub(super) fn timeouts(&self) -> Timeouts {
        Timeouts {
            header: self.header_timeout,
            idle: self.idle_timeout,
            unauthenticated_idle: self.unauthenticated_idle_timeout,
            rest: REST_AFTER,
        }
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl ServerSettings {
    pub(super) fn for_tests() -> Self {
        Self {
            max_connections: 100,
            max_connections_per_address: None,
            max_connection_memory: 1 << 30,
            max_streams: 128,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            unauthenticated_idle_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(20),
            proxy_protocol: false,
            knows_addresses: true,
        }
    }
}

#[cfg(test)]
impl Timeouts {
    pub(super) const TEST: Self = Self {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        unauthenticated_idle: Duration::from_secs(5),
        rest: Duration::from_mins(5),
    };
}
