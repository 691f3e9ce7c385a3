//! Evaluates a condition.

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::document::network::Network;
use crate::document::operator::ConditionOperator as Operator;
use crate::document::value_kind::{ValueKind, boolean, date, number};
use crate::matching::pattern::Pattern;

impl Operator {
    /// Whether the condition holds for the value of a request's key, if the request has the key.
    ///
    /// One matching value is enough. A negated operator is the negation of the plain one as a whole, so none may match:
    /// if each value were negated by itself, two different values would let everything through. A missing key matches
    /// nothing.
    ///
    /// A range of addresses includes its first and its last one, under `IpAddress` as under `IpAddressIncludeBorder`:
    /// what the second adds to the first is not documented.
    pub(crate) fn holds(self, values: &[String], actual: Option<&str>) -> bool {
        let compares = |actual: &str| values.iter().any(|value| self.compares(value, actual));
        actual.is_some_and(compares) != self.is_negated()
    }

    /// Whether RAM's documentation leaves the result open: it has an operator that includes a range's borders, and does
    /// not say that the others exclude them.
    pub(crate) fn is_undocumented(self, values: &[String], actual: &str) -> bool {
        let border = |address: IpAddr| {
            let ranges = values.iter().filter_map(|value| Network::parse(value));
            ranges.into_iter().any(|range| range.has_border(address))
        };
        matches!(self, Self::IpAddress | Self::NotIpAddress) && actual.parse().is_ok_and(border)
    }

    fn compares(self, value: &str, actual: &str) -> bool {
        match self.kind() {
            ValueKind::Equal => actual == value,
            ValueKind::EqualIgnoringCase => actual.to_lowercase() == value.to_lowercase(),
            ValueKind::Like => Pattern(value).matches(actual),
            ValueKind::Bool => boolean(value).is_some_and(|value| boolean(actual) == Some(value)),
            ValueKind::Number(relation) => compared(number(actual), number(value), relation),
            ValueKind::Date(relation) => compared(date(actual), date(value), relation),
            ValueKind::Address => {
                let actual = actual.parse::<IpAddr>().ok();
                Network::parse(value).zip(actual).is_some_and(|(range, actual)| range.holds(actual))
            }
        }
    }
}

fn compared<T: PartialOrd>(
    actual: Option<T>,
    value: Option<T>,
    relation: fn(Ordering) -> bool,
) -> bool {
    actual.zip(value).and_then(|(actual, value)| actual.partial_cmp(&value)).is_some_and(relation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, values: &[&str], actual: Option<&str>) -> bool {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        Operator::named(operator).unwrap().holds(&values, actual)
    }

    #[test]
    fn every_operator_compares_as_its_name_says() {
        let noon = "2016-01-13T12:00:00Z";
        for (operator, value, holding, failing) in [
            ("StringEquals", "a", "a", "A"),
            ("StringNotEquals", "a", "A", "a"),
            ("StringEqualsIgnoreCase", "a", "A", "b"),
            ("StringNotEqualsIgnoreCase", "a", "b", "A"),
            ("StringLike", "photos/*", "photos/2015/x", "Photos/x"),
            ("StringNotLike", "photos/*", "music/x", "photos/x"),
            ("NumericEquals", "100", "100.0", "99"),
            ("NumericNotEquals", "100", "99", "100"),
            ("NumericLessThan", "100", "99", "100"),
            ("NumericLessThanEquals", "100", "100", "101"),
            ("NumericGreaterThan", "9", "10", "ten"),
            ("NumericGreaterThanEquals", "10", "10", "9"),
            ("DateEquals", noon, "2016-01-13T20:00:00+08:00", "2016-01-13T12:00:01Z"),
            ("DateNotEquals", noon, "2016-01-13T12:00:01Z", noon),
            ("DateLessThan", noon, "2016-01-13T11:59:59Z", noon),
            ("DateLessThanEquals", noon, noon, "2016-01-13T12:00:01Z"),
            ("DateGreaterThan", noon, "2016-01-13T12:00:01Z", noon),
            ("DateGreaterThanEquals", noon, noon, "2016-01-13T11:59:59Z"),
            ("Bool", "true", "true", "false"),
            ("IpAddress", "10.0.0.0/8", "10.1.2.3", "11.1.2.3"),
            ("IpAddress", "10.0.0.0/8", "10.0.0.0", "9.255.255.255"),
            ("IpAddressIncludeBorder", "10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("IpAddress", "*", "::1", "home"),
            ("NotIpAddress", "10.0.0.0/8", "11.1.2.3", "10.1.2.3"),
        ] {
            assert!(holds(operator, &[value], Some(holding)), "{operator} {holding}");
            assert!(!holds(operator, &[value], Some(failing)), "{operator} {failing}");
        }
    }

    #[test]
    fn one_value_is_enough_and_a_negation_refuses_them_all() {
        assert!(holds("StringEquals", &["a", "b"], Some("b")));
        assert!(!holds("StringNotEquals", &["a", "b"], Some("b")));
        assert!(holds("StringNotEquals", &["a", "b"], Some("c")));
    }

    #[test]
    fn a_key_that_is_missing_compares_with_nothing() {
        assert!(!holds("StringLike", &["*"], None));
        assert!(holds("StringNotLike", &["*"], None));
    }

    #[test]
    fn values_of_the_wrong_kind_are_refused_and_match_nothing() {
        for (operator, value) in [
            ("Bool", "True"),
            ("Bool", ""),
            ("NumericEquals", "NaN"),
            ("NumericEquals", ""),
            ("NumericEquals", "+1"),
            ("NumericEquals", "1e0"),
            ("NumericEquals", ".5"),
            ("NumericEquals", "5."),
            ("NumericEquals", "-"),
            ("NumericEquals", "1.-5"),
            ("DateLessThan", "2016-01-13"),
            ("DateLessThan", "2016-01-13T12:00:00"),
            ("DateLessThan", "2016-01-13T12:00Z"),
            ("DateLessThan", "2016-01-13t12:00:00z"),
            ("DateLessThan", "2016-01-13 12:00:00Z"),
            ("DateLessThan", "2016-01-13T12:00:00.5Z"),
            ("DateLessThan", "2016-12-31T23:59:60Z"),
            ("DateLessThan", "2016-02-30T12:00:00Z"),
            ("DateLessThan", "2016-01-13T12:00:00+0800"),
            ("IpAddress", "10.0.0"),
            ("IpAddress", "10.0.*"),
            ("IpAddressIncludeBorder", "10.0.0.0/33"),
        ] {
            assert!(!Operator::named(operator).unwrap().takes(value), "{operator} {value}");
            assert!(!holds(operator, &[value], Some(value)), "{operator} {value}");
        }
        assert!(Operator::StringLike.takes("anything"));
    }
}
