//! The differences between the network policies of a user's AccessKeys and the plan's.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::Value;

use super::difference::{Drift, DriftKind};
use super::plan::NetworkPolicy;
use super::state::UserState;

pub(super) fn of(subject: &str, planned: &NetworkPolicy, user: &UserState, found: &mut Vec<Drift>) {
    let needed: BTreeSet<_> = planned.addresses().filter_map(|text| range(&text)).collect();
    for key in user.keys.iter().filter(|key| key.is_active) {
        let id = &key.id;
        let fix = format!(
            "`aliyun ims SetAccessKeyPolicy --UserAccessKeyId {id} --AccessKeyPolicy '{}'`, with the user's \
             --UserPrincipalName",
            planned.document(),
        );
        let Some(has) = user.networks.get(id.as_str()).filter(|policy| is_active(policy)) else {
            let message =
                format!("AccessKey {id} has no network policy and may be used from everywhere");
            found.push(Drift::new(DriftKind::Missing, subject, message, fix));
            continue;
        };
        let has = ranges(has);
        let first_beyond = |one: &BTreeSet<IpNet>, other: &BTreeSet<IpNet>| {
            let is_within = |range: &&IpNet| other.iter().any(|other| other.contains(*range));
            one.iter().find(|range| !is_within(range)).copied()
        };
        if let Some(range) = first_beyond(&has, &needed) {
            let message =
                format!("AccessKey {id} may be used from {range}, which --egress does not name");
            let kind = DriftKind::WiderThanNeeded;
            found.push(Drift::new(kind, subject, message, fix.clone()));
        }
        if let Some(range) = first_beyond(&needed, &has) {
            let message =
                format!("AccessKey {id} may not be used from {range}, which --egress names");
            found.push(Drift::new(DriftKind::NarrowerThanNeeded, subject, message, fix));
        }
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
