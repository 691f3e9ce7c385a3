//! The other end of a connection, as all of its requests see it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::auth::CertificateNames;

/// Whoever opened the connection: a caller, or a proxy in front of it. Shared by all requests of the connection.
#[derive(Debug)]
pub(crate) struct Peer {
    address: IpAddr,
    /// With its port, as it stands in the log.
    text: Box<str>,
    /// Without it, as it stands in the audit.
    address_text: Box<str>,
    /// Whether the connection is TLS that ends here.
    secure: bool,
    certificate: Option<Arc<CertificateNames>>,
    proven: AtomicBool,
}

impl Peer {
    /// The other end of a plain connection.
    pub(crate) fn plain(address: SocketAddr) -> Arc<Self> {
        Self::new(address, false, None)
    }

    /// The other end of a TLS connection, with the names of the certificate that it has shown.
    pub(crate) fn secure(address: SocketAddr, certificate: Option<CertificateNames>) -> Arc<Self> {
        Self::new(address, true, certificate)
    }

    fn new(address: SocketAddr, secure: bool, certificate: Option<CertificateNames>) -> Arc<Self> {
        // Callers by IPv4 on a socket of both kinds are the same callers as on one of IPv4.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let text = address.to_string().into();
        let (address, address_text) = (address.ip(), address.ip().to_string().into());
        let (certificate, proven) = (certificate.map(Arc::new), AtomicBool::new(false));
        Arc::new(Self { address, text, address_text, secure, certificate, proven })
    }

    pub(super) fn address_text(&self) -> &str {
        &self.address_text
    }

    /// A caller has proven itself on the connection.
    pub(super) fn note_proven(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// Whether any has.
    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Never an IPv4 address in the form of an IPv6 one.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The names in the certificate that it has shown and that was verified.
    pub(super) fn certificate(&self) -> Option<&Arc<CertificateNames>> {
        self.certificate.as_ref()
    }
}
