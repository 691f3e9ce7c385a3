//! What happens before a connection's first request: certificates, handshakes, and what proxies say of it.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Of the public listener. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransportMetrics {
    handshakes_failed: Family<Reason, Counter>,
    proxy_protocol_errors: Family<Reason, Counter>,
    certificate_expiry: Expiry,
}

/// A Unix time, which is not shown while it is 0: without a certificate there is none to watch.
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

/// Why a TLS handshake did not succeed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HandshakeFailure {
    /// It took longer than a request's head may.
    TimedOut,
    /// The other side went away.
    Closed,
    /// What came was no TLS, or broke its rules.
    Malformed,
    /// There is no version, cipher or protocol that both sides speak.
    Incompatible,
    /// The other side refused, as it does when it does not trust our certificate.
    Refused,
    /// A client certificate is required, and none was shown.
    NoCertificate,
    /// The client certificate cannot be trusted: another CA's, expired, revoked.
    BadCertificate,
    /// Nothing that the other side could have done.
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

/// Why a connection was closed that should have begun with a PROXY header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ProxyProtocolError {
    /// It comes from somebody who is no trusted proxy.
    Untrusted,
    /// There is no such header, or it cannot be read.
    Malformed,
    /// It did not arrive in time.
    TimedOut,
    /// The other side went away first, as a port scan or a probe does.
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
    /// A handshake did not succeed.
    pub(crate) fn handshake_failed(&self, failure: HandshakeFailure) {
        self.handshakes_failed.get_or_create(&Reason { reason: failure.as_str() }).inc();
    }

    /// A connection was closed for want of a PROXY header.
    pub(crate) fn proxy_protocol_error(&self, why: ProxyProtocolError) {
        self.proxy_protocol_errors.get_or_create(&Reason { reason: why.as_str() }).inc();
    }

    /// New connections are shown a certificate that ends at this Unix time.
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
            "TLS handshakes that did not succeed, by reason",
            self.handshakes_failed.clone(),
        );
        registry.register_with_unit(
            "tls_certificate_expiry_timestamp",
            "When the certificate ends that new connections are shown",
            Unit::Seconds,
            self.certificate_expiry.clone(),
        );
        registry.register(
            "proxy_protocol_errors",
            "Connections closed for want of a PROXY header of a trusted proxy, by reason",
            self.proxy_protocol_errors.clone(),
        );
    }
}
