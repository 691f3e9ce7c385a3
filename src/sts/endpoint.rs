//! An STS endpoint.

use reqwest::Url;
use serde::Deserialize;

use super::region::Region;
use appserver_domain::{Invalid, is_loopback};

/// An STS endpoint: scheme, host and port, nothing else.
///
/// HTTPS is required because an attacker on the path could otherwise return credentials of its own. Plain HTTP is
/// accepted on loopback only, for the emulator.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// The endpoint in a region: the public one, or the one reachable only from a VPC there.
    pub(crate) fn regional(region: &Region, vpc: bool) -> Self {
        let service = if vpc { "sts-vpc" } else { "sts" };
        Self::try_from(format!("https://{service}.{region}.aliyuncs.com"))
            .expect("a region is one label of a host name")
    }

    /// The URL that requests are sent to.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// The host to connect to.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().expect("both schemes have a host")
    }

    /// Names the endpoint in messages: the host, and the port if it is not the scheme's default.
    pub(crate) fn authority(&self) -> &str {
        self.0.authority()
    }

    /// Whether a connection to it is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl Default for Endpoint {
    /// The central endpoint, `https://sts.aliyuncs.com`.
    fn default() -> Self {
        Self::try_from("https://sts.aliyuncs.com".to_owned()).expect("it is a good endpoint")
    }
}

impl TryFrom<String> for Endpoint {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "an endpoint reads `https://<host>` or `https://<host>:<port>`, without user, path \
             or query; `http` is admitted on `localhost` and loopback addresses only",
        );
        let (scheme, authority) = raw.split_once("://").ok_or(RULE)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        // Only characters of `host:port`: none that starts a user, a path, a query or an escape.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
        if !authority.bytes().all(plain) {
            return Err(RULE);
        }
        let endpoint = Self(Url::parse(&raw).map_err(|_| RULE)?);
        match scheme {
            "https" => Ok(endpoint),
            "http" if is_loopback(endpoint.host()) => Ok(endpoint),
            _ => Err(RULE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(raw: &str) -> Result<String, Invalid> {
        Endpoint::try_from(raw.to_owned()).map(|endpoint| endpoint.url().to_string())
    }

    #[test]
    fn regional_endpoints_follow_the_pattern() {
        let region = "cn-hangzhou".to_owned().try_into().unwrap();
        let urls = [
            Endpoint::default(),
            Endpoint::regional(&region, false),
            Endpoint::regional(&region, true),
        ]
        .map(|endpoint| endpoint.url().to_string());
        let expected = [
            "https://sts.aliyuncs.com/",
            "https://sts.cn-hangzhou.aliyuncs.com/",
            "https://sts-vpc.cn-hangzhou.aliyuncs.com/",
        ];
        assert_eq!(urls, expected);
    }

    #[test]
    fn the_authority_has_the_port_unless_it_is_the_default() {
        let authorities = [
            "https://sts.aliyuncs.com",
            "https://sts.aliyuncs.com:443",
            "https://10.0.0.1:8443",
            "http://[::1]:8090",
        ]
        .map(|raw| Endpoint::try_from(raw.to_owned()).unwrap().authority().to_owned());
        let expected = ["sts.aliyuncs.com", "sts.aliyuncs.com", "10.0.0.1:8443", "[::1]:8090"];
        assert_eq!(authorities, expected);
    }

    #[test]
    fn plain_http_is_admitted_on_loopback_only() {
        for good in [
            "https://sts.aliyuncs.com",
            "https://sts.aliyuncs.com/",
            "https://10.0.0.1:8443",
            "http://127.0.0.1:8090",
            "http://127.8.9.1:8090",
            "http://[::1]:8090/",
            "http://localhost:8090",
        ] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in [
            "http://sts.aliyuncs.com",
            "http://10.0.0.1:8090",
            "http://0.0.0.0:8090",
            "http://localhost.evil.com",
            "http://127.0.0.1.evil.com",
            "http://[2001:db8::1]",
            "ftp://127.0.0.1",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn anything_beside_host_and_port_is_refused() {
        for bad in [
            "",
            "sts.aliyuncs.com",
            "https://",
            "https:///",
            "https:sts.aliyuncs.com",
            "https://user@sts.aliyuncs.com",
            "https://user:word@sts.aliyuncs.com",
            "https://@sts.aliyuncs.com",
            "https://sts.aliyuncs.com/path",
            "https://sts.aliyuncs.com//",
            "https://sts.aliyuncs.com/?",
            "https://sts.aliyuncs.com?x=y",
            "https://sts.aliyuncs.com#x",
            "https://sts.aliyuncs.com\\x",
            "https://sts.aliyuncs.com\n",
            "https://sts.%61liyuncs.com",
            "https://sts.aliyuncs.com:port",
            " https://sts.aliyuncs.com",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
