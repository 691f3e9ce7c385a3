//! TLS of the public listener. A reload replaces the certificate while connections are open.

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
use identity::H2;

/// The TLS configuration of new connections. Clones share it, and are replaced together.
#[derive(Clone, Debug)]
pub(crate) struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Lock-free: each new connection reads it, and each request checks whether it has changed.
    current: ArcSwap<Current>,
    metrics: TransportMetrics,
}

#[derive(Debug)]
struct Current {
    /// Incremented by each reload.
    generation: u64,
    config: Arc<ServerConfig>,
    /// The verifier in `config`; `None` if client certificates are not requested.
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// A completed handshake.
pub(super) struct Handshake {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) session: TlsSession,
    pub(super) is_http2: bool,
}

impl Tls {
    pub(crate) fn new(identity: TlsIdentity, metrics: TransportMetrics) -> Self {
        metrics.certificate_expires(identity.expires().timestamp());
        let TlsIdentity { config, clients, .. } = identity;
        let current = ArcSwap::from_pointee(Current { generation: 0, config, clients });
        Self(Arc::new(Shared { current, metrics }))
    }

    /// New connections use this certificate from now on. Client certificates, those of open connections too, are verified
    /// by its client CAs.
    pub(crate) fn replace(&self, identity: TlsIdentity) {
        self.0.metrics.certificate_expires(identity.expires().timestamp());
        let generation = self.0.current.load().generation + 1;
        let TlsIdentity { config, clients, .. } = identity;
        self.0.current.store(Arc::new(Current { generation, config, clients }));
    }

    /// Does the handshake; fails at `deadline`.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        deadline: Instant,
    ) -> Option<Handshake> {
        let current = self.0.current.load_full();
        let acceptor = TlsAcceptor::from(Arc::clone(&current.config));
        let accepted = tokio::time::timeout_at(deadline, acceptor.accept(stream)).await;
        let failure = match accepted {
            Ok(Ok(stream)) => return Some(self.completed(stream, current.generation)),
            Ok(Err(error)) => failure::reason(&error),
            Err(_) => HandshakeFailure::TimedOut,
        };
        self.0.metrics.handshake_failed(failure);
        None
    }

    fn completed(&self, stream: TlsStream<TcpStream>, generation: u64) -> Handshake {
        let (_, session) = stream.get_ref();
        let is_http2 = session.alpn_protocol() == Some(H2);
        let session = TlsSession::new(self.clone(), generation, session.peer_certificates());
        Handshake { stream, session, is_http2 }
    }
}
