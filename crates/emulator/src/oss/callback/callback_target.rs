//! The URLs of a callback, and the addresses that they may have.

use std::net::Ipv4Addr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::callback_problem::{CallbackProblem, CallbackProblemKind};
use super::callback_settings::CallbackSettings;

const URL: &str = "callbackUrl";
const MOST_URLS: usize = 5;
/// As long as the callback itself may take.
const LONGEST_LOOKUP: Duration = Duration::from_secs(5);

/// One URL of a callback, with `http` or `https` and a host that is no IPv6 address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct CallbackTarget {
    pub(super) url: Url,
}

impl CallbackTarget {
    /// Up to five URLs, separated by `;`. The scheme may be absent.
    pub(super) fn list(text: &str) -> Result<Vec<Self>, CallbackProblem> {
        let urls: Vec<&str> =
            text.split(';').map(str::trim).filter(|url| !url.is_empty()).collect();
        if urls.is_empty() {
            return Err(CallbackProblemKind::NoUrl.of(URL, text));
        }
        if urls.len() > MOST_URLS {
            return Err(CallbackProblemKind::TooManyUrls.of(URL, text));
        }
        let targets: Option<Vec<Self>> = urls.into_iter().map(Self::parse).collect();
        targets.ok_or_else(|| CallbackProblemKind::InvalidUrl.of(URL, text))
    }

    fn parse(text: &str) -> Option<Self> {
        let has_scheme = text.contains("://");
        let url = if has_scheme { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&url).ok()?;
        let is_plain = ["http", "https"].contains(&url.scheme())
            && url.username().is_empty()
            && url.password().is_none()
            && url.port() != Some(0);
        let is_ipv6 = url.host_str()?.starts_with('[');
        let is_decodable = percent_decode_str(url.path()).decode_utf8().is_ok();
        (is_plain && !is_ipv6 && is_decodable).then_some(Self { url })
    }

    /// `127.0.0.1:9090`
    pub(super) fn server(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.url.host_str().unwrap_or_default())
    }
}

impl CallbackSettings {
    /// Refuses a URL whose host is or has a private address, and one whose host has none.
    pub(super) async fn check(self, target: &CallbackTarget) -> Result<(), CallbackProblem> {
        let of_url = |kind: CallbackProblemKind| Err(kind.of(URL, target.url.as_str()));
        let host = target.url.host_str().unwrap_or_default();
        let addresses = match host.parse::<Ipv4Addr>() {
            Ok(address) => vec![address],
            Err(_) => lookup(host).await,
        };
        if addresses.is_empty() {
            return of_url(CallbackProblemKind::HostUnknown);
        }
        if addresses.iter().any(|address| !self.admits(*address)) {
            return of_url(CallbackProblemKind::PrivateAddress);
        }
        Ok(())
    }

    fn admits(self, address: Ipv4Addr) -> bool {
        let [first, second, ..] = address.octets();
        let is_loopback = address.is_loopback();
        let is_private = is_loopback
            || address.is_private()
            || address.is_link_local()
            || address.is_unspecified()
            // 100.64.0.0/10, where the metadata of an ECS instance is.
            || (first == 100 && second & 0xc0 == 64);
        !is_private || (is_loopback && self.allow_loopback)
    }
}

/// Finds the host again when the callback is sent, so that a name cannot lead to a private address in between.
impl Resolve for CallbackSettings {
    fn resolve(&self, name: Name) -> Resolving {
        let settings = *self;
        Box::pin(async move {
            let found = lookup(name.as_str()).await.into_iter();
            let admitted: Vec<_> = found.filter(|address| settings.admits(*address)).collect();
            // The client sets the URL's port.
            let addresses: Addrs = Box::new(admitted.into_iter().map(|ip| (ip, 0).into()));
            Ok(addresses)
        })
    }
}

/// The IPv4 addresses of a host; none if it is unknown.
async fn lookup(host: &str) -> Vec<Ipv4Addr> {
    let found = tokio::time::timeout(LONGEST_LOOKUP, tokio::net::lookup_host((host, 0))).await;
    let Ok(Ok(found)) = found else { return Vec::new() };
    let ipv4 = found.filter_map(|address| match address.ip() {
        std::net::IpAddr::V4(address) => Some(address),
        std::net::IpAddr::V6(_) => None,
    });
    ipv4.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(text: &str) -> Option<CallbackProblemKind> {
        CallbackTarget::list(text).err().map(|problem| problem.kind)
    }

    #[test]
    fn up_to_five_urls_are_asked_in_order_and_a_scheme_may_be_absent() {
        let targets =
            CallbackTarget::list("121.43.113.8:23456/index.html;https://a.example/b?c=%20");
        let urls: Vec<String> =
            targets.unwrap().into_iter().map(|target| target.url.to_string()).collect();
        assert_eq!(urls, ["http://121.43.113.8:23456/index.html", "https://a.example/b?c=%20"]);
        assert_eq!(kind_of("a.example;;b.example;c.example;d.example;e.example"), None);
        for (text, kind) in [
            ("", CallbackProblemKind::NoUrl),
            (" ; ", CallbackProblemKind::NoUrl),
            ("a;b;c;d;e;f", CallbackProblemKind::TooManyUrls),
            ("ftp://a.example/", CallbackProblemKind::InvalidUrl),
            ("http://[::1]/", CallbackProblemKind::InvalidUrl),
            ("a.example:70000", CallbackProblemKind::InvalidUrl),
            ("a.example:0", CallbackProblemKind::InvalidUrl),
            ("http://user:password@a.example/", CallbackProblemKind::InvalidUrl),
            ("a.example;http://", CallbackProblemKind::InvalidUrl),
            ("a.example/%ff", CallbackProblemKind::InvalidUrl),
        ] {
            assert_eq!(kind_of(text), Some(kind), "{text}");
        }
    }

    #[tokio::test]
    async fn a_private_address_is_refused_and_loopback_unless_it_is_allowed() {
        let kind = async |url: &str, allow_loopback| {
            let target = CallbackTarget::parse(url).unwrap();
            let checked = CallbackSettings { allow_loopback, ..CallbackSettings::default() }
                .check(&target)
                .await;
            checked.err().map(|problem| problem.kind)
        };
        let private = Some(CallbackProblemKind::PrivateAddress);
        for url in ["127.0.0.1:8080/a", "localhost", "127.1", "http://0x7f000001/"] {
            assert_eq!((kind(url, false).await, kind(url, true).await), (private, None), "{url}");
        }
        for url in
            ["10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.1.1", "0.0.0.0", "100.100.100.200"]
        {
            assert_eq!(kind(url, true).await, private, "{url}");
        }
        assert_eq!(kind("203.0.113.7", false).await, None);
        let unknown = kind("nobody.invalid", true).await;
        assert_eq!(unknown, Some(CallbackProblemKind::HostUnknown));
    }
}
