//! Builds the TLS configuration from an operator's certificate, key and client CAs.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use secrecy::{ExposeSecret, SecretString};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The ALPN name of HTTP/2 (RFC 9113 §3.2).
pub(super) const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// How long before its expiry a certificate is warned of. Automatic renewal happens 30 days before.
const EXPIRES_SOON: TimeDelta = TimeDelta::days(14);

/// A certificate with its key and the verifier of client certificates: all that a handshake needs.
#[derive(Clone, Debug)]
pub(crate) struct TlsIdentity {
    pub(super) config: Arc<ServerConfig>,
    pub(super) clients: Option<Arc<dyn ClientCertVerifier>>,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
}

/// Whether clients present certificates.
#[derive(Clone, Debug)]
pub(crate) enum ClientAuth {
    /// None is requested.
    Off,
    /// A client without a certificate may use another credential; an invalid certificate fails the handshake.
    Optional(ClientTrust),
    /// The handshake fails without a valid certificate.
    Required(ClientTrust),
}

/// Which client certificates are valid, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct ClientTrust {
    /// The CAs that sign them.
    pub(crate) authorities: String,
    /// Their certificate revocation lists.
    pub(crate) revoked: Option<String>,
}

/// Why files do not make a TLS identity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsProblem {
    #[error(
        "it contains no certificate; the file holds the chain in PEM, the server's own certificate first"
    )]
    NoCertificate,
    #[error("it is not valid PEM")]
    Pem,
    #[error("the certificate is not valid X.509")]
    Certificate,
    #[error(
        "it contains no private key; the file holds one in PEM (PKCS#8, SEC1 or PKCS#1), not encrypted"
    )]
    NoKey,
    #[error("it is not the key of the certificate")]
    Mismatch,
    #[error("the key cannot be used")]
    Key(#[source] rustls::Error),
    #[error("it contains no usable CA certificate in PEM")]
    NoAuthority,
    #[error("it contains no usable certificate revocation list in PEM")]
    Revoked,
}

impl TlsIdentity {
    /// Reads a chain and its key. An error names the file that causes it.
    pub(crate) fn read(
        chain: &str,
        key: &SecretString,
        clients: &ClientAuth,
    ) -> Result<Self, (TlsFile, TlsProblem)> {
        let chain = certificates(chain).map_err(|problem| (TlsFile::Certificate, problem))?;
        let (not_before, not_after) =
            validity(&chain).map_err(|problem| (TlsFile::Certificate, problem))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = client_verifier(clients, &provider)?;
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
            .map_err(|_| (TlsFile::Key, TlsProblem::NoKey))?;
        // rustls supports TLS 1.2 and 1.3 only; its own preference of ciphers is kept.
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has ciphers for both versions");
        let builder = match verifier.clone() {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                (TlsFile::Key, TlsProblem::Mismatch)
            }
            rustls::Error::InvalidCertificate(_) => (TlsFile::Certificate, TlsProblem::Certificate),
            error => (TlsFile::Key, TlsProblem::Key(error)),
        })?;
        // Early data can be replayed. rustls has it off by default; this keeps it off.
        config.max_early_data_size = 0;
        config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
        Ok(Self { config: Arc::new(config), clients: verifier, not_before, not_after })
    }

    pub(crate) fn expires(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// A warning about the certificate's validity. It does not prevent a start: clients that pin the certificate still
    /// work, and a server that does not start is worse.
    pub(crate) fn expiry_warning(&self, now: DateTime<Utc>) -> Option<String> {
        let (not_before, not_after) = (self.not_before, self.not_after);
        if now < not_before {
            Some(format!("the certificate is not valid before {not_before}; clients reject it"))
        } else if now >= not_after {
            Some(format!("the certificate expired at {not_after}; clients reject it, renew it"))
        } else if now + EXPIRES_SOON >= not_after {
            Some(format!("the certificate expires at {not_after}; renew it"))
        } else {
            None
        }
    }
}

/// Which of the files has a problem.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TlsFile {
    Certificate,
    Key,
    ClientAuthorities,
    ClientRevocations,
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read.map_err(|_| TlsProblem::Pem)? {
        none if none.is_empty() => Err(TlsProblem::NoCertificate),
        some => Ok(some),
    }
}

/// The validity period of the chain's first certificate.
fn validity(chain: &[CertificateDer<'_>]) -> Result<(DateTime<Utc>, DateTime<Utc>), TlsProblem> {
    let first = chain.first().ok_or(TlsProblem::NoCertificate)?;
    let (_, first) = X509Certificate::from_der(first).map_err(|_| TlsProblem::Certificate)?;
    let validity = first.validity();
    let [not_before, not_after] = [validity.not_before, validity.not_after]
        .map(|moment| DateTime::from_timestamp(moment.timestamp(), 0));
    not_before.zip(not_after).ok_or(TlsProblem::Certificate)
}

fn client_verifier(
    clients: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, (TlsFile, TlsProblem)> {
    let (trust, optional) = match clients {
        ClientAuth::Off => return Ok(None),
        ClientAuth::Optional(trust) => (trust, true),
        ClientAuth::Required(trust) => (trust, false),
    };
    let none = (TlsFile::ClientAuthorities, TlsProblem::NoAuthority);
    let Ok(authorities) = certificates(&trust.authorities) else { return Err(none) };
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|_| (TlsFile::ClientAuthorities, TlsProblem::NoAuthority))?;
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if let Some(pem) = &trust.revoked {
        let lists: Result<Vec<_>, _> =
            CertificateRevocationListDer::pem_slice_iter(pem.as_bytes()).collect();
        let lists = lists.ok().filter(|lists: &Vec<_>| !lists.is_empty());
        // Only the client's own certificate: where an intermediate CA publishes no list, rustls would reject all of
        // its certificates.
        builder = builder
            .with_crls(lists.ok_or((TlsFile::ClientRevocations, TlsProblem::Revoked))?)
            .only_check_end_entity_revocation();
    }
    if optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map(Some).map_err(|error| match error {
        VerifierBuilderError::NoRootAnchors => {
            (TlsFile::ClientAuthorities, TlsProblem::NoAuthority)
        }
        VerifierBuilderError::InvalidCrl(_) => (TlsFile::ClientRevocations, TlsProblem::Revoked),
        _ => (TlsFile::ClientAuthorities, TlsProblem::NoAuthority),
    })
}
