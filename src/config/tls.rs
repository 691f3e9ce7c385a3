//! `[server.tls]`, resolved.

use std::path::{Path, PathBuf};

use super::field::Field;
use super::file_reads::read_text;
use super::problems::{Problem, Problems};
use super::raw::{RawClientCertificates, RawTls};
use super::readings::Readings;
use super::secret_file::read_secret;
use crate::server::{ClientAuth, ClientTrust, TlsFile, TlsIdentity};
use crate::telemetry::with_causes;

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
pub(super) fn resolve(
    raw: RawTls,
    problems: &mut Problems,
    readings: &mut Readings,
) -> Option<Option<TlsSource>> {
    let files = [&raw.certificate_file, &raw.key_file, &raw.client_ca_file, &raw.client_crl_file];
    let is_wrong = files.iter().any(|file| file.is_wrong());
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
    let together = if is_wrong { None } else { mode };
    let source = together
        .and_then(|mode| source(mode, (certificate, key), (authorities, revoked), problems));
    if let Some(whole) = &source {
        let whole = whole.clone();
        readings.add(move || whole.map(|source| source.read()).transpose());
    } else {
        for (file, path) in named {
            readings.add(move || path.map(|path| read(file, &path)).transpose());
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
    pub(super) fn asks_for_certificates(&self) -> bool {
        matches!(self.clients, Clients::Shown { .. })
    }

    /// Reads the files. A certificate that has expired is read like any other; `TlsIdentity::advice` says so.
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

/// A certificate's advice as one of the configuration's.
pub(crate) fn certificate_problem(message: String) -> Problem {
    Problem { path: key_of(TlsFile::Certificate), message }
}
