//! The differences between the network policies of a user's AccessKeys and the plan's.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::Value;

use super::aliyun;
use super::difference::{Drift, DriftKind};
use super::plan::NetworkPolicy;
use super::state::UserState;

/// `principal` is the user's name in IMS.
pub(super) fn of(
    subject: &str,
    (planned, principal): (&NetworkPolicy, &str),
    user: &UserState,
    found: &mut Vec<Drift>,
) {
    let needed: BTreeSet<_> = planned.addresses().filter_map(|text| range(&text)).collect();
    for key in user.keys.iter().filter(|key| key.is_active) {
        let id = &key.id;
        let call = |document: &str| {
            let parameters = [
                ("UserPrincipalName", principal),
                ("UserAccessKeyId", id.as_str()),
                ("AccessKeyPolicy", document),
            ];
            format!("`{}`", aliyun::call("ims SetAccessKeyPolicy", &parameters))
        };
        let whole = call(&planned.document());
        let Some(has) = user.networks.get(id.as_str()).filter(|policy| is_active(policy)) else {
            let message =
                format!("AccessKey {id} has no network policy and may be used from everywhere");
            let fix = format!("once it is used from the addresses of --egress only: {whole}");
            found.push(Drift::new(DriftKind::Missing, subject, message, fix));
            continue;
        };
        let both = joined(has, planned);
        let has = ranges(has);
        let first_beyond = |one: &BTreeSet<IpNet>, other: &BTreeSet<IpNet>| {
            let is_within = |range: &&IpNet| other.iter().any(|other| other.contains(*range));
            one.iter().find(|range| !is_within(range)).copied()
        };
        if let Some(range) = first_beyond(&has, &needed) {
            let message =
                format!("AccessKey {id} may be used from {range}, which --egress does not name");
            let kind = DriftKind::WiderThanNeeded;
            let fix = format!("once nothing uses it from there any more: {whole}");
            found.push(Drift::new(kind, subject, message, fix));
        }
        if let Some(range) = first_beyond(&needed, &has) {
            let message =
                format!("AccessKey {id} may not be used from {range}, which --egress names");
            let kind = DriftKind::NarrowerThanNeeded;
            found.push(Drift::new(kind, subject, message, call(&both)));
        }
    }
}

/// The policy that the key has, with the addresses of the plan beside those that a running deployment may use.
fn joined(has: &Value, planned: &NetworkPolicy) -> String {
    let mut joined = has.clone();
    let planned = serde_json::from_str::<Value>(&planned.document());
    let mut planned = planned.expect("a planned policy is JSON");
    match (joined["Statements"].as_array_mut(), planned["Statements"].as_array_mut()) {
        (Some(has), Some(planned)) => {
            has.append(planned);
            joined.to_string()
        }
        _ => planned.to_string(),
    }
}

fn is_active(policy: &Value) -> bool {
    policy.get("Status").and_then(Value::as_str) != Some("Inactive")
}

/// The addresses outside VPCs that a policy admits.
fn ranges(policy: &Value) -> BTreeSet<IpNet> {
    let statements = policy.get("Statements").and_then(Value::as_array).into_iter().flatten();
    let public = statements.filter(|statement| statement["Type"] == "ClassicWhiteList");
    let lists = public.filter_map(|statement| statement["IPList"].as_array());
    lists.flatten().filter_map(Value::as_str).filter_map(range).collect()
}

/// An address or a range of them.
fn range(text: &str) -> Option<IpNet> {
    let address = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address).map(|range| range.trunc())
}
