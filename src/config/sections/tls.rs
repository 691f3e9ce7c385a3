//! `[server.tls]`: TLS of the public listener.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::field::{Clearable, Field};
use crate::config::file_reads::read_text;
use crate::config::problems::{Problem, Problems};
use crate::config::secret_file::read_secret;
use crate::config::secret_reads::SecretReads;
use crate::server::{ClientAuth, ClientTrust, TlsFile, TlsIdentity};
use crate::telemetry::with_causes;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct RawTls {
    /// Default none: plain HTTP. The certificate's chain in PEM, the leaf first.
    certificate_file: Field<Clearable<PathBuf>>,
    /// Required with `certificate_file`. Its private key in PEM.
    key_file: Field<Clearable<PathBuf>>,
    /// `off` (default), `optional` or `required`. With `required`, a handshake without a valid one fails.
    client_certificates: Field<RawClientCertificates>,
    /// Required unless `off`. The CAs that issue clients' certificates, in PEM.
    client_ca_file: Field<Clearable<PathBuf>>,
    /// Default none. Lists of revoked certificates in PEM.
    client_crl_file: Field<Clearable<PathBuf>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum RawClientCertificates {
    Off,
    Optional,
    Required,
}

const PATH: &str = "server.tls";

/// The files of the listener's certificate, not read yet.
#[derive(Clone, Debug)]
pub(crate) struct TlsSource {
    certificate: PathBuf,
    key: PathBuf,
    clients: Clients,
}

#[derive(Clone, Debug)]
enum Clients {
    Off,
    Requested { required: bool, authorities: PathBuf, revoked: Option<PathBuf> },
}

/// The certificate's files; `None` inside where the listener speaks plain HTTP.
pub(crate) fn resolve(
    raw: RawTls,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<Option<TlsSource>> {
    let files = [&raw.certificate_file, &raw.key_file, &raw.client_ca_file, &raw.client_crl_file];
    let is_invalid = files.iter().any(|file| file.is_invalid());
    let certificate = problems.take_set(raw.certificate_file);
    let key = problems.take_set(raw.key_file);
    let authorities = problems.take_set(raw.client_ca_file);
    let revoked = problems.take_set(raw.client_crl_file);
    let mode = problems.require(raw.client_certificates);
    let named = [
        (TlsFile::Certificate, certificate.clone()),
        (TlsFile::Key, key.clone()),
        (TlsFile::ClientAuthorities, authorities.clone()),
        (TlsFile::ClientRevocations, revoked.clone()),
    ];
    // The rules on keys together apply only if each of them is valid.
    let together = if is_invalid { None } else { mode };
    let source = together
        .and_then(|mode| source(mode, (certificate, key), (authorities, revoked), problems));
    if let Some(whole) = &source {
        let whole = whole.clone();
        secret_reads.add(move || whole.map(|source| source.read()).transpose());
    } else {
        for (file, path) in named {
            secret_reads.add(move || path.map(|path| read(file, &path)).transpose());
        }
    }
    source
}

fn source(
    mode: RawClientCertificates,
    (certificate, key): (Option<PathBuf>, Option<PathBuf>),
    (authorities, revoked): (Option<PathBuf>, Option<PathBuf>),
    problems: &mut Problems,
) -> Option<Option<TlsSource>> {
    let clients = match (mode, authorities) {
        (RawClientCertificates::Off, None) if revoked.is_none() => Clients::Off,
        (RawClientCertificates::Off, _) => {
            problems.add_absence(
                "server.tls.client_certificates",
                "it is `off`, so clients are not asked for a certificate: set it to `optional` or `required`, or \
                 remove `client_ca_file` and `client_crl_file`",
            );
            return None;
        }
        (RawClientCertificates::Optional | RawClientCertificates::Required, None) => {
            problems.add_absence(
                "server.tls.client_ca_file",
                "name the CAs that issue clients' certificates; the system's CAs would accept anybody's",
            );
            return None;
        }
        (mode, Some(authorities)) => Clients::Requested {
            required: mode == RawClientCertificates::Required,
            authorities,
            revoked,
        },
    };
    match (certificate, key, clients) {
        (Some(certificate), Some(key), clients) => {
            Some(Some(TlsSource { certificate, key, clients }))
        }
        (None, None, Clients::Off) => Some(None),
        (None, None, Clients::Requested { .. }) => {
            problems.add_absence(
                "server.tls.client_certificates",
                "client certificates are presented in TLS handshakes: set `certificate_file` and `key_file`",
            );
            None
        }
        (Some(_), None, _) | (None, Some(_), _) => {
            problems.add_absence(PATH, "`certificate_file` and `key_file` go together");
            None
        }
    }
}

impl TlsSource {
    /// Whether clients are asked for a certificate.
    pub(crate) fn requests_certificates(&self) -> bool {
        matches!(self.clients, Clients::Requested { .. })
    }

    /// Reads the files. A certificate that has expired is read like any other; `TlsIdentity::warnings` says so.
    pub(crate) fn read(&self) -> Result<TlsIdentity, Problems> {
        let mut problems = Problems::default();
        let chain = problems.gather(read(TlsFile::Certificate, &self.certificate));
        let key = problems.gather(read_secret(&key_of(TlsFile::Key), &self.key));
        let clients = match &self.clients {
            Clients::Off => Some(ClientAuth::Off),
            Clients::Requested { required, authorities, revoked } => {
                let authorities = problems.gather(read(TlsFile::ClientAuthorities, authorities));
                let revoked = revoked.as_ref().map(|path| read(TlsFile::ClientRevocations, path));
                let revoked = problems.gather(revoked.transpose());
                let trust = authorities.zip(revoked);
                trust.map(|(authorities, revoked)| {
                    let trust = ClientTrust { authorities, revoked };
                    if *required {
                        ClientAuth::Required(trust)
                    } else {
                        ClientAuth::Optional(trust)
                    }
                })
            }
        };
        let identity = chain.zip(key).zip(clients).and_then(|((chain, key), clients)| {
            let read = TlsIdentity::read(&chain, &key, &clients);
            let read = read.map_err(|(file, problem)| {
                let path = self.path(file).display();
                Problems::one(key_of(file), format!("{path}: {}", with_causes(&problem)))
            });
            problems.gather(read)
        });
        problems.into_result(identity)
    }

    fn path(&self, file: TlsFile) -> &Path {
        match (file, &self.clients) {
            (TlsFile::Key, _) => &self.key,
            (TlsFile::ClientAuthorities, Clients::Requested { authorities, .. }) => authorities,
            (TlsFile::ClientRevocations, Clients::Requested { revoked: Some(revoked), .. }) => {
                revoked
            }
            (TlsFile::Certificate | TlsFile::ClientAuthorities | TlsFile::ClientRevocations, _) => {
                &self.certificate
            }
        }
    }
}

fn read(file: TlsFile, path: &Path) -> Result<String, Problems> {
    read_text(path)
        .map_err(|error| Problems::one(key_of(file), format!("{}: {error}", path.display())))
}

fn key_of(file: TlsFile) -> String {
    let key = match file {
        TlsFile::Certificate => "certificate_file",
        TlsFile::Key => "key_file",
        TlsFile::ClientAuthorities => "client_ca_file",
        TlsFile::ClientRevocations => "client_crl_file",
    };
    format!("{PATH}.{key}")
}

/// A certificate's warning as a problem of its key.
pub(crate) fn certificate_problem(message: String) -> Problem {
    Problem { path: key_of(TlsFile::Certificate), message }
}
