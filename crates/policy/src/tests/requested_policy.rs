//! Policies that a caller may ask for, made from the grant's.

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

use super::worlds::{condition, policy};

/// A policy that mostly asks for what this one gives, or for somewhat less or more.
pub(super) fn requested_from(granted: Value) -> impl Strategy<Value = Value> {
    let statements = granted["Statement"].as_array().unwrap().clone();
    let count = statements.len();
    let less = (subsequence(statements, 1..=count), any::<[bool; 5]>(), "[ab*/]{0,2}", condition());
    let less =
        less.prop_map(|(mut statements, [first, only, drop, part, star], tail, condition)| {
            for statement in &mut statements {
                let shorten = |list: &mut Value| list.as_array_mut().unwrap().truncate(1);
                if first {
                    shorten(&mut statement["Resource"]);
                }
                if only && statement["Action"].is_array() {
                    shorten(&mut statement["Action"]);
                }
                for resource in statement["Resource"].as_array_mut().unwrap() {
                    let text = resource.as_str().unwrap();
                    *resource = match text.strip_suffix('*') {
                        Some(open) if text.contains('/') => format!("{open}{tail}").into(),
                        Some(_) | None => text.into(),
                    };
                }
                let conditions = statement.get_mut("Condition").and_then(Value::as_object_mut);
                if let (true, Some(operators)) = (part, conditions) {
                    // Some of the grant's own conditions, wherever they stand.
                    let kept = usize::from(first);
                    operators.values_mut().for_each(|keys| keep_every_second(keys, kept));
                    operators
                        .retain(|_, keys| keys.as_object().is_some_and(|keys| !keys.is_empty()));
                } else if drop {
                    statement.as_object_mut().unwrap().remove("Condition");
                } else if tail.is_empty() {
                    statement["Condition"] = condition.clone();
                }
                if star {
                    widen(statement);
                }
                // An empty one is none, and is not written out again.
                if statement["Condition"].as_object().is_none_or(serde_json::Map::is_empty) {
                    statement.as_object_mut().unwrap().remove("Condition");
                }
            }
            json!({"Version": "1", "Statement": statements})
        });
    prop_oneof![3 => less, 1 => policy()]
}

/// Every second key of an operator, from that place.
fn keep_every_second(keys: &mut Value, from: usize) {
    let keys = keys.as_object_mut().unwrap();
    let kept = keys.clone().into_iter().skip(from).step_by(2).collect();
    *keys = kept;
}

/// A `*` for each `?`: what matches more, and must not be taken for what it replaces.
fn widen(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('?', "*"),
        Value::Array(list) => list.iter_mut().for_each(widen),
        Value::Object(map) => map.values_mut().for_each(widen),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
