//! TLS of the public listener: a certificate that can be replaced while connections are open.

mod failure;
mod identity;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) use identity::{ClientAuth, ClientTrust, TlsFile, TlsIdentity};

use crate::auth::CertificateNames;
use crate::telemetry::{HandshakeFailure, TransportMetrics};

/// What HTTP/2 is called in a handshake (RFC 9113 §3.2).
const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// What new connections are shown. Clones are replaced together.
#[derive(Clone, Debug)]
pub(crate) struct Tls(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    /// Read by each new connection and by nothing else, so a reload waits for nobody.
    config: ArcSwap<ServerConfig>,
    metrics: TransportMetrics,
}

/// A connection whose handshake is done.
pub(super) struct Secured {
    pub(super) stream: TlsStream<TcpStream>,
    /// Of the client's certificate, if it has shown one; it was verified then.
    pub(super) names: Option<CertificateNames>,
    pub(super) speaks_http2: bool,
}

impl Tls {
    pub(crate) fn new(identity: TlsIdentity, metrics: TransportMetrics) -> Self {
        metrics.certificate_expires(identity.expires().timestamp());
        Self(Arc::new(Shown { config: ArcSwap::new(identity.config), metrics }))
    }

    /// From now on new connections are shown this certificate, and verified by what comes with it. Open ones go on.
    pub(crate) fn replace(&self, identity: TlsIdentity) {
        self.0.metrics.certificate_expires(identity.expires().timestamp());
        self.0.config.store(identity.config);
    }

    /// The handshake; who is not done by `deadline` is given up.
    pub(super) async fn secure(&self, stream: TcpStream, deadline: Instant) -> Option<Secured> {
        let acceptor = TlsAcceptor::from(self.0.config.load_full());
        let secured = tokio::time::timeout_at(deadline, acceptor.accept(stream)).await;
        let failure = match secured {
            Ok(Ok(stream)) => return Some(Secured::from(stream)),
            Ok(Err(error)) => failure::of(&error),
            Err(_) => HandshakeFailure::TimedOut,
        };
        self.0.metrics.handshake_failed(failure);
        None
    }
}

impl From<TlsStream<TcpStream>> for Secured {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let names = shown.map(|certificate| CertificateNames::of(certificate));
        let speaks_http2 = session.alpn_protocol() == Some(H2);
        Self { stream, names, speaks_http2 }
    }
}
