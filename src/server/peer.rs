//! The other end of a connection, as all of its requests see it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};

use super::tls::TlsSession;
use crate::auth::CertificateNames;

/// Whoever opened the connection: a caller, or a proxy in front of it. Shared by all requests of the connection.
#[derive(Debug)]
pub(crate) struct Peer {
    address: IpAddr,
    /// With its port, as it stands in the log.
    text: Box<str>,
    /// Without it, as it stands in the audit.
    address_text: Box<str>,
    /// Where the connection is TLS that ends here.
    session: Option<TlsSession>,
    proven: AtomicBool,
    ended: AtomicBool,
}

impl Peer {
    /// The other end of a plain connection.
    pub(crate) fn plain(address: SocketAddr) -> Arc<Self> {
        Self::new(address, None)
    }

    /// The other end of a TLS connection.
    pub(crate) fn secure(address: SocketAddr, session: TlsSession) -> Arc<Self> {
        Self::new(address, Some(session))
    }

    fn new(address: SocketAddr, session: Option<TlsSession>) -> Arc<Self> {
        // Callers by IPv4 on a socket of both kinds are the same callers as on one of IPv4.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let text = address.to_string().into();
        let (address, address_text) = (address.ip(), address.ip().to_string().into());
        let (proven, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { address, text, address_text, session, proven, ended })
    }

    pub(crate) fn address_text(&self) -> &str {
        &self.address_text
    }

    /// A caller has proven itself on the connection.
    pub(crate) fn note_proven(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// Whether any has.
    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Never an IPv4 address in the form of an IPv6 one.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.session.is_some()
    }

    /// Whether the certificate that it has shown, if any, is still valid. If not, the connection is to be closed.
    pub(crate) fn check_certificate(&self, now: DateTime<Utc>) -> bool {
        let is_valid = self.session.as_ref().is_none_or(|session| session.is_valid(now));
        if !is_valid {
            self.ended.store(true, Ordering::Relaxed);
        }
        is_valid
    }

    /// Whether its certificate was found to be valid no longer.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// The names in the certificate that it has shown and that was verified.
    pub(crate) fn certificate(&self) -> Option<&Arc<CertificateNames>> {
        self.session.as_ref()?.names()
    }
}
