//! `[server.tls]`, key by key.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::field::Field;

/// TLS of the public listener.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawTls {
    /// Default none: plain HTTP. The certificate's chain in PEM, our own first.
    pub(in crate::config) certificate_file: Field<PathBuf>,
    /// Required with `certificate_file`. Its private key in PEM.
    pub(in crate::config) key_file: Field<PathBuf>,
    /// `off` (default), `optional` or `required`. Then a handshake without a good one fails.
    pub(in crate::config) client_certificates: Field<RawClientCertificates>,
    /// Required unless `off`. The CAs whose certificates are good, in PEM.
    pub(in crate::config) client_ca_file: Field<PathBuf>,
    /// Default none. Lists of revoked certificates in PEM.
    pub(in crate::config) client_crl_file: Field<PathBuf>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(in crate::config) enum RawClientCertificates {
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
