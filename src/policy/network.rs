//! Ranges of addresses in `IpAddress` conditions.

use std::net::IpAddr;

/// An address, a range such as `10.0.0.0/8`, as the bits that all its addresses begin with, or `*`.
///
/// The two families are apart, so that `::/0` holds no IPv4 address; one that is written as IPv6
/// (`::ffff:10.0.0.1`) is IPv4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Network {
    Any,
    V4 { base: u32, mask: u32 },
    V6 { base: u128, mask: u128 },
}

impl Network {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, written)) => {
                let bits = written.parse::<u32>().ok()?;
                // `parse` takes `+8` and `08` as well.
                (address, (bits.to_string() == written).then_some(Some(bits))?)
            }
            None => (text, None),
        };
        match address.parse().ok()? {
            IpAddr::V4(address) => {
                let open = 32_u32.checked_sub(bits.unwrap_or(32))?;
                let mask = u32::MAX.checked_shl(open).unwrap_or(0);
                Some(Self::V4 { base: address.to_bits() & mask, mask })
            }
            IpAddr::V6(address) => {
                let open = 128_u32.checked_sub(bits.unwrap_or(128))?;
                let mask = u128::MAX.checked_shl(open).unwrap_or(0);
                Some(Self::V6 { base: address.to_bits() & mask, mask })
            }
        }
    }

    /// Whether the address is the first or the last of a range that has others between them.
    pub(super) fn has_border(self, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Self::V4 { base, mask }, IpAddr::V4(address)) => {
                !mask > 1 && [base, base | !mask].contains(&address.to_bits())
            }
            (Self::V6 { base, mask }, IpAddr::V6(address)) => {
                !mask > 1 && [base, base | !mask].contains(&address.to_bits())
            }
            (Self::Any | Self::V4 { .. } | Self::V6 { .. }, _) => false,
        }
    }

    pub(super) fn holds(self, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Self::Any, _) => true,
            (Self::V4 { base, mask }, IpAddr::V4(address)) => address.to_bits() & mask == base,
            (Self::V6 { base, mask }, IpAddr::V6(address)) => address.to_bits() & mask == base,
            (Self::V4 { .. }, IpAddr::V6(_)) | (Self::V6 { .. }, IpAddr::V4(_)) => false,
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
    fn what_is_no_range_is_none() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "**",
            "10.*",
            "::/129",
            "home",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
