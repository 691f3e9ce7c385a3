//! The client certificate of a connection, verified again whenever the result could change.
//!
//! A handshake verifies a client certificate once, and a connection may last for days. Each request checks whether the
//! certificate is still valid: it is verified again after a reload (its CA may be removed, or its serial number revoked)
//! and when a certificate of its chain has expired. Otherwise the check is two comparisons.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Tls;
use crate::auth::CertificateNames;

/// The TLS session of one connection.
#[derive(Debug)]
pub(crate) struct TlsSession {
    tls: Tls,
    /// As the client sent it, its own certificate first. Empty without a client certificate.
    chain: Box<[CertificateDer<'static>]>,
    names: Option<Arc<CertificateNames>>,
    /// The generation of the configuration under which the chain was last verified.
    verified_generation: AtomicU64,
    /// The Unix time until which the result holds under that configuration.
    verified_until: AtomicI64,
}

impl TlsSession {
    /// A session whose handshake has just verified this chain.
    pub(super) fn new(tls: Tls, generation: u64, chain: Option<&[CertificateDer<'_>]>) -> Self {
        let chain: Box<[_]> =
            chain.unwrap_or_default().iter().map(|der| der.clone().into_owned()).collect();
        let names = chain.first().map(|own| Arc::new(CertificateNames::of(own)));
        let verified_until = AtomicI64::new(next_expiry(&chain, i64::MIN));
        Self { tls, chain, names, verified_generation: AtomicU64::new(generation), verified_until }
    }

    /// Whether a handshake with the same certificate, or none, would succeed now.
    pub(in crate::server) fn is_valid(&self, now: DateTime<Utc>) -> bool {
        let current = self.tls.0.current.load();
        let seconds = now.timestamp();
        if self.verified_generation.load(Ordering::Relaxed) == current.generation
            && seconds <= self.verified_until.load(Ordering::Relaxed)
        {
            return true;
        }
        let is_valid = match (&current.clients, self.chain.split_first()) {
            (None, _) => true,
            (Some(clients), None) => !clients.client_auth_mandatory(),
            (Some(clients), Some((own, others))) => {
                let now = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
                let now = UnixTime::since_unix_epoch(now);
                clients.verify_client_cert(own, others, now).is_ok()
            }
        };
        if is_valid {
            self.verified_until.store(next_expiry(&self.chain, seconds), Ordering::Relaxed);
            self.verified_generation.store(current.generation, Ordering::Relaxed);
        }
        is_valid
    }

    /// The names in the client's certificate, if the current configuration requests certificates.
    pub(in crate::server) fn names(&self) -> Option<&Arc<CertificateNames>> {
        let is_requested = || self.tls.0.current.load().clients.is_some();
        self.names.as_ref().filter(|_| is_requested())
    }
}

/// The next expiry among these certificates, from `now` on.
fn next_expiry(chain: &[CertificateDer<'_>], now: i64) -> i64 {
    let expiries = chain.iter().map(|der| match X509Certificate::from_der(der) {
        Ok((_, certificate)) => certificate.validity().not_after.timestamp(),
        // Not parsed here, but perhaps by the verifier: verified at each request.
        Err(_) => now,
    });
    expiries.filter(|expiry| *expiry >= now).min().unwrap_or(i64::MAX)
}
