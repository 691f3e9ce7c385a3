//! Metrics of a connection before its first request: TLS certificate, handshake, PROXY header.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Metrics of the public listener. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransportMetrics {
    handshakes_failed: Family<Reason, Counter>,
    proxy_protocol_errors: Family<Reason, Counter>,
    certificate_expiry: Expiry,
}

/// A Unix time. At 0, which means that there is no certificate, the metric is absent.
#[derive(Clone, Debug, Default)]
struct Expiry(Gauge);

impl EncodeMetric for Expiry {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.0.get() == 0
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reason {
    reason: &'static str,
}

/// Why a TLS handshake failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HandshakeFailure {
    /// It exceeded the header time-out.
    TimedOut,
    /// The client disconnected.
    Closed,
    /// The client sent no TLS, or violated the protocol.
    Malformed,
    /// Client and server support no common version, cipher or protocol.
    Incompatible,
    /// The client sent an alert, as it does when it does not trust the server's certificate.
    Refused,
    /// A client certificate is required, and none was sent.
    NoCertificate,
    /// The client certificate is not trusted: unknown CA, expired or revoked.
    BadCertificate,
    /// Not caused by the client.
    Internal,
}

impl HandshakeFailure {
    const ALL: [Self; 8] = [
        Self::TimedOut,
        Self::Closed,
        Self::Malformed,
        Self::Incompatible,
        Self::Refused,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::Internal,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::Incompatible => "incompatible",
            Self::Refused => "refused",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::Internal => "internal",
        }
    }
}

/// Why a connection without a usable PROXY header was closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ProxyProtocolError {
    /// The peer is no trusted proxy.
    Untrusted,
    /// The header is missing or invalid.
    Malformed,
    /// The header did not arrive in time.
    TimedOut,
    /// The peer disconnected first, as a port scan or a health check does.
    Closed,
}

impl ProxyProtocolError {
    const ALL: [Self; 4] = [Self::Untrusted, Self::Malformed, Self::TimedOut, Self::Closed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Malformed => "malformed",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
        }
    }
}

impl TransportMetrics {
    /// A handshake failed.
    pub(crate) fn handshake_failed(&self, failure: HandshakeFailure) {
        self.handshakes_failed.get_or_create(&Reason { reason: failure.as_str() }).inc();
    }

    /// A connection was closed for lack of a usable PROXY header.
    pub(crate) fn proxy_protocol_error(&self, why: ProxyProtocolError) {
        self.proxy_protocol_errors.get_or_create(&Reason { reason: why.as_str() }).inc();
    }

    /// New connections use a certificate that expires at this Unix time.
    pub(crate) fn certificate_expires(&self, seconds: i64) {
        self.certificate_expiry.0.set(seconds);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        for failure in HandshakeFailure::ALL {
            drop(self.handshakes_failed.get_or_create(&Reason { reason: failure.as_str() }));
        }
        for why in ProxyProtocolError::ALL {
            drop(self.proxy_protocol_errors.get_or_create(&Reason { reason: why.as_str() }));
        }
        registry.register(
            "tls_handshakes_failed",
            "Failed TLS handshakes, by reason",
            self.handshakes_failed.clone(),
        );
        registry.register_with_unit(
            "tls_certificate_expiry_timestamp",
            "When the certificate of new connections expires",
            Unit::Seconds,
            self.certificate_expiry.clone(),
        );
        registry.register(
            "proxy_protocol_errors",
            "Connections closed for lack of a valid PROXY header from a trusted proxy, by reason",
            self.proxy_protocol_errors.clone(),
        );
    }
}
