//! Conditions that imply a requested and a granted one. What is implied is implied in each reading of RAM.

use std::cmp::Ordering;

use crate::document::network::Network;
use crate::document::operator::ConditionOperator;
use crate::document::tree::{Condition, Strings};
use crate::document::value_kind::{ValueKind, date, number};
use crate::matching::pattern::Pattern;

/// A condition that holds when both do, or the operator and key for which none can be written.
///
/// RAM's JSON has room for one list of values for each operator and key, so where both have one, the narrower list must
/// imply both. Keys are alike if they differ in letter case only; the result has the grant's spelling.
pub(super) fn both(
    requested: &Condition<String>,
    granted: &Condition<String>,
) -> Result<Condition<String>, (ConditionOperator, String)> {
    let mut merged = requested.clone();
    for (&operator, keys) in granted {
        let own = merged.entry(operator).or_default();
        for (key, granted) in keys {
            let is_alike = |other: &String| other.to_lowercase() == key.to_lowercase();
            let incomparable = || (operator, key.clone());
            // Implementations may treat two keys of the grant as one, and use either list.
            if keys.keys().filter(|other| is_alike(other)).count() > 1 {
                return Err(incomparable());
            }
            let alike = own.iter().find(|(own, _)| is_alike(own));
            let values = match alike.map(|(own, values)| (own.clone(), values)) {
                None => granted.clone(),
                Some((spelled, requested)) => {
                    let values = narrower(operator, requested, granted).cloned();
                    own.remove(&spelled);
                    values.ok_or_else(incomparable)?
                }
            };
            own.insert(key.clone(), values);
        }
    }
    Ok(merged)
}

/// The list of values whose condition implies the other's.
fn narrower<'a>(
    operator: ConditionOperator,
    requested: &'a Strings<String>,
    granted: &'a Strings<String>,
) -> Option<&'a Strings<String>> {
    if implies(operator, requested, granted) {
        Some(requested)
    } else if implies(operator, granted, requested) {
        Some(granted)
    } else {
        None
    }
}

/// Whether the condition with the first list of values implies that with the second one.
fn implies(operator: ConditionOperator, narrow: &Strings<String>, wide: &Strings<String>) -> bool {
    let (narrow, wide) = (narrow.as_slice(), wide.as_slice());
    let within = |one: &String, other: &String| is_within(operator, one, other);
    if operator.is_negated() {
        // RAM does not document whether no value may match, or each value is negated by itself. In the first case each
        // value of the wider condition must be excluded by the narrower one, in the second the other way round.
        wide.iter().all(|wide| narrow.iter().any(|narrow| within(wide, narrow)))
            && narrow.iter().all(|narrow| wide.iter().any(|wide| within(wide, narrow)))
    } else {
        narrow.iter().all(|narrow| wide.iter().any(|wide| within(narrow, wide)))
    }
}

/// Whether whatever compares with one value compares with the other; of a negated operator, by the plain one.
fn is_within(operator: ConditionOperator, narrow: &str, wide: &str) -> bool {
    let is_within = match operator.kind() {
        ValueKind::Equal | ValueKind::Bool => false,
        ValueKind::EqualIgnoringCase => narrow.eq_ignore_ascii_case(wide),
        ValueKind::Like => Pattern(wide).contains(Pattern(narrow)),
        ValueKind::Number(relation) => bounds(exact_number(narrow), exact_number(wide), relation),
        ValueKind::Date(relation) => bounds(date(narrow), date(wide), relation),
        ValueKind::Address => Network::parse(wide)
            .zip(Network::parse(narrow))
            .is_some_and(|(wide, narrow)| wide.contains(narrow)),
    };
    is_within || narrow == wide
}

/// Whether whatever is in relation to the narrower bound is so to the wider one.
fn bounds<T: PartialOrd>(
    narrow: Option<T>,
    wide: Option<T>,
    relation: fn(Ordering) -> bool,
) -> bool {
    let order = narrow.zip(wide).and_then(|(narrow, wide)| narrow.partial_cmp(&wide));
    order.is_some_and(|order| order.is_eq() || relation(order))
}

/// A number whose digits a 64-bit float keeps apart from those of every other such number, so that it compares alike as
/// a decimal and as a float.
fn exact_number(text: &str) -> Option<f64> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    number(text).filter(|_| digits <= 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists_imply(operator: &str, narrow: &[&str], wide: &[&str]) -> bool {
        let list = |texts: &[&str]| Strings::Many(texts.iter().map(ToString::to_string).collect());
        implies(ConditionOperator::named(operator).unwrap(), &list(narrow), &list(wide))
    }

    #[test]
    fn a_list_implies_another_by_its_operator() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z");
        let eastern = "2026-01-01T08:00:00+08:00";
        for (operator, narrow, wide) in [
            ("NumericLessThan", &["5"][..], &["10"][..]),
            ("NumericLessThanEquals", &["5", "-1"], &["5.0"]),
            ("NumericGreaterThan", &["10"], &["5", "20"]),
            ("NumericGreaterThanEquals", &["10"], &["10"]),
            ("NumericEquals", &["10.0"], &["10", "20"]),
            ("NumericNotEquals", &["10"], &["10.0"]),
            ("DateLessThan", &[early], &[late]),
            ("DateGreaterThanEquals", &[late], &[early]),
            ("DateEquals", &[eastern], &[early]),
            ("IpAddress", &["10.1.0.0/16", "192.0.2.1"], &["10.0.0.0/8", "192.0.2.0/24"]),
            ("IpAddressIncludeBorder", &["10.1.0.0/16"], &["*"]),
            ("NotIpAddress", &["10.0.0.0/8"], &["10.1.0.0/16"]),
            ("NotIpAddress", &["10.0.0.0/8"], &["10.1.0.0/16", "10.2.0.0/16"]),
            ("StringEqualsIgnoreCase", &["A"], &["a", "b"]),
            ("StringNotEqualsIgnoreCase", &["A"], &["a"]),
            ("StringLike", &["a/b/*"], &["a/*"]),
            ("StringNotLike", &["a/*"], &["a/b/*"]),
            ("Bool", &["true"], &["false", "true"]),
        ] {
            assert!(lists_imply(operator, narrow, wide), "{operator} {narrow:?} {wide:?}");
        }
        for (operator, narrow, wide) in [
            ("NumericLessThan", &["10"][..], &["5"][..]),
            ("NumericGreaterThan", &["5"], &["10"]),
            ("NumericEquals", &["5"], &["10"]),
            // As floats the two are equal.
            ("NumericEquals", &["9007199254740993"], &["9007199254740992"]),
            ("NumericLessThan", &["9007199254740993"], &["9007199254740992"]),
            ("NumericNotEquals", &["5"], &["10"]),
            ("DateLessThan", &[late], &[early]),
            ("DateGreaterThan", &[early], &[late]),
            ("IpAddress", &["10.0.0.0/8"], &["10.1.0.0/16"]),
            ("IpAddress", &["10.0.0.0"], &["10.0.0.0/8"]),
            ("IpAddress", &["10.0.0.0/8"], &["10.0.0.0/9", "10.128.0.0/9"]),
            ("NotIpAddress", &["10.1.0.0/16"], &["10.0.0.0/8"]),
            // If each value were negated by itself, the first list would let everything through.
            ("NotIpAddress", &["10.0.0.0/8", "11.0.0.0/8"], &["10.1.0.0/16"]),
            ("StringNotLike", &["a/*", "b/*"], &["a/*"]),
            ("StringNotLike", &["a/*"], &["a/*", "b/*"]),
            ("StringEquals", &["A"], &["a"]),
            ("StringEqualsIgnoreCase", &["é"], &["É"]),
            ("StringEqualsIgnoreCase", &["\u{212a}"], &["k"]),
        ] {
            assert!(!lists_imply(operator, narrow, wide), "{operator} {narrow:?} {wide:?}");
        }
    }
}
