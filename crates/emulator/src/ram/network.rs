//! Address ranges of `IpAddress` conditions.

use std::net::IpAddr;

/// An address, a range such as `10.0.0.0/8`, or all addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Network {
    Everywhere,
    Range { address: IpAddr, prefix: u8 },
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // OSS: "The asterisk (*) wildcard is supported." A wildcard inside an address is not documented.
        if text == "*" {
            return Some(Self::Everywhere);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((_, prefix)) if prefix.len() > 1 && prefix.starts_with(['0', '+']) => return None,
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        (prefix <= longest).then_some(Self::Range { address, prefix })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let Self::Range { address: base, prefix } = *self else { return true };
        match (base, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits())
                    .checked_shr(32 - u32::from(prefix))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits())
                    .checked_shr(128 - u32::from(prefix))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_contains_the_addresses_that_share_its_prefix() {
        let table = [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7", "203.0.113.8", false),
            ("203.0.113.7", "::ffff:203.0.113.7", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "203.0.113.7", false),
        ];
        for (network, address, holds) in table {
            let found = Network::parse(network).unwrap().contains(address.parse().unwrap());
            assert_eq!(found, holds, "{address} in {network}");
        }
    }

    #[test]
    fn an_invalid_range_is_refused() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.*",
            "::/129",
            "everywhere",
        ] {
            assert!(Network::parse(text).is_none(), "{text}");
        }
    }
}
