//! Whose word for a caller's address is taken.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;

use super::forwarded;

/// The header in which trusted proxies say for whom they call.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) enum ForwardedHeader {
    #[default]
    None,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl TryFrom<String> for ForwardedHeader {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "none" => Ok(Self::None),
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err("it must be `none`, `x-forwarded-for` or `forwarded`"),
        }
    }
}

/// The proxies in front of the public listener. Nobody else is believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
    header: ForwardedHeader,
}

/// A network that cannot be trusted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidNetwork {
    #[error("a proxy is an address or a network such as `10.0.0.0/8` or `fd00::/8`")]
    Unreadable,
    #[error("{0} is an address within a network; the network is {1}")]
    HostBits(IpNet, IpNet),
    #[error("everybody would be believed; name the networks that proxies call from")]
    Everybody,
}

impl Proxies {
    pub(crate) fn new(
        trusted: impl IntoIterator<Item = TrustedNetwork>,
        header: ForwardedHeader,
    ) -> Self {
        Self {
            trusted: trusted.into_iter().map(|TrustedNetwork(network)| network).collect(),
            header,
        }
    }

    /// Whether this is a proxy's address.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// For whom a request comes that `peer` has sent: the peer itself, unless it is a proxy that names another.
    pub(crate) fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.header == ForwardedHeader::None || !self.trusts(peer) {
            return peer;
        }
        // From the right: each proxy adds whom it sees to what it was told, and a caller may have told it anything.
        let mut nearest = peer;
        for address in forwarded::from_the_right(self.header, headers) {
            // What is unknown, hidden or no address ends the chain: who comes before it is anybody's claim.
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
        let alone = || text.parse::<IpAddr>().map(IpNet::from).ok();
        let network = text.parse().ok().or_else(alone).ok_or(InvalidNetwork::Unreadable)?;
        let network = canonical(network);
        match network.prefix_len() {
            0 => Err(InvalidNetwork::Everybody),
            _ if network.trunc() != network => {
                Err(InvalidNetwork::HostBits(network, network.trunc()))
            }
            _ => Ok(Self(network)),
        }
    }
}

/// An IPv4 network in the form of an IPv6 one is the IPv4 network: addresses are compared in that form.
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

    fn proxies(header: ForwardedHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "2001:db8:ff::/48", "::ffff:192.0.2.0/120", "198.51.100.7"];
        Proxies::new(trusted.map(|text| network(text).unwrap()), header)
    }

    fn caller(header: ForwardedHeader, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        proxies(header).caller(peer.parse().unwrap(), &headers).to_string()
    }

    /// T26: anybody can send this header; only proxies are believed, and only what the last of them has seen.
    #[test]
    fn x_forwarded_for_is_believed_from_trusted_proxies_only() {
        let of = |peer: &str, lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            caller(ForwardedHeader::XForwardedFor, peer, &lines)
        };
        for (peer, lines, expected) in [
            // Nobody's word but a proxy's.
            ("203.0.113.9", &["1.1.1.1"][..], "203.0.113.9"),
            ("198.51.100.8", &["1.1.1.1"], "198.51.100.8"),
            ("198.51.100.7", &["1.1.1.1"], "1.1.1.1"),
            ("192.0.2.200", &["1.1.1.1"], "1.1.1.1"),
            ("2001:db8:ff::1", &["2001:db8::9"], "2001:db8::9"),
            // What the caller wrote itself stands on the left.
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
            // The nearest known address, where a link of the chain cannot be read.
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
        assert_eq!(caller(ForwardedHeader::XForwardedFor, "10.0.0.1", &other), "10.0.0.1");
        let set = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=1.1.1.1")];
        assert_eq!(caller(ForwardedHeader::None, "10.0.0.1", &set), "10.0.0.1");
    }

    /// RFC 7239, whose values may be quoted and whose parts have names.
    #[test]
    fn forwarded_is_read_from_the_right() {
        let of = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
            caller(ForwardedHeader::Forwarded, "10.0.0.1", &lines)
        };
        for (lines, expected) in [
            (&["for=192.168.7.60;proto=http;by=203.0.113.43"][..], "192.168.7.60"),
            (&["for=1.1.1.1, for=203.0.113.9"], "203.0.113.9"),
            (&["for=1.1.1.1", "by=10.0.0.9 ; FOR = \"203.0.113.9:80\""], "203.0.113.9"),
            (&[r#"For="[2001:db8:cafe::17]:4711""#], "2001:db8:cafe::17"),
            (&[r#"for="[2001:db8:cafe::17]", for=10.2.2.2"#], "2001:db8:cafe::17"),
            (&[r#"for="192.168.7.60:_port""#], "192.168.7.60"),
            // Commas and semicolons within quotes part nothing.
            (&[r#"for=203.0.113.9;host="a,for=1.1.1.1;b""#], "203.0.113.9"),
            (&[r#"for=203.0.113.9;host="a\",for=1.1.1.1""#], "203.0.113.9"),
            // Hidden on purpose, or not known.
            (&["for=203.0.113.9, for=_hidden"], "10.0.0.1"),
            (&["for=203.0.113.9, for=unknown, for=10.2.2.2"], "10.2.2.2"),
            (&["for=203.0.113.9, proto=https"], "10.0.0.1"),
            (&["for=203.0.113.9;for=1.1.1.1"], "10.0.0.1"),
            // A quote that a caller opens does not swallow what a proxy adds.
            (&[r#"for="1.1.1.1, for=203.0.113.9"#], "203.0.113.9"),
            (&[r#"for="1.1.1.1, for="203.0.113.9""#], "203.0.113.9"),
            (&["for=\"1.1.1.1", "for=203.0.113.9"], "203.0.113.9"),
            (&["x", ""], "10.0.0.1"),
        ] {
            assert_eq!(of(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_network_is_what_it_says_and_not_everybody() {
        let shown =
            ["10.0.0.5/8", "0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "proxy.local", "10.0.0.0/33"];
        let told = shown.map(|text| network(text).unwrap_err().to_string());
        insta::assert_snapshot!(told.join("\n"), @r"
10.0.0.5/8 is an address within a network; the network is 10.0.0.0/8
everybody would be believed; name the networks that proxies call from
everybody would be believed; name the networks that proxies call from
everybody would be believed; name the networks that proxies call from
a proxy is an address or a network such as `10.0.0.0/8` or `fd00::/8`
a proxy is an address or a network such as `10.0.0.0/8` or `fd00::/8`
");
    }
}
