//! The address of the collector that spans are exported to.

use reqwest::Url;

use appserver_domain::{Invalid, is_loopback};

/// The base address of an OTLP collector, as in OpenTelemetry's settings: `/v1/traces` is appended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Collector(Url);

impl Collector {
    /// The URL of the spans.
    pub(super) fn traces(&self) -> Url {
        self.0.clone()
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether spans leave this machine without TLS.
    pub(crate) fn sends_plaintext_over_network(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        !self.is_encrypted() && !is_loopback(host)
    }
}

impl TryFrom<String> for Collector {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a collector's address is `https://<host>:<port>` or `http://<host>:<port>`, with or without a path, without \
             user and query; `/v1/traces` is appended",
        );
        let mut url = Url::parse(&raw).map_err(|_| RULE)?;
        let spoken = ["http", "https"].contains(&url.scheme()) && url.host_str().is_some();
        // Looks for `@`, because the parser drops an empty user.
        let plain = !raw.contains(['@', '?', '#', '\\']) && !raw.contains(char::is_whitespace);
        if !spoken || !plain || !raw.contains("://") {
            return Err(RULE);
        }
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_specification_is_added() {
        for (base, traces) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://otlp.example.com/in/otlp/", "https://otlp.example.com/in/otlp/v1/traces"),
            ("http://collector.monitoring:4318", "http://collector.monitoring:4318/v1/traces"),
        ] {
            assert_eq!(Collector::try_from(base.to_owned()).unwrap().traces().as_str(), traces);
        }
    }

    #[test]
    fn an_invalid_base_address_is_refused() {
        for bad in [
            "127.0.0.1:4318",
            "grpc://127.0.0.1:4317",
            "http://",
            "http:127.0.0.1",
            "https://user:word@otlp.example.com",
            "https://@otlp.example.com",
            "https://otlp.example.com/?key=canary",
            "https://otlp.example.com/#x",
            " https://otlp.example.com",
        ] {
            assert!(Collector::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_remote_address_without_tls_sends_plaintext() {
        for (base, readable) in [
            ("http://127.0.0.1:4318", false),
            ("http://[::1]:4318", false),
            ("http://localhost:4318", false),
            ("https://otlp.example.com", false),
            ("http://collector.monitoring:4318", true),
            ("http://10.0.0.1:4318", true),
        ] {
            let collector = Collector::try_from(base.to_owned()).unwrap();
            assert_eq!(collector.sends_plaintext_over_network(), readable, "{base}");
        }
    }
}
