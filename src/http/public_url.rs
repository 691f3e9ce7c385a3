//! Where callers reach the public listener, as they see it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use reqwest::Url;

use appserver_domain::{Invalid, is_loopback};

/// The ends of names that the Internet's DNS does not have.
const PRIVATE_DOMAINS: [&str; 9] =
    ["localhost", "localdomain", "local", "internal", "svc", "lan", "home", "corp", "test"];

/// What the URLs of tickets begin with: a scheme, a host, and a path prefix if a proxy removes one.
///
/// It is configured and never taken from a request: a caller who could choose it would receive the tickets of others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PublicUrl(String);

impl PublicUrl {
    /// A longer one would leave too little of a URL for tickets.
    const LONGEST: usize = 256;

    /// The listener itself, for `appserver dev` and tests, which have no proxy.
    pub(crate) fn of_listener(address: SocketAddr) -> Self {
        Self(format!("http://{address}"))
    }

    /// Whether its host can be on the Internet, as far as its text says. OSS calls back no other one.
    pub(crate) fn is_public(&self) -> bool {
        let Ok(url) = Url::parse(&self.0) else { return false };
        let host = url.host_str().unwrap_or_default();
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
            return !(ip.is_loopback()
                || ip.is_private()
                || is_shared
                || ip.is_link_local()
                || ip.is_documentation()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.octets()[0] == 0);
        }
        // An IPv6 address is in brackets, and may have dots.
        let name = host.strip_suffix('.').unwrap_or(host);
        !host.starts_with('[')
            && name.rsplit_once('.').is_some_and(|(_, top)| !PRIVATE_DOMAINS.contains(&top))
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a public URL reads `https://<host>`, with a port and the beginning of a path if need be, without user, query \
             or fragment, at most 256 characters; `http` is admitted on `localhost` and loopback addresses only",
        );
        let (scheme, rest) = raw.split_once("://").ok_or(RULE)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        // Literal characters only: nothing that starts a user, a query, a fragment or an escape.
        let of = |text: &str, signs: &[u8]| {
            text.bytes().all(|b| b.is_ascii_alphanumeric() || signs.contains(&b))
        };
        let plain = |step: &str| !["", ".", ".."].contains(&step) && of(step, b"-._~");
        let steps = path.is_none_or(|path| path.split('/').all(plain));
        if authority.is_empty() || !of(authority, b"-.:[]") || !steps || raw.len() > Self::LONGEST {
            return Err(RULE);
        }
        let url = Url::parse(&raw).map_err(|_| RULE)?;
        match scheme {
            "https" => {}
            "http" if url.host_str().is_some_and(is_loopback) => {}
            _ => return Err(RULE),
        }
        Ok(Self(format!("{scheme}://{rest}")))
    }
}

impl fmt::Display for PublicUrl {
    /// Without a slash at its end: a route comes after it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_on_the_internet_is_a_name_with_a_dot_or_a_public_ipv4_address() {
        let is_public = |url: &str| PublicUrl::try_from(url.to_owned()).unwrap().is_public();
        for good in ["https://vend.example.com/a", "https://8.8.8.8", "https://100.128.0.1:8443"] {
            assert!(is_public(good), "{good}");
        }
        for bad in [
            "http://127.0.0.1:8080",
            "http://localhost",
            "https://appserver",
            "https://appserver.",
            "https://vend.localhost",
            "https://10.0.0.1",
            "https://172.16.0.1",
            "https://192.168.0.1",
            "https://169.254.0.1",
            "https://0.0.0.0",
            "https://100.64.0.1",
            "https://192.0.2.1",
            "https://224.0.0.1",
            "https://localhost.localdomain",
            "https://vend.local",
            "https://vend.internal.",
            "https://appserver.default.svc",
            "https://2130706433",
            "https://[2001:db8::1]",
            "http://[::1]",
        ] {
            assert!(!is_public(bad), "{bad}");
        }
    }

    #[test]
    fn a_public_url_is_https_and_begins_a_path() {
        for (good, written) in [
            ("https://vend.example.com", "https://vend.example.com"),
            ("https://vend.example.com/", "https://vend.example.com"),
            ("https://vend.example.com:8443/a/b-2/", "https://vend.example.com:8443/a/b-2"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
            ("http://localhost", "http://localhost"),
        ] {
            assert_eq!(PublicUrl::try_from(good.to_owned()).unwrap().to_string(), written);
        }
        let long = format!("https://vend.example.com/{}", "a".repeat(256));
        for bad in [
            "",
            "vend.example.com",
            "https://",
            "https:///",
            "https:///vend.example.com",
            "http://vend.example.com",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
            "ftp://127.0.0.1",
            "HTTPS://vend.example.com",
            "https://user@vend.example.com",
            "https://user:word@vend.example.com",
            "https://vend.example.com?",
            "https://vend.example.com/?a=b",
            "https://vend.example.com#a",
            "https://vend.example.com//",
            "https://vend.example.com/a//b",
            "https://vend.example.com/a/../b",
            "https://vend.example.com/%2e",
            "https://vend.example.com/a b",
            "https://vend.example.com:port",
            "https://vend.example.com\n",
            &long,
        ] {
            assert!(PublicUrl::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
