//! The network policy of an AccessKey.

use ipnet::IpNet;
use serde_json::json;

use super::plan_error::PlanError;

/// The addresses from which an AccessKey may be used. It binds the AccessKey alone, and no token of STS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NetworkPolicy {
    /// Sorted, each once; at least one.
    addresses: Vec<IpNet>,
}

impl NetworkPolicy {
    /// `None` for no addresses.
    pub(super) fn of(addresses: &[IpNet]) -> Result<Option<Self>, PlanError> {
        if let Some(every) = addresses.iter().find(|range| range.prefix_len() == 0) {
            return Err(PlanError::EveryAddress(*every));
        }
        let mut addresses: Vec<_> = addresses.iter().map(IpNet::trunc).collect();
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
