//! Ranges of addresses in `IpAddress` conditions.

use std::net::IpAddr;

use ipnet::IpNet;

/// A range such as `10.0.0.0/8`, an address, which is a range of one, or `*`.
///
/// IPv4 and IPv6 are separate: `::/0` holds no IPv4 address. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is
/// IPv4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Network {
    Any,
    Range(IpNet),
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        // The standard library reads addresses, and `u8` the bits: `ipnet` itself takes `10.01.0.0/08`.
        let range = match text.split_once('/') {
            Some((address, written)) => {
                let bits = written.parse::<u8>().ok().filter(|bits| bits.to_string() == written)?;
                IpNet::new(address.parse().ok()?, bits).ok()?
            }
            None => IpNet::from(text.parse::<IpAddr>().ok()?),
        };
        // Ranges that hold the same addresses are equal.
        Some(Self::Range(range.trunc()))
    }

    /// Whether the address is the first or the last of a range with others in between.
    pub(crate) fn has_border(self, address: IpAddr) -> bool {
        match self {
            Self::Any => false,
            Self::Range(range) => {
                let between = range.max_prefix_len() - range.prefix_len() > 1;
                between && [range.network(), range.broadcast()].contains(&address.to_canonical())
            }
        }
    }

    /// Whether this range holds every address of the other one, whether or not a range holds its first and its last
    /// address, and whether or not IPv4 addresses written as IPv6 are IPv4.
    pub(crate) fn contains(self, narrower: Self) -> bool {
        let (wide, narrow) = match (self, narrower) {
            (Self::Any, _) => return true,
            (Self::Range(_), Self::Any) => return false,
            (Self::Range(wide), Self::Range(narrow)) => (wide, narrow),
        };
        let is_of_borders = narrow.max_prefix_len() - narrow.prefix_len() <= 1;
        let has_border =
            narrow.network() == wide.network() || narrow.broadcast() == wide.broadcast();
        let is_mapped = matches!(narrow.network(), IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        wide == narrow || (wide.contains(&narrow) && !(is_of_borders && has_border) && !is_mapped)
    }

    pub(crate) fn holds(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Range(range) => range.contains(&address.to_canonical()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_what_begins_with_its_bits() {
        let holds = |network: &str, address: &str| {
            Network::parse(network).unwrap().holds(address.parse().unwrap())
        };
        for (network, address) in [
            ("10.0.0.0/8", "10.255.0.1"),
            ("0.0.0.0/0", "203.0.113.7"),
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7", "::ffff:203.0.113.7"),
            ("2001:db8::/32", "2001:db8:1::1"),
        ] {
            assert!(holds(network, address), "{network} {address}");
        }
        for (network, address) in [
            ("10.0.0.0/8", "11.0.0.1"),
            ("203.0.113.7", "203.0.113.8"),
            ("0.0.0.0/0", "2001:db8::1"),
            ("::/0", "203.0.113.7"),
            ("2001:db8::/32", "2001:db9::1"),
        ] {
            assert!(!holds(network, address), "{network} {address}");
        }
    }

    #[test]
    fn the_borders_of_a_range_are_its_first_and_last_address() {
        let border = |network: &str, address: &str| {
            Network::parse(network).unwrap().has_border(address.parse().unwrap())
        };
        for address in ["10.0.0.0", "10.255.255.255", "::ffff:10.0.0.0"] {
            assert!(border("10.0.0.0/8", address), "{address}");
        }
        assert!(border("2001:db8::/32", "2001:db8::"));
        for (network, address) in [
            ("10.0.0.0/8", "10.0.0.1"),
            ("10.0.0.0/31", "10.0.0.0"),
            ("10.0.0.0", "10.0.0.0"),
            ("*", "10.0.0.0"),
            ("::/0", "10.0.0.0"),
        ] {
            assert!(!border(network, address), "{network} {address}");
        }
    }

    #[test]
    fn a_range_contains_ranges_whose_addresses_it_holds_in_each_reading() {
        let contains = |wide: &str, narrow: &str| {
            Network::parse(wide).unwrap().contains(Network::parse(narrow).unwrap())
        };
        for (wide, narrow) in [
            ("*", "*"),
            ("*", "::/0"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.0/8", "10.0.0.0/9"),
            ("10.0.0.0/8", "10.255.255.252/30"),
            ("10.0.0.0/8", "10.0.0.1"),
            ("10.0.0.0/8", "10.9.9.9/16"),
            ("10.0.0.1", "10.0.0.1/32"),
            ("2001:db8::/32", "2001:db8:1::/48"),
        ] {
            assert!(contains(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in [
            ("10.0.0.0/8", "*"),
            ("0.0.0.0/0", "*"),
            ("10.0.0.0/8", "10.0.0.0/7"),
            ("10.0.0.0/8", "11.0.0.0/16"),
            ("10.0.0.0/8", "10.0.0.0"),
            ("10.0.0.0/8", "10.255.255.254/31"),
            ("10.0.0.0/31", "10.0.0.0"),
            ("::/0", "10.0.0.0/8"),
            ("0.0.0.0/0", "::/0"),
            ("::/0", "::ffff:10.0.0.0/104"),
        ] {
            assert!(!contains(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn what_is_no_range_is_none() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.00.0.0/8",
            "10.0.0.0/256",
            "**",
            "10.*",
            "::/129",
            "home",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
