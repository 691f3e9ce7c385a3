//! Outgoing connections: through which proxy, and which certificate authorities are trusted beside the system's.

use reqwest::{Certificate, ClientBuilder, Url};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::proxy::{Proxy, ProxyAddress};
use super::proxy_error::ProxyError;

/// How one kind of target is reached. The default is: directly, with the system's certificates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Egress {
    pub(crate) proxy: Option<Proxy>,
    /// Trusted beside the system's certificates, by proxies and targets alike.
    pub(crate) authorities: Vec<Certificate>,
}

/// How each kind of target is reached.
#[derive(Clone, Debug, Default)]
pub(crate) struct EgressByTarget {
    pub(crate) sts: Egress,
    pub(crate) issuers: Egress,
    pub(crate) tracing: Egress,
}

impl Egress {
    /// A builder of clients that reach their targets this way; otherwise like [`super::client`].
    pub(crate) fn client(&self, verifies_tls: bool) -> ClientBuilder {
        let builder = super::client(verifies_tls);
        if !verifies_tls {
            return builder;
        }
        let builder = builder.tls_certs_merge(self.authorities.iter().cloned());
        match &self.proxy {
            Some(proxy) => builder.proxy(proxy.for_client()),
            None => builder,
        }
    }

    /// The same without the proxy, for the operator's own servers.
    pub(crate) fn direct(&self) -> Self {
        Self { proxy: None, authorities: self.authorities.clone() }
    }

    /// The proxy that requests to this URL go through.
    pub(crate) fn proxy_for(&self, url: &Url) -> Option<&ProxyAddress> {
        self.proxy.as_ref().filter(|proxy| proxy.serves(url)).map(|proxy| &proxy.address)
    }

    /// The proxy's error if the proxy caused the failure of a request; otherwise the unchanged error.
    pub(crate) fn proxy_error(&self, error: reqwest::Error) -> Result<ProxyError, reqwest::Error> {
        match error.url().and_then(|url| self.proxy_for(url)) {
            Some(proxy) => ProxyError::of(error, proxy),
            None => Err(error),
        }
    }
}

/// Why a file has no usable certificate authorities.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaProblem {
    #[error("it contains no certificate in PEM")]
    None,
    #[error("it is not valid PEM")]
    Pem,
    #[error("certificate {0} in it cannot be used as a certificate authority")]
    Unusable(usize),
}

/// The certificate authorities of a PEM file.
pub(crate) fn certificates(pem: &str) -> Result<Vec<Certificate>, CaProblem> {
    let mut store = RootCertStore::empty();
    let mut certificates = Vec::new();
    for (i, der) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        let der = der.map_err(|_| CaProblem::Pem)?;
        // Checked as the client will: it would name no certificate.
        store.add(der.clone()).map_err(|_| CaProblem::Unusable(i + 1))?;
        certificates.push(Certificate::from_der(&der).map_err(|_| CaProblem::Unusable(i + 1))?);
    }
    if certificates.is_empty() { Err(CaProblem::None) } else { Ok(certificates) }
}
