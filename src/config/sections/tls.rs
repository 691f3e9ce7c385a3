//! `[server.tls]`, resolved.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::field::Field;
use crate::config::file_reads::read_text;
use crate::config::problems::{Problem, Problems};
use crate::config::secret_file::read_secret;
use crate::config::secret_reads::SecretReads;
use crate::server::{ClientAuth, ClientTrust, TlsFile, TlsIdentity};
use crate::telemetry::with_causes;

/// TLS of the public listener.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawTls {
    /// Default none: plain HTTP. The certificate's chain in PEM, our own first.
    pub(crate) certificate_file: Field<PathBuf>,
    /// Required with `certificate_file`. Its private key in PEM.
    pub(crate) key_file: Field<PathBuf>,
    /// `off` (default), `optional` or `required`. Then a handshake without a good one fails.
    pub(crate) client_certificates: Field<RawClientCertificates>,
    /// Required unless `off`. The CAs whose certificates are good, in PEM.
    pub(crate) client_ca_file: Field<PathBuf>,
    /// Default none. Lists of revoked certificates in PEM.
    pub(crate) client_crl_file: Field<PathBuf>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) enum RawClientCertificates {
    Off,
    Optional,
    Required,
}

impl TryFrom<String> for RawClientCertificates {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => Err("it must be `off`, `optional` or `required`"),
        }
    }
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
    Shown { required: bool, authorities: PathBuf, revoked: Option<PathBuf> },
}

/// The certificate's files; inside, none where the listener speaks plain HTTP.
pub(crate) fn resolve(
    raw: RawTls,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<Option<TlsSource>> {
    let files = [&raw.certificate_file, &raw.key_file, &raw.client_ca_file, &raw.client_crl_file];
    let is_invalid = files.iter().any(|file| file.is_invalid());
    let mut file = |key: &str, field: Field<PathBuf>| {
        // Empty is how a later layer takes back what an earlier one set.
        let file = problems.take(&format!("{PATH}.{key}"), field);
        file.filter(|path| !path.as_os_str().is_empty())
    };
    let certificate = file("certificate_file", raw.certificate_file);
    let key = file("key_file", raw.key_file);
    let authorities = file("client_ca_file", raw.client_ca_file);
    let revoked = file("client_crl_file", raw.client_crl_file);
    let mode = problems.require("server.tls.client_certificates", raw.client_certificates);
    let named = [
        (TlsFile::Certificate, certificate.clone()),
        (TlsFile::Key, key.clone()),
        (TlsFile::ClientAuthorities, authorities.clone()),
        (TlsFile::ClientRevocations, revoked.clone()),
    ];
    // How they go together is only known of all.
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
                "it is `off`, so nobody is asked for a certificate: set it to `optional` or `required`, or take \
                 `client_ca_file` and `client_crl_file` out",
            );
            return None;
        }
        (RawClientCertificates::Optional | RawClientCertificates::Required, None) => {
            problems.add_absence(
                "server.tls.client_ca_file",
                "name the CAs whose certificates are good; those of the system would let anybody in",
            );
            return None;
        }
        (mode, Some(authorities)) => Clients::Shown {
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
        (None, None, Clients::Shown { .. }) => {
            problems.add_absence(
                "server.tls.client_certificates",
                "client certificates are shown in TLS handshakes: name `certificate_file` and `key_file`",
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
    /// Whether callers may prove themselves by a certificate.
    pub(crate) fn asks_for_certificates(&self) -> bool {
        matches!(self.clients, Clients::Shown { .. })
    }

    /// Reads the files. A certificate that has expired is read like any other; `TlsIdentity::warnings` says so.
    pub(crate) fn read(&self) -> Result<TlsIdentity, Problems> {
        let mut problems = Problems::default();
        let chain = problems.gather(read(TlsFile::Certificate, &self.certificate));
        let key = problems.gather(read_secret(&key_of(TlsFile::Key), &self.key));
        let clients = match &self.clients {
            Clients::Off => Some(ClientAuth::Off),
            Clients::Shown { required, authorities, revoked } => {
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
            let told = read.map_err(|(file, problem)| {
                let path = self.path(file).display();
                Problems::one(key_of(file), format!("{path}: {}", with_causes(&problem)))
            });
            problems.gather(told)
        });
        problems.into_result(identity)
    }

    fn path(&self, file: TlsFile) -> &Path {
        match (file, &self.clients) {
            (TlsFile::Key, _) => &self.key,
            (TlsFile::ClientAuthorities, Clients::Shown { authorities, .. }) => authorities,
            (TlsFile::ClientRevocations, Clients::Shown { revoked: Some(revoked), .. }) => revoked,
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

/// A certificate's warnings as one of the configuration's.
pub(crate) fn certificate_problem(message: String) -> Problem {
    Problem { path: key_of(TlsFile::Certificate), message }
}
