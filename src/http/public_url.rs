//! Where callers reach the public listener, as they see it.

use std::fmt;
use std::net::SocketAddr;

use reqwest::Url;

use appserver_domain::{Invalid, is_loopback};

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

    /// Whether only this machine reaches it.
    pub(crate) fn is_loopback(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| url.host_str().is_some_and(is_loopback))
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
