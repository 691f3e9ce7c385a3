//! Connections of one listener.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::TransportMetrics;

/// One listener's connections. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    /// Open connections.
    pub(crate) open: Gauge,
    /// Connections that sent no valid HTTP or exceeded a limit; hyper answers these itself.
    pub(crate) malformed: Counter,
    refused: Family<BoundLabel, Counter>,
    evicted: Family<BoundLabel, Counter>,
    /// Events before the first request.
    pub(crate) transport: TransportMetrics,
}

/// The limit that a new connection reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ConnectionLimit {
    /// `server.max_connections`, or what the limit of open files allows.
    Server,
    /// `server.max_connections_per_address`.
    Address,
    /// `server.max_connection_memory_bytes`.
    Memory,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct BoundLabel {
    bound: &'static str,
}

impl From<ConnectionLimit> for BoundLabel {
    fn from(bound: ConnectionLimit) -> Self {
        let bound = match bound {
            ConnectionLimit::Server => "server",
            ConnectionLimit::Address => "address",
            ConnectionLimit::Memory => "memory",
        };
        Self { bound }
    }
}

impl Connections {
    /// A connection was refused at a limit.
    pub(crate) fn refused(&self, bound: ConnectionLimit) {
        self.refused.get_or_create(&bound.into()).inc();
    }

    /// An idle connection was closed for a new one.
    pub(crate) fn evicted(&self, bound: ConnectionLimit) {
        self.evicted.get_or_create(&bound.into()).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { open, malformed, refused, evicted, transport } = self.clone();
        // Created at zero: Prometheus sees no increase in a series that appears with its first count.
        for bound in [ConnectionLimit::Server, ConnectionLimit::Address, ConnectionLimit::Memory] {
            drop((refused.get_or_create(&bound.into()), evicted.get_or_create(&bound.into())));
        }
        registry.register("connections", "Open connections to the public listener", open);
        registry.register(
            "connections_refused",
            "Connections closed at once at a limit, by the limit",
            refused,
        );
        registry.register(
            "connections_evicted",
            "Idle connections closed for new ones at a limit, by the limit",
            evicted,
        );
        registry.register(
            "connections_malformed",
            "Connections that sent no valid HTTP",
            malformed,
        );
        transport.register(registry);
    }
}
