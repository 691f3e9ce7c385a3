//! The name of the key that signed a callback, read from the URL in its `x-oss-pub-key-url`.
//!
//! A sender that chose the host would choose the key, so the URL is compared as text with the ones that OSS publishes:
//! no parser of URLs, whose view of users, ports or escapes could differ from that of the client that fetches.

use std::num::NonZeroU8;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::Deserialize;

use appserver_domain::{Invalid, is_loopback};

/// The only host that publishes OSS's keys.
const HOST: &str = "gosspublic.alicdn.com";
/// The path of a key, before and after its version.
const PATH: (&str, &str) = ("/callback_pub_key_v", ".pem");

/// Which keys are trusted.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) enum KeySource {
    /// Those that OSS publishes.
    #[default]
    Oss,
    /// The key at this loopback URL alone: that of an emulated OSS.
    Emulated(Url),
}

/// A key of the key source. Few different ones exist, so a table of them is bounded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum KeyName {
    /// The version in its file's name.
    Oss(NonZeroU8),
    Emulated,
}

/// Why the URL of a key is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum KeyUrlProblem {
    #[error("it is not base64")]
    NotBase64,
    #[error("it is not the URL of a key of OSS")]
    Untrusted,
}

impl KeySource {
    /// The key that this header names.
    pub(crate) fn parse(&self, header: &[u8]) -> Result<KeyName, KeyUrlProblem> {
        let url = STANDARD.decode(header).map_err(|_| KeyUrlProblem::NotBase64)?;
        match self {
            Self::Oss => oss_version(&url).map(KeyName::Oss),
            Self::Emulated(own) => (own.as_str().as_bytes() == url).then_some(KeyName::Emulated),
        }
        .ok_or(KeyUrlProblem::Untrusted)
    }

    /// Where the key is fetched. OSS's is fetched by HTTPS although OSS may name it with `http`: otherwise a network in
    /// between could replace it.
    pub(super) fn url(&self, key: KeyName) -> Option<Url> {
        match (self, key) {
            (Self::Oss, KeyName::Oss(version)) => {
                Url::parse(&format!("https://{HOST}{}{version}{}", PATH.0, PATH.1)).ok()
            }
            (Self::Emulated(url), KeyName::Emulated) => Some(url.clone()),
            (Self::Oss, KeyName::Emulated) | (Self::Emulated(_), KeyName::Oss(_)) => None,
        }
    }
}

/// The version, from 1 to 99, if the text is the URL of a key that OSS publishes.
fn oss_version(url: &[u8]) -> Option<NonZeroU8> {
    let url = std::str::from_utf8(url).ok()?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let digits = rest.strip_prefix(HOST)?.strip_prefix(PATH.0)?.strip_suffix(PATH.1)?;
    let plain = (1..=2).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

impl TryFrom<String> for KeySource {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "the key of an emulated OSS is `http://` on `localhost` or a loopback address, with a path; \
             leave it empty for the keys of OSS itself",
        );
        let url = Url::parse(&raw).map_err(|_| RULE)?;
        let is_plain = url.as_str() == raw
            && url.scheme() == "http"
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && url.host_str().is_some_and(is_loopback);
        if is_plain { Ok(Self::Emulated(url)) } else { Err(RULE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &KeySource, url: &str) -> Result<KeyName, KeyUrlProblem> {
        source.parse(STANDARD.encode(url).as_bytes())
    }

    #[test]
    fn only_the_published_urls_of_keys_are_accepted_and_they_are_fetched_by_https() {
        let source = KeySource::Oss;
        for scheme in ["http", "https"] {
            for version in [1, 9, 10, 99] {
                let url =
                    format!("{scheme}://gosspublic.alicdn.com/callback_pub_key_v{version}.pem");
                let key = parse(&source, &url).unwrap();
                assert_eq!(key, KeyName::Oss(NonZeroU8::new(version).unwrap()));
                let fetched = source.url(key).unwrap().to_string();
                assert_eq!(
                    fetched,
                    format!("https://gosspublic.alicdn.com/callback_pub_key_v{version}.pem")
                );
            }
        }
    }

    #[test]
    fn lookalike_urls_of_keys_are_refused() {
        for lookalike in [
            "",
            "http://",
            "gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "//gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "ftp://gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "file:///callback_pub_key_v1.pem",
            "HTTP://gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com.evil.example/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com./callback_pub_key_v1.pem",
            "http://evil-gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://evil.gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.comevil/callback_pub_key_v1.pem",
            "http://gosspublic-alicdn.com/callback_pub_key_v1.pem",
            "http://g\u{43e}sspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://GOSSPUBLIC.alicdn.com/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com@evil.example/callback_pub_key_v1.pem",
            "http://user@gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://user:word@gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com:80/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com:8080/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com:@evil.example/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com\\@evil.example/callback_pub_key_v1.pem",
            "http://evil.example#gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://evil.example?gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://evil.example/gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com%2eevil.example/callback_pub_key_v1.pem",
            "http://gosspublic%2ealicdn.com/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com",
            "http://gosspublic.alicdn.com/",
            "http://gosspublic.alicdn.com/other.pem",
            "http://gosspublic.alicdn.com//callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com/a/../callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com/callback_pub_key_v1.pem?",
            "http://gosspublic.alicdn.com/callback_pub_key_v1.pem?a=.pem",
            "http://gosspublic.alicdn.com/callback_pub_key_v1.pem#",
            "http://gosspublic.alicdn.com/callback_pub_key_v.pem",
            "http://gosspublic.alicdn.com/callback_pub_key_v0.pem",
            "http://gosspublic.alicdn.com/callback_pub_key_v01.pem",
            "http://gosspublic.alicdn.com/callback_pub_key_v100.pem",
            "http://gosspublic.alicdn.com/callback_pub_key_v+1.pem",
            "http://gosspublic.alicdn.com/callback_pub_key_v%31.pem",
            "http://gosspublic.alicdn.com/callback_pub_key_v1.pem\n",
            " http://gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com/callback_pub_key_v1.pem http://evil.example",
            "http://127.0.0.1/callback_pub_key_v1.pem",
            "http://[::1]/callback_pub_key_v1.pem",
        ] {
            let refused = parse(&KeySource::Oss, lookalike);
            assert_eq!(refused, Err(KeyUrlProblem::Untrusted), "{lookalike}");
        }
        for text in ["http://gosspublic.alicdn.com/callback_pub_key_v1.pem", "a===", "\u{fc}"] {
            let refused = KeySource::Oss.parse(text.as_bytes());
            assert_eq!(refused, Err(KeyUrlProblem::NotBase64), "{text}");
        }
        let twice = STANDARD.encode(STANDARD.encode("http://gosspublic.alicdn.com/"));
        assert_eq!(KeySource::Oss.parse(twice.as_bytes()), Err(KeyUrlProblem::Untrusted));
    }

    #[test]
    fn an_emulated_oss_is_on_loopback_and_its_key_has_one_url() {
        let own = "http://127.0.0.1:8091/callback_pub_key_v1.pem";
        let source = KeySource::try_from(own.to_owned()).unwrap();
        let key = parse(&source, own).unwrap();
        assert_eq!(source.url(key).unwrap().as_str(), own);
        for other in [
            "http://gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://127.0.0.1:8091/callback_pub_key_v2.pem",
            "http://localhost:8091/callback_pub_key_v1.pem",
        ] {
            assert_eq!(parse(&source, other), Err(KeyUrlProblem::Untrusted), "{other}");
        }
        for bad in [
            "",
            "http://keys.example/v1.pem",
            "https://gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://gosspublic.alicdn.com/callback_pub_key_v1.pem",
            "http://10.0.0.1/v1.pem",
            "http://user@127.0.0.1/v1.pem",
            "http://127.0.0.1.example/v1.pem",
            "127.0.0.1:8091/v1.pem",
            "http://:word@127.0.0.1/v1.pem",
            "http://127.0.0.1/v1.pem#v1",
            "https://127.0.0.1/v1.pem",
            "HTTP://127.0.0.1/v1.pem",
        ] {
            assert!(KeySource::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
