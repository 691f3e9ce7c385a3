//! The settings of each source of signing credentials.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;

use crate::outbound::SecureUrl;
use appserver_domain::{
    AccessKeyId, Invalid, OidcProviderArn, RamRoleName, RoleArn, SigningCredentials, is_loopback,
};

/// Where the credentials come from that sign the calls to STS.
#[derive(Clone, Debug)]
pub(crate) enum UpstreamIdentity {
    /// An AccessKey of the configuration, which a reload replaces.
    AccessKey(SigningCredentials),
    /// A source that is asked for new credentials before the present ones end.
    Renewed(RenewedIdentity),
}

impl UpstreamIdentity {
    /// The id of the AccessKey, if it is one.
    pub(crate) fn access_key_id(&self) -> Option<&AccessKeyId> {
        match self {
            Self::AccessKey(key) => Some(key.id()),
            Self::Renewed(_) => None,
        }
    }
}

/// A source of temporary credentials.
#[derive(Clone, Debug)]
pub(crate) enum RenewedIdentity {
    EcsRamRole(EcsRamRole),
    Oidc(OidcRole),
    CredentialsUri(CredentialsUri),
}

impl RenewedIdentity {
    /// The name in `sts.identity.source`, of a closed set.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::EcsRamRole(_) => "ecs-ram-role",
            Self::Oidc(_) => "oidc",
            Self::CredentialsUri(_) => "credentials-uri",
        }
    }

    /// Whether it is reached over TLS. The OIDC token is sent by the STS client, which has its own connections.
    pub(super) fn is_encrypted(&self) -> bool {
        match self {
            Self::EcsRamRole(_) | Self::Oidc(_) => false,
            Self::CredentialsUri(uri) => uri.is_encrypted(),
        }
    }
}

/// The RAM role of the ECS instance that the service runs on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct EcsRamRole {
    /// `None`: the metadata server is asked for it.
    pub(crate) role: Option<RamRoleName>,
    pub(crate) endpoint: MetadataEndpoint,
    /// Whether to ask without a metadata token.
    pub(crate) imds_v1: bool,
}

/// A role that STS gives for an OIDC token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OidcRole {
    pub(crate) role: RoleArn,
    pub(crate) provider: OidcProviderArn,
    /// Read at each renewal.
    pub(crate) token_file: PathBuf,
}

/// The metadata server of ECS: scheme, host and port, nothing else.
///
/// Only addresses where plain HTTP does not pass through others: the link to the instance's own host, and loopback.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct MetadataEndpoint(Url);

impl MetadataEndpoint {
    /// The URL of a path, which begins with a slash.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }
}

impl Default for MetadataEndpoint {
    fn default() -> Self {
        Self::try_from("http://100.100.100.200".to_owned()).expect("it is a good endpoint")
    }
}

impl TryFrom<String> for MetadataEndpoint {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "the metadata server reads `http://100.100.100.200`, or `http://<host>:<port>` on `localhost` and loopback \
             addresses, without user, path or query",
        );
        let authority = raw.strip_prefix("http://").ok_or(RULE)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        // Only characters of `host:port`: none that starts a user, a path, a query or an escape.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
        if !authority.bytes().all(plain) {
            return Err(RULE);
        }
        let url = Url::parse(&raw).map_err(|_| RULE)?;
        let host = url.host_str().ok_or(RULE)?;
        if host == "100.100.100.200" || is_loopback(host) { Ok(Self(url)) } else { Err(RULE) }
    }
}

impl fmt::Display for MetadataEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

/// A URL that answers with credentials: HTTPS, or plain HTTP that does not leave the machine. Its path and its query may
/// contain a secret, so neither `Debug` nor `Display` shows them.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct CredentialsUri(SecureUrl);

impl CredentialsUri {
    pub(super) fn url(&self) -> &Url {
        self.0.url()
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.is_encrypted()
    }
}

impl TryFrom<String> for CredentialsUri {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a credentials URI is an `https` URL without user and fragment; `http` is admitted on `localhost` and \
             loopback addresses only",
        );
        SecureUrl::parse(&raw).map(Self).ok_or(RULE)
    }
}

impl fmt::Display for CredentialsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin())
    }
}

impl fmt::Debug for CredentialsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialsUri({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_from_its_own_address_and_from_loopback_only() {
        for good in ["http://100.100.100.200", "http://127.0.0.1:8093/", "http://localhost:8093"] {
            assert!(MetadataEndpoint::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "100.100.100.200",
            "https://100.100.100.200",
            "http://169.254.169.254",
            "http://metadata.example.com",
            "http://100.100.100.200/latest",
            "http://100.100.100.200@example.com",
            "http://127.0.0.1?x",
        ] {
            assert!(MetadataEndpoint::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_credentials_uri_is_encrypted_or_local_and_is_never_shown() {
        let good = "https://example.com/canary?token=canary";
        let uri = CredentialsUri::try_from(good.to_owned()).unwrap();
        assert_eq!(
            format!("{uri} {uri:?}"),
            "https://example.com CredentialsUri(https://example.com)"
        );
        assert!(CredentialsUri::try_from("http://127.0.0.1:7070/x".to_owned()).is_ok());
        for bad in [
            "",
            "http://example.com/",
            "https://user@example.com/",
            "https://user:secret@example.com/",
            "https://example.com/#part",
            "ftp://127.0.0.1/",
            "https://example.com/a b",
        ] {
            assert!(CredentialsUri::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
