//! Ranges of addresses in `IpAddress` conditions.

use std::net::{IpAddr, Ipv6Addr};

/// An address, or a range such as `10.0.0.0/8`, as the bits that all its addresses begin with.
///
/// IPv4 is counted among IPv6 by its mapped form, so that one comparison serves both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Network {
    base: u128,
    mask: u128,
}

impl Network {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            // `parse` would take `+8` as well.
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse::<u32>().ok()?,
            Some(_) => return None,
            None => width,
        };
        let fixed = (bits <= width).then(|| 128 - width + bits)?;
        let mask = u128::MAX.checked_shl(128 - fixed).unwrap_or(0);
        Some(Self { base: mapped(address) & mask, mask })
    }

    pub(super) fn holds(self, address: IpAddr) -> bool {
        mapped(address) & self.mask == self.base
    }
}

fn mapped(address: IpAddr) -> u128 {
    let mapped: Ipv6Addr = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    mapped.to_bits()
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
            ("2001:db8::/32", "2001:db9::1"),
        ] {
            assert!(!holds(network, address), "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_range_is_none() {
        for text in ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "home"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
