//! When a condition holds.

use std::cmp::Ordering;
use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::network::Network;
use super::operator::ConditionOperator as Operator;
use super::pattern::Pattern;

impl Operator {
    /// Whether the condition holds for the value that a request's key has, if it has one.
    ///
    /// One value that compares is enough. A negated operator is the plain one turned round as a whole, so that
    /// none may compare: were each value negated by itself, any two would let everything through. A key that
    /// the request lacks compares with nothing.
    pub(super) fn holds(self, values: &[String], actual: Option<&str>) -> bool {
        let compares = |actual: &str| values.iter().any(|value| self.compares(value, actual));
        actual.is_some_and(compares) != self.is_negated()
    }

    /// Whether a value of a policy is of the operator's kind, such as a number: else it compares with nothing.
    pub(super) fn takes(self, value: &str) -> bool {
        match self.kind() {
            Kind::Equal | Kind::EqualIgnoringCase | Kind::Like => true,
            Kind::Bool => boolean(value).is_some(),
            Kind::Number(_) => number(value).is_some(),
            Kind::Date(_) => date(value).is_some(),
            Kind::Address => Network::parse(value).is_some(),
        }
    }

    fn compares(self, value: &str, actual: &str) -> bool {
        match self.kind() {
            Kind::Equal => actual == value,
            Kind::EqualIgnoringCase => actual.to_lowercase() == value.to_lowercase(),
            Kind::Like => Pattern(value).matches(actual),
            Kind::Bool => boolean(value).is_some_and(|value| boolean(actual) == Some(value)),
            Kind::Number(relation) => compared(number(actual), number(value), relation),
            Kind::Date(relation) => compared(date(actual), date(value), relation),
            Kind::Address => {
                let actual = actual.parse::<IpAddr>().ok();
                Network::parse(value).zip(actual).is_some_and(|(range, actual)| range.holds(actual))
            }
        }
    }

    /// What is compared, negation left aside.
    fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::DateEquals | Self::DateNotEquals => Kind::Date(Ordering::is_eq),
            Self::DateGreaterThan => Kind::Date(Ordering::is_gt),
            Self::DateGreaterThanEquals => Kind::Date(Ordering::is_ge),
            Self::DateLessThan => Kind::Date(Ordering::is_lt),
            Self::DateLessThanEquals => Kind::Date(Ordering::is_le),
            Self::IpAddress | Self::NotIpAddress => Kind::Address,
            Self::NumericEquals | Self::NumericNotEquals => Kind::Number(Ordering::is_eq),
            Self::NumericGreaterThan => Kind::Number(Ordering::is_gt),
            Self::NumericGreaterThanEquals => Kind::Number(Ordering::is_ge),
            Self::NumericLessThan => Kind::Number(Ordering::is_lt),
            Self::NumericLessThanEquals => Kind::Number(Ordering::is_le),
            Self::StringEquals | Self::StringNotEquals => Kind::Equal,
            Self::StringEqualsIgnoreCase | Self::StringNotEqualsIgnoreCase => {
                Kind::EqualIgnoringCase
            }
            Self::StringLike | Self::StringNotLike => Kind::Like,
        }
    }
}

/// How two values are compared.
enum Kind {
    Equal,
    EqualIgnoringCase,
    Like,
    Bool,
    Number(fn(Ordering) -> bool),
    Date(fn(Ordering) -> bool),
    Address,
}

fn compared<T: PartialOrd>(
    actual: Option<T>,
    value: Option<T>,
    relation: fn(Ordering) -> bool,
) -> bool {
    actual.zip(value).and_then(|(actual, value)| actual.partial_cmp(&value)).is_some_and(relation)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|date| date.to_utc())
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
    fn values_of_another_kind_are_told_apart_and_compare_with_nothing() {
        for (operator, value) in [
            ("Bool", "True"),
            ("NumericEquals", "NaN"),
            ("DateLessThan", "2016-01-13"),
            ("IpAddress", "10.0.0"),
        ] {
            assert!(!Operator::named(operator).unwrap().takes(value), "{operator} {value}");
            assert!(!holds(operator, &[value], Some(value)), "{operator} {value}");
        }
        assert!(Operator::StringLike.takes("anything"));
    }
}
