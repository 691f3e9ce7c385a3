//! TLS of the public listener: a certificate that can be replaced while connections are open.

mod failure;
mod identity;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) use identity::{ClientAuth, ClientTrust, TlsFile, TlsIdentity};
pub(crate) use session::TlsSession;

use crate::telemetry::{HandshakeFailure, TransportMetrics};

/// What HTTP/2 is called in a handshake (RFC 9113 §3.2).
const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// What new connections are shown. Clones are replaced together.
#[derive(Clone, Debug)]
pub(crate) struct Tls(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    /// Read by each new connection, and by requests to see whether it has changed, so a reload waits for nobody.
    current: ArcSwap<Current>,
    metrics: TransportMetrics,
}

#[derive(Debug)]
struct Current {
    /// Counts the reloads.
    generation: u64,
    config: Arc<ServerConfig>,
    /// The same that `config` verifies client certificates by; none if it asks for none.
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// A connection whose handshake is done.
pub(super) struct Secured {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) session: TlsSession,
    pub(super) speaks_http2: bool,
}

impl Tls {
    pub(crate) fn new(identity: TlsIdentity, metrics: TransportMetrics) -> Self {
        metrics.certificate_expires(identity.expires().timestamp());
        let TlsIdentity { config, clients, .. } = identity;
        let current = ArcSwap::from_pointee(Current { generation: 0, config, clients });
        Self(Arc::new(Shown { current, metrics }))
    }

    /// From now on new connections are shown this certificate. What clients have shown, on open connections too, is
    /// verified by what comes with it.
    pub(crate) fn replace(&self, identity: TlsIdentity) {
        self.0.metrics.certificate_expires(identity.expires().timestamp());
        let generation = self.0.current.load().generation + 1;
        let TlsIdentity { config, clients, .. } = identity;
        self.0.current.store(Arc::new(Current { generation, config, clients }));
    }

    /// The handshake; who is not done by `deadline` is given up.
    pub(super) async fn secure(&self, stream: TcpStream, deadline: Instant) -> Option<Secured> {
        let current = self.0.current.load_full();
        let acceptor = TlsAcceptor::from(Arc::clone(&current.config));
        let secured = tokio::time::timeout_at(deadline, acceptor.accept(stream)).await;
        let failure = match secured {
            Ok(Ok(stream)) => return Some(self.secured(stream, current.generation)),
            Ok(Err(error)) => failure::of(&error),
            Err(_) => HandshakeFailure::TimedOut,
        };
        self.0.metrics.handshake_failed(failure);
        None
    }

    fn secured(&self, stream: TlsStream<TcpStream>, generation: u64) -> Secured {
        let (_, session) = stream.get_ref();
        let speaks_http2 = session.alpn_protocol() == Some(H2);
        let session = TlsSession::new(self.clone(), generation, session.peer_certificates());
        Secured { stream, session, speaks_http2 }
    }
}
