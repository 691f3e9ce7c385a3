//! The network policy of an AccessKey: from where it may be used.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::network::Network;
use crate::strict_json::{from_object, objects, word};

/// The limit of RAM.
const MOST_STATEMENTS: usize = 8;

/// An `AccessKeyPolicy`. It binds the long-lived key only, never the sessions that it obtains.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct NetworkPolicy {
    /// May be absent in a request, and is always in an answer.
    #[serde(default = "the_only_version")]
    version: u32,
    #[serde(deserialize_with = "word")]
    status: NetworkPolicyStatus,
    #[serde(deserialize_with = "objects")]
    statements: Vec<NetworkStatement>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum NetworkPolicyStatus {
    Active,
    Inactive,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct NetworkStatement {
    #[serde(rename = "Type", deserialize_with = "word")]
    source: NetworkSource,
    /// The id of a VPC, or `AllowAllVPC`.
    #[serde(rename = "Value", default, skip_serializing_if = "Option::is_none")]
    vpc: Option<String>,
    #[serde(rename = "IPList")]
    addresses: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum NetworkSource {
    /// The internet.
    ClassicWhiteList,
    VPCWhiteList,
}

/// Why a network policy is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkPolicyProblem {
    #[error("not the JSON of an AccessKey policy")]
    Json(#[source] serde_json::Error),
    #[error("`Version` is 1")]
    Version,
    #[error("at most {MOST_STATEMENTS} statements are possible")]
    TooMany,
    #[error("`Value` belongs to each VPCWhiteList and to nothing else")]
    Vpc,
    #[error("`IPList` names addresses such as 203.0.113.1 and ranges such as 198.51.100.0/24")]
    Address,
}

impl NetworkPolicy {
    pub(crate) fn parse(json: &str) -> Result<Self, NetworkPolicyProblem> {
        let policy: Self = from_object(json.as_bytes()).map_err(NetworkPolicyProblem::Json)?;
        if policy.version != the_only_version() {
            return Err(NetworkPolicyProblem::Version);
        }
        if policy.statements.len() > MOST_STATEMENTS {
            return Err(NetworkPolicyProblem::TooMany);
        }
        for NetworkStatement { source, vpc, addresses } in &policy.statements {
            if vpc.is_some() != (*source == NetworkSource::VPCWhiteList) {
                return Err(NetworkPolicyProblem::Vpc);
            }
            let is_range = |text: &String| text != "*" && Network::parse(text).is_some();
            if addresses.is_empty() || !addresses.iter().all(is_range) {
                return Err(NetworkPolicyProblem::Address);
            }
        }
        Ok(policy)
    }

    /// As it is answered.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and a number are always JSON")
    }

    /// Whether a caller on the internet may use the key. (The emulator has no VPC. That an active policy without statements admits no
    /// one is inferred.)
    pub(crate) fn admits(&self, source_ip: IpAddr) -> bool {
        self.status == NetworkPolicyStatus::Inactive
            || self
                .statements
                .iter()
                .filter(|statement| statement.source == NetworkSource::ClassicWhiteList)
                .flat_map(|statement| &statement.addresses)
                .filter_map(|text| Network::parse(text))
                .any(|network| network.contains(source_ip))
    }
}

fn the_only_version() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_classic_list_are_admitted_while_the_policy_is_active() {
        let policy = |status: &str| {
            NetworkPolicy::parse(&format!(
                r#"{{"Status":"{status}","Statements":[
                    {{"Type":"ClassicWhiteList","IPList":["203.0.113.1","198.51.100.0/24"]}},
                    {{"Type":"VPCWhiteList","Value":"vpc-bp1","IPList":["172.16.0.0/16"]}}]}}"#
            ))
            .unwrap()
        };
        let admitted = |policy: &NetworkPolicy| {
            ["203.0.113.1", "198.51.100.7", "203.0.113.2", "172.16.0.1"]
                .map(|address| policy.admits(address.parse().unwrap()))
        };
        assert_eq!(admitted(&policy("Active")), [true, true, false, false]);
        assert_eq!(admitted(&policy("Inactive")), [true; 4]);
    }

    #[test]
    fn the_answer_always_has_a_version() {
        let json = r#"{"Status":"Inactive","Statements":[]}"#;
        let expected = r#"{"Version":1,"Status":"Inactive","Statements":[]}"#;
        assert_eq!(NetworkPolicy::parse(json).unwrap().json(), expected);
    }

    #[test]
    fn other_shapes_are_refused() {
        for json in [
            "",
            "{}",
            r#"{"Status":"Active","Statements":null}"#,
            r#"[1,"Active",[]]"#,
            r#"{"Status":{"Active":null},"Statements":[]}"#,
            r#"{"Status":"Active","Statements":[["ClassicWhiteList",null,["10.0.0.1"]]]}"#,
            r#"{"Status":"Active","Statements":[{"Type":{"ClassicWhiteList":null},"IPList":["10.0.0.1"]}]}"#,
            r#"{"Version":2,"Status":"Active","Statements":[]}"#,
            r#"{"Version":"1","Status":"Active","Statements":[]}"#,
            r#"{"Status":"active","Statements":[]}"#,
            r#"{"Status":"Active","Statements":[{"Type":"ClassicWhiteList","IPList":[]}]}"#,
            r#"{"Status":"Active","Statements":[{"Type":"ClassicWhiteList","IPList":["*"]}]}"#,
            r#"{"Status":"Active","Statements":[{"Type":"ClassicWhiteList","IPList":["10.0.0.0/33"]}]}"#,
            r#"{"Status":"Active","Statements":[{"Type":"ClassicWhiteList","Value":"vpc-1","IPList":["10.0.0.1"]}]}"#,
            r#"{"Status":"Active","Statements":[{"Type":"VPCWhiteList","IPList":["10.0.0.1"]}]}"#,
        ] {
            assert!(NetworkPolicy::parse(json).is_err(), "{json}");
        }
        let one = r#"{"Type":"ClassicWhiteList","IPList":["10.0.0.1"]}"#;
        let many = |count: usize| {
            format!(r#"{{"Status":"Active","Statements":[{}]}}"#, vec![one; count].join(","))
        };
        assert!(NetworkPolicy::parse(&many(8)).is_ok() && NetworkPolicy::parse(&many(9)).is_err());
    }
}
