//! An HTTP proxy: its address, its credentials, and which requests go through it.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::no_proxy::NoProxyEntry;
use appserver_domain::{Invalid, is_loopback};

/// A proxy for HTTPS. It is asked for a connection (`CONNECT`) and never reads or changes what passes through it: TLS is
/// with the target.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) address: ProxyAddress,
    /// `Proxy-Authorization`, marked as sensitive.
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) no_proxy: Vec<NoProxyEntry>,
}

/// The URL of a proxy: scheme, host and port, nothing else. Shared, because errors contain it and must be small.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct ProxyAddress(Arc<Url>);

impl Proxy {
    /// Whether a request to this URL goes through the proxy. Plain HTTP does not: the proxy could read it.
    pub(super) fn serves(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        // `sts.example.com.` is the same host, and `*.localhost` is this machine (RFC 6761).
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_this_machine = is_loopback(host) || host.ends_with(".localhost");
        url.scheme() == "https"
            && !is_this_machine
            && !self.no_proxy.iter().any(|entry| entry.contains(host))
    }

    /// The same as a setting of the HTTP client.
    pub(super) fn for_client(&self) -> reqwest::Proxy {
        let this = self.clone();
        let ProxyAddress(address) = this.address.clone();
        let proxy =
            reqwest::Proxy::custom(move |url| this.serves(url).then(|| Url::clone(&address)));
        match &self.authorization {
            Some(authorization) => proxy.custom_http_auth(authorization.clone()),
            None => proxy,
        }
    }
}

impl ProxyAddress {
    /// Whether a password that is sent to the proxy can be read on the network.
    pub(crate) fn sends_plaintext_over_network(&self) -> bool {
        let Self(url) = self;
        url.scheme() == "http" && !is_loopback(url.host_str().unwrap_or_default())
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        f.write_str(&url.origin().ascii_serialization())
    }
}

impl TryFrom<String> for ProxyAddress {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a proxy reads `http://<host>:<port>`, or `https://<host>:<port>` where it speaks TLS itself, without path and \
             query",
        );
        const USER: Invalid = Invalid(
            "user and password do not belong in the URL, which is logged: write `user:password` into a mounted file and \
             name it in `proxy_user_file`",
        );
        if raw.contains('@') {
            return Err(USER);
        }
        let (scheme, authority) = raw.split_once("://").ok_or(RULE)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        if !["http", "https"].contains(&scheme) || !authority.bytes().all(plain) {
            return Err(RULE);
        }
        Url::parse(&raw).map(|url| Self(Arc::new(url))).map_err(|_| RULE)
    }
}

/// The header of a text `user:password` (RFC 7617); `None` if it is not one.
pub(crate) fn authorization(user: &SecretString) -> Option<HeaderValue> {
    let text = user.expose_secret();
    let (name, _) = text.split_once(':')?;
    if name.is_empty() || text.contains(char::is_control) {
        return None;
    }
    let mut header: HeaderValue = format!("Basic {}", STANDARD.encode(text)).parse().ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(raw: &str) -> Result<ProxyAddress, Invalid> {
        ProxyAddress::try_from(raw.to_owned())
    }

    #[test]
    fn a_proxy_is_scheme_host_and_port() {
        for (good, shown) in [
            ("http://proxy.example.com:3128", "http://proxy.example.com:3128"),
            ("http://proxy:8080/", "http://proxy:8080"),
            ("https://10.0.0.1:8443", "https://10.0.0.1:8443"),
            ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
        ] {
            assert_eq!(address(good).unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "proxy.example.com:3128",
            "socks5://proxy.example.com:1080",
            "http://",
            "http:proxy",
            "http://proxy.example.com/path",
            "http://proxy.example.com?x=y",
            "http://proxy.example.com#x",
            "http://proxy.example.com:port",
            " http://proxy.example.com",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_in_the_url_is_refused_without_being_repeated_and_names_the_way_out() {
        for bad in
            ["http://user:canary@proxy.example.com", "http://@proxy.example.com", "canary@proxy"]
        {
            let message = address(bad).unwrap_err().to_string();
            assert!(
                message.contains("`proxy_user_file`") && !message.contains("canary"),
                "{message}"
            );
        }
    }

    #[test]
    fn only_https_beyond_this_machine_goes_through_the_proxy() {
        let no_proxy = [".internal", "10.0.0.0/8"].map(|raw| raw.to_owned().try_into().unwrap());
        let address = address("http://proxy.example.com:3128").unwrap();
        let proxy = Proxy { address, authorization: None, no_proxy: no_proxy.into() };
        for (url, serves) in [
            ("https://sts.aliyuncs.com/", true),
            ("https://11.0.0.1/", true),
            ("http://collector.monitoring:4318/v1/traces", false),
            ("https://localhost:8443/", false),
            ("https://127.0.0.1:8443/", false),
            ("https://[::1]/", false),
            ("https://[::ffff:127.0.0.1]/", false),
            ("https://LOCALHOST.:8443/", false),
            ("https://api.localhost/", false),
            ("https://localhost.example.com/", true),
            ("https://login.internal/jwks", false),
            ("https://login.internal./jwks", false),
            ("https://[::ffff:10.1.2.3]/", false),
            ("https://10.1.2.3/", false),
        ] {
            assert_eq!(proxy.serves(&url.parse().unwrap()), serves, "{url}");
        }
    }

    #[test]
    fn the_header_is_that_of_basic_authentication_and_is_not_printed() {
        // RFC 7617 §2.
        let header = authorization(&"Aladdin:open sesame".into()).unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert!(authorization(&"user:".into()).is_some());
        for bad in ["user", ":password", "user:pass\nword", ""] {
            assert_eq!(authorization(&bad.into()), None, "{bad}");
        }
    }
}
