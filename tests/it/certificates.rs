//! Certificates for tests: a CA for the server's, another for callers', and clients that trust the first.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, date_time_ymd,
};
use reqwest::ClientBuilder;

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A chain and its key, in PEM.
pub(crate) struct Signed {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn signed(&self, params: &CertificateParams) -> Signed {
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        Signed { chain, key: key.serialize_pem() }
    }

    /// A certificate with these alternative names: of DNS, or a URI where it has a scheme.
    pub(crate) fn naming(&self, names: &[&str]) -> Signed {
        let (uris, hosts): (Vec<&str>, Vec<&str>) =
            names.iter().partition(|name| name.contains("://"));
        let hosts: Vec<_> = hosts.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        let uris = uris.into_iter().map(|uri| SanType::URI(uri.try_into().unwrap()));
        params.subject_alt_names.extend(uris);
        self.signed(&params)
    }

    fn revoking(&self, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// A server's files, and the clients that trust them.
pub(crate) struct Pki {
    folder: tempfile::TempDir,
    server: Authority,
    pub(crate) clients: Authority,
}

/// The serial number of a certificate that is revoked.
pub(crate) const REVOKED: u64 = 4711;

impl Pki {
    pub(crate) fn new() -> Self {
        let (server, clients) = (Authority::new("servers"), Authority::new("clients"));
        let folder = tempfile::tempdir().unwrap();
        let own = server.naming(&["127.0.0.1", "localhost"]);
        for (file, text) in [
            ("tls.crt", &own.chain),
            ("tls.key", &own.key),
            ("clients.crt", &clients.pem),
            ("clients.crl", &clients.revoking(&[REVOKED])),
        ] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        Self { folder, server, clients }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// From the next reload on, clients' certificates are valid if this authority has signed and not revoked them.
    pub(crate) fn trust(&self, clients: &Authority, revoked: &[u64]) {
        std::fs::write(self.file("clients.crt"), &clients.pem).unwrap();
        std::fs::write(self.file("clients.crl"), clients.revoking(revoked)).unwrap();
    }

    /// `[server.tls]`, with or without client certificates.
    pub(crate) fn config(&self, client_certificates: &str) -> String {
        let trust = match client_certificates {
            "off" => String::new(),
            _ => format!(
                "client_ca_file = {:?}\nclient_crl_file = {:?}\n",
                self.file("clients.crt"),
                self.file("clients.crl")
            ),
        };
        format!(
            "[server.tls]\ncertificate_file = {:?}\nkey_file = {:?}\nclient_certificates = {client_certificates:?}\n{trust}",
            self.file("tls.crt"),
            self.file("tls.key"),
        )
    }

    /// A client that trusts only this server.
    pub(crate) fn client(&self) -> ClientBuilder {
        let authority = reqwest::Certificate::from_pem(self.server.pem.as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([authority])
    }

    /// For clients without `reqwest`.
    pub(crate) fn connector(&self, protocol: &[u8]) -> tokio_rustls::TlsConnector {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.server.pem.as_bytes()).unwrap()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut config = rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        std::sync::Arc::new(config).into()
    }
}

impl Signed {
    pub(crate) fn identity(&self) -> reqwest::Identity {
        reqwest::Identity::from_pem(format!("{}{}", self.chain, self.key).as_bytes()).unwrap()
    }
}
