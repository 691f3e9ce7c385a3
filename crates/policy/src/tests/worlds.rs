//! Policies and requests of a world so small that they often meet.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// A request in words.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) action: &'static str,
    pub(crate) resource: String,
    pub(crate) conditions: BTreeMap<String, String>,
}

const RANGES: &[&str] = &[
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.0",
    "10.1.2.3",
    "10.1.2.254/31",
    "::/0",
    "b::1",
];
const ADDRESSES: &[&str] =
    &["10.1.2.3", "10.0.0.0", "10.1.2.0", "10.1.2.255", "10.1.3.9", "11.0.0.1"];
const DATES: &[&str] = &["2015-01-01T00:00:00Z", "2016-01-01T00:00:00Z", "2017-01-01T00:00:00Z"];

fn action() -> impl Strategy<Value = String> {
    const ALL: &[&str] = &[
        "oss:GetObject",
        "oss:PutObject",
        "oss:Get*",
        "oss:*Object",
        "oss:*",
        "*",
        "oss:?etObject",
        "oss:getobject",
        "*:GetObject",
        "o?s:GetObject",
        "ram:GetUser",
    ];
    select(ALL).prop_map(str::to_owned)
}

fn resource() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "acs:oss:\\*:\\*:bkt/[ab*?/:]{0,4}",
        1 => "acs:oss:[*r]:[*1]:bkt(/a)?/\\*",
        1 => "acs:oss:\\*:\\*:(bkt|bk?|\\*|b\\*)(/[ab*])?",
        1 => Just("*".to_owned()),
        1 => Just("acs:oss:*".to_owned()),
        1 => Just("acs:oss:*:*:oth/b:bkt/a".to_owned()),
    ]
}

pub(crate) fn condition() -> impl Strategy<Value = Value> {
    let key = select(&["oss:Prefix", "oss:prefix", "acs:SourceIp"][..]);
    let strings = select(
        &[
            "StringLike",
            "StringNotLike",
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
        ][..],
    );
    let numbers = prop::collection::vec("[0-9]", 1..3);
    let numeric = select(&["NumericLessThan", "NumericEquals", "NumericNotEquals"][..]);
    let ranges = prop::collection::vec(select(RANGES), 1..3);
    let addresses = select(&["IpAddress", "NotIpAddress"][..]);
    // One operator, with one key or several.
    let keyed = |operator: BoxedStrategy<&'static str>, values: BoxedStrategy<Vec<String>>| {
        (operator, prop::collection::vec((key.clone(), values), 1..4))
    };
    let dates = prop::collection::vec(select(DATES), 1..3);
    let bounds = select(&["DateLessThan", "DateGreaterThanEquals"][..]);
    let owned = |ranges: Vec<&str>| ranges.into_iter().map(str::to_owned).collect();
    let one = prop_oneof![
        4 => keyed(strings.boxed(), texts().boxed()),
        1 => keyed(numeric.boxed(), numbers.boxed()),
        2 => keyed(addresses.boxed(), ranges.prop_map(owned).boxed()),
        1 => keyed(bounds.boxed(), dates.prop_map(owned).boxed()),
    ];
    prop::collection::vec(one, 1..3).prop_map(|all| {
        let mut condition = json!({});
        for (operator, keys) in all {
            for (key, values) in keys {
                condition[operator][key] = json!(values);
            }
        }
        condition
    })
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ab*?/é]{1,3}", 1..3)
}

fn statement() -> impl Strategy<Value = Value> {
    let deny = prop::bool::weighted(0.2);
    let not = prop::bool::weighted(0.1);
    let actions = prop::collection::vec(action(), 1..3);
    let resources = prop::collection::vec(resource(), 1..3);
    let condition = prop::option::weighted(0.4, condition());
    (deny, not, actions, resources, condition).prop_map(
        |(deny, not, actions, resources, condition)| {
            let mut statement = json!({
                "Effect": if deny { "Deny" } else { "Allow" },
                (if not { "NotAction" } else { "Action" }): actions,
                "Resource": resources,
            });
            if let Some(condition) = condition {
                statement["Condition"] = condition;
            }
            statement
        },
    )
}

pub(crate) fn policy() -> impl Strategy<Value = Value> {
    prop::collection::vec(statement(), 1..4)
        .prop_map(|statements| json!({"Version": "1", "Statement": statements}))
}

pub(crate) fn probe() -> impl Strategy<Value = Probe> {
    let action = select(
        &[
            "oss:GetObject",
            "oss:PutObject",
            "OSS:getobject",
            "ram:GetUser",
            "oss:SetObject",
            "oss:ResetObject",
        ][..],
    );
    let resource = prop_oneof![
        6 => "acs:oss:[rs]:[12]:(bkt|bk2)(/[ab/:é]{0,4})?",
        1 => Just("acs:oss:r:1:oth/b:bkt/a".to_owned()),
        1 => Just("acs:ram:r:1:bkt/a".to_owned()),
    ];
    let value = prop_oneof![3 => "[ab/é]{0,3}", 1 => "[0-9]", 1 => select(ADDRESSES).prop_map(str::to_owned),
        1 => select(DATES).prop_map(str::to_owned)];
    let key = select(&["oss:Prefix", "acs:SourceIp"][..]).prop_map(str::to_owned);
    let conditions = prop::collection::btree_map(key, value, 0..4);
    (action, resource, conditions).prop_map(|(action, resource, conditions)| Probe {
        action,
        resource,
        conditions,
    })
}
