//! The client's address of a request, as trusted proxies report it.

mod forwarded;
pub(super) mod proxy_protocol;

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;

pub(crate) use forwarded::ForwardedHeader;

/// The proxies in front of the public listener. Only they may name a client's address.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies {
    networks: Vec<IpNet>,
    header: ForwardedHeader,
}

/// A network that cannot be trusted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidNetwork {
    #[error("a proxy is an address or a network such as `10.0.0.0/8` or `fd00::/8`")]
    Unreadable,
    #[error("{0} is an address within a network; the network is {1}")]
    HostBits(IpNet, IpNet),
    #[error("it would trust every address; list only the networks of your proxies")]
    EveryAddress,
}

impl TrustedProxies {
    pub(crate) fn new(
        networks: impl IntoIterator<Item = TrustedNetwork>,
        header: ForwardedHeader,
    ) -> Self {
        Self {
            networks: networks.into_iter().map(|TrustedNetwork(network)| network).collect(),
            header,
        }
    }

    /// Whether this is a proxy's address.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The client's address of a request that `peer` sent: the peer's own, unless it is a trusted proxy that names another.
    pub(crate) fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.header == ForwardedHeader::None || !self.trusts(peer) {
            return peer;
        }
        // From the right: each proxy appends the address it sees, after entries that a client may have invented.
        let mut nearest = peer;
        for address in forwarded::from_the_right(self.header, headers) {
            // An unknown, hidden or invalid address ends the chain: a client may have written the entries before it.
            let Some(address) = address else { break };
            nearest = address;
            if !self.trusts(nearest) {
                break;
            }
        }
        nearest
    }
}

/// A network of trusted proxies.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct TrustedNetwork(IpNet);

impl TryFrom<String> for TrustedNetwork {
    type Error = InvalidNetwork;

    fn try_from(text: String) -> Result<Self, InvalidNetwork> {
        let host = || text.parse::<IpAddr>().map(IpNet::from).ok();
        let network = text.parse().ok().or_else(host).ok_or(InvalidNetwork::Unreadable)?;
        let network = canonical(network);
        match network.prefix_len() {
            0 => Err(InvalidNetwork::EveryAddress),
            _ if network.trunc() != network => {
                Err(InvalidNetwork::HostBits(network, network.trunc()))
            }
            _ => Ok(Self(network)),
        }
    }
}

/// Turns an IPv4-mapped IPv6 network into the IPv4 network: addresses are compared in canonical form.
fn canonical(network: IpNet) -> IpNet {
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(96)) {
        (IpAddr::V4(address), Some(bits)) if matches!(network, IpNet::V6(_)) => {
            Ipv4Net::new(address, bits).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Result<TrustedNetwork, InvalidNetwork> {
        text.to_owned().try_into()
    }

    fn proxies(header: ForwardedHeader) -> TrustedProxies {
        let trusted = ["10.0.0.0/8", "2001:db8:ff::/48", "::ffff:192.0.2.0/120", "198.51.100.7"];
        TrustedProxies::new(trusted.map(|text| network(text).unwrap()), header)
    }

    fn client_address(
        header: ForwardedHeader,
        peer: &str,
        lines: &[(&'static str, &str)],
    ) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        proxies(header).client_address(peer.parse().unwrap(), &headers).to_string()
    }

    /// Any client can send this header; only entries of trusted proxies count, and of those the last one.
    #[test]
    fn x_forwarded_for_counts_from_trusted_proxies_only() {
        let of = |peer: &str, lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            client_address(ForwardedHeader::XForwardedFor, peer, &lines)
        };
        for (peer, lines, expected) in [
            // Only from a trusted proxy.
            ("203.0.113.9", &["1.1.1.1"][..], "203.0.113.9"),
            ("198.51.100.8", &["1.1.1.1"], "198.51.100.8"),
            ("198.51.100.7", &["1.1.1.1"], "1.1.1.1"),
            ("192.0.2.200", &["1.1.1.1"], "1.1.1.1"),
            ("2001:db8:ff::1", &["2001:db8::9"], "2001:db8::9"),
            // The client's own entries are on the left.
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.2.2.2 ,10.3.3.3"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9", "10.2.2.2", "10.3.3.3"], "203.0.113.9"),
            // A proxy's own probes, and a header that is not there.
            ("10.0.0.1", &["10.2.2.2, 10.3.3.3"], "10.2.2.2"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            // With ports and brackets, as some balancers write them.
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::9]:4711"], "2001:db8::9"),
            ("10.0.0.1", &["[2001:db8::9]"], "2001:db8::9"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            // An unreadable entry: the nearest known address.
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, unknown, 10.2.2.2"], "10.2.2.2"),
            ("10.0.0.1", &["203.0.113.9, , 10.2.2.2"], "10.2.2.2"),
            ("10.0.0.1", &["203.0.113.9, 999.1.1.1"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, fe80::1%eth0"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, [2001:db8::9]x"], "10.0.0.1"),
        ] {
            assert_eq!(of(peer, lines), expected, "{lines:?} by {peer}");
        }
        let other = [("forwarded", "for=1.1.1.1")];
        assert_eq!(client_address(ForwardedHeader::XForwardedFor, "10.0.0.1", &other), "10.0.0.1");
        let set = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=1.1.1.1")];
        assert_eq!(client_address(ForwardedHeader::None, "10.0.0.1", &set), "10.0.0.1");
    }

    /// RFC 7239, whose values may be quoted and whose parts have names.
    #[test]
    fn forwarded_is_read_from_the_right() {
        let of = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
            client_address(ForwardedHeader::Forwarded, "10.0.0.1", &lines)
        };
        for (lines, expected) in [
            (&["for=192.168.7.60;proto=http;by=203.0.113.43"][..], "192.168.7.60"),
            (&["for=1.1.1.1, for=203.0.113.9"], "203.0.113.9"),
            (&["for=1.1.1.1", "by=10.0.0.9 ; FOR = \"203.0.113.9:80\""], "203.0.113.9"),
            (&[r#"For="[2001:db8:cafe::17]:4711""#], "2001:db8:cafe::17"),
            (&[r#"for="[2001:db8:cafe::17]", for=10.2.2.2"#], "2001:db8:cafe::17"),
            (&[r#"for="192.168.7.60:_port""#], "192.168.7.60"),
            // Commas and semicolons within quotes separate nothing.
            (&[r#"for=203.0.113.9;host="a,for=1.1.1.1;b""#], "203.0.113.9"),
            (&[r#"for=203.0.113.9;host="a\",for=1.1.1.1""#], "203.0.113.9"),
            // Obfuscated or unknown.
            (&["for=203.0.113.9, for=_hidden"], "10.0.0.1"),
            (&["for=203.0.113.9, for=unknown, for=10.2.2.2"], "10.2.2.2"),
            (&["for=203.0.113.9, proto=https"], "10.0.0.1"),
            (&["for=203.0.113.9;for=1.1.1.1"], "10.0.0.1"),
            // A quote that a client opens does not hide what a proxy adds.
            (&[r#"for="1.1.1.1, for=203.0.113.9"#], "203.0.113.9"),
            (&[r#"for="1.1.1.1, for="203.0.113.9""#], "203.0.113.9"),
            (&["for=\"1.1.1.1", "for=203.0.113.9"], "203.0.113.9"),
            (&["x", ""], "10.0.0.1"),
        ] {
            assert_eq!(of(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_network_has_no_host_bits_and_is_not_every_address() {
        let networks =
            ["10.0.0.5/8", "0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "proxy.local", "10.0.0.0/33"];
        let messages = networks.map(|text| network(text).unwrap_err().to_string());
        insta::assert_snapshot!(messages.join("\n"), @r"
10.0.0.5/8 is an address within a network; the network is 10.0.0.0/8
it would trust every address; list only the networks of your proxies
it would trust every address; list only the networks of your proxies
it would trust every address; list only the networks of your proxies
a proxy is an address or a network such as `10.0.0.0/8` or `fd00::/8`
a proxy is an address or a network such as `10.0.0.0/8` or `fd00::/8`
");
    }
}
