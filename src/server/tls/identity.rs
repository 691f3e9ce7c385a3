//! Certificates and keys as operators give them, made into what rustls serves.

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

use super::{H2, HTTP_1_1};

/// How long before its end a certificate is worth a warning. What renews by itself does so 30 days before.
const SOON: TimeDelta = TimeDelta::days(14);

/// A certificate with its key, and whom it lets in: all that a handshake needs.
#[derive(Clone, Debug)]
pub(crate) struct TlsIdentity {
    pub(super) config: Arc<ServerConfig>,
    pub(super) clients: Option<Arc<dyn ClientCertVerifier>>,
    begins: DateTime<Utc>,
    ends: DateTime<Utc>,
}

/// Whether clients show certificates.
#[derive(Clone, Debug)]
pub(crate) enum ClientAuth {
    /// None is asked for.
    Off,
    /// Who shows none may come by another credential; who shows a bad one may not come.
    Optional(ClientTrust),
    /// Who shows none is refused in the handshake.
    Required(ClientTrust),
}

/// Which client certificates are good, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct ClientTrust {
    /// The CAs that sign them.
    pub(crate) authorities: String,
    /// What they have taken back.
    pub(crate) revoked: Option<String>,
}

/// Why files make no identity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsProblem {
    #[error("there is no certificate in it; it holds the chain in PEM, our own certificate first")]
    NoCertificate,
    #[error("it cannot be read as PEM")]
    Pem,
    #[error("the certificate cannot be read")]
    Certificate,
    #[error(
        "there is no private key in it; it holds one in PEM (PKCS#8, SEC1 or PKCS#1), not encrypted"
    )]
    NoKey,
    #[error("it is not the key of the certificate")]
    Mismatch,
    #[error("the key cannot be used")]
    Key(#[source] rustls::Error),
    #[error("there is no CA's certificate in it that can be used, in PEM")]
    NoAuthority,
    #[error("there is no list of revoked certificates in it that can be used, in PEM")]
    Revoked,
}

impl TlsIdentity {
    /// Reads a chain and its key. What is wrong is told by the file that it is wrong in.
    pub(crate) fn read(
        chain: &str,
        key: &SecretString,
        clients: &ClientAuth,
    ) -> Result<Self, (TlsFile, TlsProblem)> {
        let chain = certificates(chain).map_err(|problem| (TlsFile::Certificate, problem))?;
        let (begins, ends) = validity(&chain).map_err(|problem| (TlsFile::Certificate, problem))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = verifier(clients, &provider)?;
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
            .map_err(|_| (TlsFile::Key, TlsProblem::NoKey))?;
        // TLS 1.2 and 1.3 are all that rustls speaks; which ciphers it prefers is left to it.
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
        // A request in early data could be sent again by whoever has seen it; rustls has it off, and so it stays.
        config.max_early_data_size = 0;
        config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
        Ok(Self { config: Arc::new(config), clients: verifier, begins, ends })
    }

    pub(crate) fn expires(&self) -> DateTime<Utc> {
        self.ends
    }

    /// What is worth a warning, and no reason not to start: callers that know the certificate may go on all the
    /// same, and a server that ends at three in the morning helps none of them.
    pub(crate) fn advice(&self, now: DateTime<Utc>) -> Option<String> {
        let (begins, ends) = (self.begins, self.ends);
        if now < begins {
            Some(format!("the certificate is not valid before {begins}: callers will refuse it"))
        } else if now >= ends {
            Some(format!("the certificate has expired at {ends}: callers refuse it; renew it"))
        } else if now + SOON >= ends {
            Some(format!("the certificate expires at {ends}; renew it"))
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

/// When the first certificate of the chain begins and ends.
fn validity(chain: &[CertificateDer<'_>]) -> Result<(DateTime<Utc>, DateTime<Utc>), TlsProblem> {
    let first = chain.first().ok_or(TlsProblem::NoCertificate)?;
    let (_, first) = X509Certificate::from_der(first).map_err(|_| TlsProblem::Certificate)?;
    let validity = first.validity();
    let [begins, ends] = [validity.not_before, validity.not_after]
        .map(|moment| DateTime::from_timestamp(moment.timestamp(), 0));
    begins.zip(ends).ok_or(TlsProblem::Certificate)
}

fn verifier(
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
        // A chain's intermediate CAs may publish no list; rustls would refuse all of their certificates then.
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
