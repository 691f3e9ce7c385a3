//! A URL whose traffic nobody on the path can read or change.

use reqwest::Url;

use appserver_domain::is_loopback;

/// An `https` URL, or an `http` URL that does not leave the machine. It has neither a user nor a fragment.
///
/// Settings wrap it, because each of them shows its URLs in its own way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SecureUrl(Url);

impl SecureUrl {
    /// `None` unless the text is exactly such a URL: nothing is removed or corrected.
    pub(crate) fn parse(raw: &str) -> Option<Self> {
        // `Url` would remove white space and turn backslashes into slashes.
        if !raw.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return None;
        }
        let url = Url::parse(raw).ok()?;
        // Without `//`, `Url` would take what follows the scheme for the host. `@` is allowed in a path: Firebase's keys are
        // at `…/jwk/securetoken@system.…`.
        let (_, rest) = raw.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() || authority.contains('@') || url.fragment().is_some() {
            return None;
        }
        let host = url.host_str()?;
        let is_secure = match url.scheme() {
            "https" => true,
            "http" => is_loopback(host),
            _ => false,
        };
        is_secure.then_some(Self(url))
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// Whether it is reached over TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Its scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secure_url_is_https_or_stays_on_this_machine() {
        for good in [
            "https://login.example.com/jwks",
            "https://login.example.com:8443/jwks?p=policy",
            "https://10.0.0.1/jwks",
            "http://127.0.0.1:8090/jwks",
            "http://[::1]:8090/jwks",
            "http://localhost/jwks",
            "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
            "https://login.example.com/jwks?for=a@b",
        ] {
            assert_eq!(
                SecureUrl::parse(good).map(|url| url.url().to_string()).as_deref(),
                Some(good)
            );
        }
        for bad in [
            "",
            "login.example.com/jwks",
            "http://login.example.com/jwks",
            "http://10.0.0.1/jwks",
            "http://localhost.evil.com/jwks",
            "http://127.0.0.1.evil.com/jwks",
            "http://0.0.0.0/jwks",
            "http://user@127.0.0.1/jwks",
            "https://user:word@login.example.com/jwks",
            "https://@login.example.com/jwks",
            "https://login.example.com@evil.example.com/jwks",
            "https://evil.example.com:443@login.example.com",
            "https://login.example.com/jwks#one",
            "https:\\\\login.example.com/jwks",
            "https:login.example.com@evil.example.com/jwks",
            "https://login.example.com/jw ks",
            " https://login.example.com/jwks",
            "file:///etc/passwd",
            "ftp://127.0.0.1/jwks",
            "data:application/json,{}",
        ] {
            assert_eq!(SecureUrl::parse(bad), None, "{bad}");
        }
    }
}
