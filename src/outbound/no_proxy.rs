//! An entry of `no_proxy`: a target that is reached directly.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;

/// A host that is reached without the proxy. Names are compared as they are written in a URL and never resolved.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) enum NoProxyEntry {
    /// `example.com`: this host and the hosts below it.
    Domain(String),
    /// `.example.com`: only the hosts below it.
    Below(String),
    /// `10.0.0.0/8` or `10.1.2.3`: hosts that are written as an address.
    Network(IpNet),
}

/// Why a text is no entry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidNoProxy {
    #[error(
        "it is a list of hosts: `example.com` (with all names below it), `.example.com` (only the names below it), an \
         address such as `10.1.2.3` or a network such as `10.0.0.0/8`; without scheme, port and `*`"
    )]
    Unreadable,
    #[error("{0} is an address within a network; the network is {1}")]
    HostBits(IpNet, IpNet),
}

impl NoProxyEntry {
    /// Whether the host of a URL is among those of the entry.
    pub(super) fn contains(&self, host: &str) -> bool {
        let below = |name: &str| {
            let rest = host.strip_suffix(name);
            rest.is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        };
        match self {
            Self::Domain(name) => host == name || below(name),
            Self::Below(name) => below(name),
            Self::Network(network) => {
                let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
                address.is_ok_and(|address| {
                    network.contains(&address) || network.contains(&address.to_canonical())
                })
            }
        }
    }
}

impl TryFrom<String> for NoProxyEntry {
    type Error = InvalidNoProxy;

    fn try_from(raw: String) -> Result<Self, InvalidNoProxy> {
        let address = || raw.parse::<IpAddr>().map(IpNet::from).ok();
        if let Some(network) = raw.parse::<IpNet>().ok().or_else(address) {
            return if network.trunc() == network {
                Ok(Self::Network(canonical(network)))
            } else {
                Err(InvalidNoProxy::HostBits(network, network.trunc()))
            };
        }
        let (name, is_below) = match raw.strip_prefix('.') {
            Some(name) => (name, true),
            None => (raw.as_str(), false),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(plain);
        // Digits and dots that are no address, such as `10.0.0`, are a mistake and not a name.
        let is_name =
            name.split('.').all(is_label) && name.bytes().any(|b| b.is_ascii_alphabetic());
        if !is_name {
            return Err(InvalidNoProxy::Unreadable);
        }
        // `Url` writes hosts in lower case.
        let name = name.to_ascii_lowercase();
        Ok(if is_below { Self::Below(name) } else { Self::Domain(name) })
    }
}

/// An IPv4-mapped network as the IPv4 network that it is.
fn canonical(network: IpNet) -> IpNet {
    let mapped = || {
        let (IpNet::V6(_), IpAddr::V4(address)) = (network, network.addr().to_canonical()) else {
            return None;
        };
        Ipv4Net::new(address, network.prefix_len().checked_sub(96)?).ok().map(IpNet::V4)
    };
    mapped().unwrap_or(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(raw: &str) -> Result<NoProxyEntry, InvalidNoProxy> {
        NoProxyEntry::try_from(raw.to_owned())
    }

    #[test]
    fn an_entry_contains_a_host_its_subdomains_or_a_network() {
        for (raw, hosts, others) in [
            (
                "Example.com",
                &["example.com", "login.example.com"][..],
                &["notexample.com", "example.com.evil.net", "com"][..],
            ),
            (
                ".example.com",
                &["login.example.com", "a.b.example.com"],
                &["example.com", ".example.com"],
            ),
            (
                "10.0.0.0/8",
                &["10.1.2.3", "[::ffff:10.1.2.3]", "[::ffff:a01:203]"],
                &["11.0.0.1", "ten.example.com", "10.example.com"],
            ),
            ("10.1.2.3", &["10.1.2.3"], &["10.1.2.4"]),
            ("::ffff:10.1.2.3", &["10.1.2.3", "[::ffff:10.1.2.3]"], &["10.1.2.4"]),
            ("::ffff:10.1.2.0/120", &["10.1.2.3"], &["10.1.3.3"]),
            ("::/0", &["[fd00::1]", "[::ffff:10.1.2.3]"], &["10.1.2.3"]),
            ("fd00::/8", &["[fd00::1]"], &["[fe80::1]", "fd00.example.com"]),
            ("collector", &["collector"], &["collector.monitoring"]),
        ] {
            let entry = entry(raw).unwrap();
            for host in hosts {
                assert!(entry.contains(host), "{raw} {host}");
            }
            for host in others {
                assert!(!entry.contains(host), "{raw} {host}");
            }
        }
    }

    #[test]
    fn a_network_with_host_bits_is_refused_with_the_network_that_is_meant() {
        for (bad, network) in [
            ("10.255.255.1/24", "10.255.255.0/24"),
            ("fd00::1/8", "fd00::/8"),
            ("::ffff:10.1.2.3/120", "::ffff:10.1.2.0/120"),
        ] {
            let message = entry(bad).unwrap_err().to_string();
            assert!(message.ends_with(&format!("; the network is {network}")), "{message}");
        }
    }

    #[test]
    fn an_entry_with_a_scheme_a_port_or_a_wildcard_is_refused() {
        for bad in [
            "",
            ".",
            "*",
            "*.example.com",
            "example.com:443",
            "https://example.com",
            "example..com",
            "example.com.",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/8/8",
            "exa mple.com",
            "user@example.com",
        ] {
            assert!(entry(bad).is_err(), "{bad}");
        }
    }
}
