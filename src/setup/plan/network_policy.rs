//! The network policy of an AccessKey.

use ipnet::{IpNet, Ipv4Net};
use serde_json::json;

use super::plan_error::PlanError;

/// The IPv4 range that is written as IPv6, such as `::ffff:192.0.2.0/120`.
fn mapped(range: &IpNet) -> Option<IpNet> {
    let IpNet::V6(range) = range else { return None };
    let bits = range.prefix_len().checked_sub(MAPPED_BITS)?;
    Ipv4Net::new(range.network().to_ipv4_mapped()?, bits).ok().map(IpNet::V4)
}

/// The length of `::ffff:0:0`, behind which IPv6 writes IPv4.
const MAPPED_BITS: u8 = 96;

/// The addresses from which an AccessKey may be used. It binds the AccessKey alone, and no token of STS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NetworkPolicy {
    /// Sorted, each once; at least one.
    addresses: Vec<IpNet>,
}

impl NetworkPolicy {
    /// `None` for no addresses.
    pub(super) fn of(addresses: &[IpNet]) -> Result<Option<Self>, PlanError> {
        for given in addresses {
            if let Some(as_ipv4) = mapped(given) {
                return Err(PlanError::MappedAddress { given: *given, as_ipv4 });
            }
        }
        let mut addresses: Vec<_> = addresses.iter().map(IpNet::trunc).collect();
        // Halves of all addresses are all addresses.
        let joined = IpNet::aggregate(&addresses);
        if let Some(every) = joined.iter().find(|range| range.prefix_len() == 0) {
            return Err(PlanError::EveryAddress(*every));
        }
        addresses.sort();
        addresses.dedup();
        Ok((!addresses.is_empty()).then_some(Self { addresses }))
    }

    /// The addresses as the policy writes them: a range of one address without its length.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|range| {
            let is_one = range.prefix_len() == range.max_prefix_len();
            if is_one { range.addr().to_string() } else { range.to_string() }
        })
    }

    /// Minified JSON, as `SetAccessKeyPolicy` of IMS takes it.
    pub(crate) fn document(&self) -> String {
        let addresses: Vec<_> = self.addresses().collect();
        let addresses = json!(addresses);
        // The order of the members does not depend on the features of `serde_json`.
        format!(
            r#"{{"Version":1,"Status":"Active","Statements":[{{"Type":"ClassicWhiteList","IPList":{addresses}}}]}}"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(ranges: &[&str]) -> Option<String> {
        let ranges: Vec<_> = ranges.iter().map(|range| range.parse().unwrap()).collect();
        NetworkPolicy::of(&ranges).err().map(|error| error.to_string())
    }

    #[test]
    fn parts_that_are_every_address_together_are_refused() {
        for all in [
            &["0.0.0.0/0"][..],
            &["0.0.0.0/1", "128.0.0.0/1"],
            &["0.0.0.0/2", "64.0.0.0/2", "10.0.0.0/8", "128.0.0.0/1"],
            &["8000::/1", "::/1"],
        ] {
            let refusal = refusal(all).unwrap();
            assert!(refusal.contains("restricts nothing"), "{refusal}");
        }
        assert_eq!(refusal(&["0.0.0.0/1", "192.0.2.1/32", "2001:db8::/32"]), None);
    }

    #[test]
    fn ipv4_written_as_ipv6_is_refused_with_the_range_to_write() {
        for (given, meant) in
            [("::ffff:192.0.2.1/128", "192.0.2.1/32"), ("::ffff:192.0.2.0/120", "192.0.2.0/24")]
        {
            let refusal = refusal(&[given]).unwrap();
            assert!(refusal.ends_with(&format!("write {meant}")), "{refusal}");
        }
    }
}
