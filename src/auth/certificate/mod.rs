//! The names in a client certificate, and which of them identify a client.

mod distinguished_name;

use std::fmt;

use serde::Deserialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use appserver_domain::Fingerprint;
use distinguished_name::rfc4514;

/// One name in a certificate: an entry of its subject alternative names, or its subject.
///
/// Names are compared whole. Patterns are not supported: anyone who can request names from a CA could request one
/// that matches.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub(crate) enum CertificateName {
    /// In lower case: DNS names are case-insensitive.
    Dns(String),
    Uri(String),
    Email(String),
    /// The subject in the form of RFC 4514, such as `CN=app,O=Example`.
    Subject(String),
}

/// A configured name that no certificate can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a certificate's name is `dns:`, `uri:`, `email:` or `subject:` and the whole of what the certificate says, such \
     as `dns:app.example.com` or `subject:CN=app,O=Example`"
)]
pub(crate) struct InvalidCertificateName;

impl TryFrom<String> for CertificateName {
    type Error = InvalidCertificateName;

    fn try_from(text: String) -> Result<Self, InvalidCertificateName> {
        let (kind, name) = text.split_once(':').ok_or(InvalidCertificateName)?;
        let spaced = name.contains(char::is_whitespace);
        match kind {
            _ if name.is_empty() || name.trim() != name => Err(InvalidCertificateName),
            "dns" if !spaced => Ok(Self::Dns(name.to_ascii_lowercase())),
            "uri" if !spaced => Ok(Self::Uri(name.to_owned())),
            "email" if !spaced => Ok(Self::Email(name.to_owned())),
            "subject" if name.contains('=') => Ok(Self::Subject(name.to_owned())),
            _ => Err(InvalidCertificateName),
        }
    }
}

impl CertificateName {
    /// Identifies the name in tickets that are issued with it.
    pub(super) fn as_parent(&self) -> Fingerprint {
        Fingerprint::of([b"certificate".as_slice(), self.to_string().as_bytes()])
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Uri(uri) => write!(f, "uri:{uri}"),
            Self::Email(email) => write!(f, "email:{email}"),
            Self::Subject(subject) => write!(f, "subject:{subject}"),
        }
    }
}

/// The names in a verified certificate, read once per connection.
#[derive(Debug)]
pub(crate) struct CertificateNames(Box<[CertificateName]>);

impl CertificateNames {
    /// Reads a certificate in DER. One that cannot be read has no names, so it names no client.
    pub(crate) fn of(der: &[u8]) -> Self {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            return Self(Box::default());
        };
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let alternatives = alternatives.iter().flat_map(|names| &names.value.general_names);
        let alternatives = alternatives.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(CertificateName::Dns(name.to_ascii_lowercase())),
            GeneralName::URI(uri) => Some(CertificateName::Uri((*uri).to_owned())),
            GeneralName::RFC822Name(email) => Some(CertificateName::Email((*email).to_owned())),
            GeneralName::OtherName(..)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(..) => None,
        });
        let subject = CertificateName::Subject(rfc4514(certificate.subject()));
        Self(alternatives.chain([subject]).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &CertificateName> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn name(text: &str) -> Result<CertificateName, InvalidCertificateName> {
        text.to_owned().try_into()
    }

    #[test]
    fn names_of_a_certificate_have_the_form_of_the_configuration() {
        let mut params = CertificateParams::new(vec!["App.Example.com".to_owned()]).unwrap();
        params.subject_alt_names.extend([
            SanType::URI("spiffe://example/app".try_into().unwrap()),
            SanType::Rfc822Name("app@example.com".try_into().unwrap()),
            SanType::IpAddress([192, 0, 2, 1].into()),
        ]);
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
        params.distinguished_name.push(DnType::CommonName, "app #1");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let names = CertificateNames::of(certificate.der());
        let expected = [
            "dns:app.example.com",
            "uri:spiffe://example/app",
            "email:app@example.com",
            r"subject:CN=app #1,O=Example\, Inc.",
        ];
        assert_eq!(names.0.to_vec(), expected.map(|text| name(text).unwrap()));
    }

    #[test]
    fn an_unreadable_certificate_has_no_names() {
        assert_eq!(CertificateNames::of(b"no DER").iter().count(), 0);
    }

    #[test]
    fn a_configured_name_needs_a_known_kind() {
        for wrong in [
            "uri:a b",
            "email:a b",
            "uri:a ",
            "app.example.com",
            "dns:",
            "dns: a",
            "dns:a b",
            "ip:192.0.2.1",
            "subject:app",
            "DNS:a",
        ] {
            assert_eq!(name(wrong), Err(InvalidCertificateName), "{wrong}");
        }
        assert_eq!(name("dns:A.b").unwrap(), CertificateName::Dns("a.b".to_owned()));
    }
}
