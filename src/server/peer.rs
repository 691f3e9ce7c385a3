//! The remote end of a connection, shared by all of its requests.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};

use super::tls::TlsSession;
use crate::auth::CertificateNames;

/// The client that opened a connection, or the proxy in front of it.
#[derive(Debug)]
pub(crate) struct Peer {
    address: IpAddr,
    /// With the port, for the log.
    text: Box<str>,
    /// Without the port, for the audit.
    address_text: Box<str>,
    /// `None` on a plain connection.
    session: Option<TlsSession>,
    authenticated: AtomicBool,
    certificate_expired: AtomicBool,
}

impl Peer {
    /// The remote end of a plain connection.
    pub(crate) fn plain(address: SocketAddr) -> Arc<Self> {
        Self::new(address, None)
    }

    /// The remote end of a TLS connection.
    pub(crate) fn secure(address: SocketAddr, session: TlsSession) -> Arc<Self> {
        Self::new(address, Some(session))
    }

    fn new(address: SocketAddr, session: Option<TlsSession>) -> Arc<Self> {
        // An IPv4 client has the same address on a dual-stack socket as on an IPv4 one.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let text = address.to_string().into();
        let (address, address_text) = (address.ip(), address.ip().to_string().into());
        let authenticated = AtomicBool::new(false);
        let certificate_expired = AtomicBool::new(false);
        Arc::new(Self { address, text, address_text, session, authenticated, certificate_expired })
    }

    pub(crate) fn address_text(&self) -> &str {
        &self.address_text
    }

    /// Records that a caller has authenticated on the connection.
    pub(crate) fn mark_authenticated(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Relaxed)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Never an IPv4-mapped IPv6 address.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.session.is_some()
    }

    /// Whether the client certificate, if there is one, is still valid. If not, the connection ends after the answer. On a
    /// plain connection the clock is not read.
    pub(crate) fn check_certificate(&self, now: impl FnOnce() -> DateTime<Utc>) -> bool {
        let is_valid = self.session.as_ref().is_none_or(|session| session.is_valid(now()));
        if !is_valid {
            self.certificate_expired.store(true, Ordering::Relaxed);
        }
        is_valid
    }

    /// Whether [`check_certificate`](Self::check_certificate) found the certificate no longer valid.
    pub(super) fn certificate_expired(&self) -> bool {
        self.certificate_expired.load(Ordering::Relaxed)
    }

    /// The names in the verified client certificate.
    pub(crate) fn certificate(&self) -> Option<&Arc<CertificateNames>> {
        self.session.as_ref()?.names()
    }
}
