//! Conditions of a statement.

use std::net::IpAddr;

use chrono::{DateTime, FixedOffset, NaiveDateTime, Utc};

use super::network::Network;
use super::pattern::Pattern;

/// One key of one operator, such as `{"StringLike": {"oss:Prefix": ["photos/*"]}}`.
///
/// One matching value of the list is enough. A negated operator negates the whole: *no* value may match (if each value were negated and
/// the results OR-ed, two different values would match everything). A key that the request does not have matches no value. Keys are
/// case-sensitive: nothing laxer is documented.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) key: String,
    negated: bool,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    Equal(Vec<String>),
    /// In lower case.
    EqualIgnoringCase(Vec<String>),
    Like(Vec<Pattern>),
    Number(Comparison, Vec<f64>),
    Date(Comparison, Vec<DateTime<Utc>>),
    Bool(Vec<bool>),
    Ip(Vec<Network>),
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

/// Why a condition is invalid.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConditionProblem {
    /// Not a documented operator.
    #[error("the operator is unknown")]
    Operator,
    /// No key to compare.
    #[error("an operator has no key")]
    NoKey,
    /// Not `<service>:<name>`.
    #[error("a key reads `<service>:<name>`")]
    Key,
    /// No value to compare with.
    #[error("a key has no value")]
    NoValue,
    /// Such as `Bool` with `yes`.
    #[error("a value is not of the operator's type")]
    Value,
}

impl Condition {
    pub(crate) fn new(
        operator: &str,
        key: String,
        values: Vec<String>,
    ) -> Result<Self, ConditionProblem> {
        if values.is_empty() {
            return Err(ConditionProblem::NoValue);
        }
        if values.iter().any(|value| value.contains(|c: char| c.is_control())) {
            return Err(ConditionProblem::Value);
        }
        let (negated, values) = match operator {
            "StringEquals" => (false, Values::Equal(values)),
            "StringNotEquals" => (true, Values::Equal(values)),
            "StringEqualsIgnoreCase" => (false, Values::EqualIgnoringCase(lower_case(&values))),
            "StringNotEqualsIgnoreCase" => (true, Values::EqualIgnoringCase(lower_case(&values))),
            "StringLike" => (false, Values::Like(patterns(&values))),
            "StringNotLike" => (true, Values::Like(patterns(&values))),
            "Bool" => (false, Values::Bool(each(&values, |v| v.parse().ok())?)),
            // The difference between the two is not documented.
            "IpAddress" | "IpAddressIncludeBorder" => {
                (false, Values::Ip(each(&values, Network::parse)?))
            }
            "NotIpAddress" => (true, Values::Ip(each(&values, Network::parse)?)),
            _ => comparison(operator, &values)?,
        };
        Ok(Self { key, negated, values })
    }

    /// Whether the condition holds for the key's value in the request, if it has one.
    pub(crate) fn holds(&self, actual: Option<&str>) -> bool {
        actual.is_some_and(|actual| self.values.any_matches(actual)) != self.negated
    }
}

impl Values {
    fn any_matches(&self, actual: &str) -> bool {
        match self {
            Self::Equal(values) => values.iter().any(|value| value == actual),
            Self::EqualIgnoringCase(values) => values.contains(&actual.to_lowercase()),
            Self::Like(patterns) => patterns.iter().any(|pattern| pattern.matches(actual)),
            Self::Number(comparison, values) => {
                number(actual).is_some_and(|a| values.iter().any(|v| comparison.holds(&a, v)))
            }
            Self::Date(comparison, values) => {
                date(actual).is_some_and(|a| values.iter().any(|v| comparison.holds(&a, v)))
            }
            Self::Bool(values) => actual.parse().is_ok_and(|actual| values.contains(&actual)),
            Self::Ip(networks) => actual
                .parse::<IpAddr>()
                .is_ok_and(|address| networks.iter().any(|network| network.contains(address))),
        }
    }
}

impl Comparison {
    fn holds<T: PartialOrd>(self, actual: &T, value: &T) -> bool {
        match self {
            Self::Equals => actual == value,
            Self::LessThan => actual < value,
            Self::LessThanEquals => actual <= value,
            Self::GreaterThan => actual > value,
            Self::GreaterThanEquals => actual >= value,
        }
    }
}

fn comparison(operator: &str, values: &[String]) -> Result<(bool, Values), ConditionProblem> {
    let (is_date, relation) =
        match (operator.strip_prefix("Numeric"), operator.strip_prefix("Date")) {
            (Some(relation), _) => (false, relation),
            (None, Some(relation)) => (true, relation),
            (None, None) => return Err(ConditionProblem::Operator),
        };
    let (negated, comparison) = match relation {
        "Equals" => (false, Comparison::Equals),
        "NotEquals" => (true, Comparison::Equals),
        "LessThan" => (false, Comparison::LessThan),
        "LessThanEquals" => (false, Comparison::LessThanEquals),
        "GreaterThan" => (false, Comparison::GreaterThan),
        "GreaterThanEquals" => (false, Comparison::GreaterThanEquals),
        _ => return Err(ConditionProblem::Operator),
    };
    let values = if is_date {
        Values::Date(comparison, each(values, date)?)
    } else {
        Values::Number(comparison, each(values, number)?)
    };
    Ok((negated, values))
}

fn each<T>(
    values: &[String],
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ConditionProblem> {
    values.iter().map(|value| parse(value).ok_or(ConditionProblem::Value)).collect()
}

/// Digits with an optional sign and fraction; exponents and `.5` are not documented.
fn number(text: &str) -> Option<f64> {
    let mut parts = text.trim_start_matches('-').split('.');
    let plain = |part: Option<&str>| {
        part.is_none_or(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
    };
    let well_formed = plain(parts.next()) && plain(parts.next()) && parts.next().is_none();
    if !well_formed || text.starts_with("--") {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// ISO 8601 as in RAM's examples: to the second, with `Z` or an offset.
fn date(text: &str) -> Option<DateTime<Utc>> {
    const TO_THE_SECOND: usize = "2012-11-11T23:59:59".len();
    let (local, zone) = text.split_at_checked(TO_THE_SECOND)?;
    let digits_elsewhere =
        |(i, c): (usize, char)| matches!(i, 4 | 7 | 10 | 13 | 16) || c.is_ascii_digit();
    if !local.char_indices().all(digits_elsewhere) || local.ends_with("60") {
        return None;
    }
    let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%dT%H:%M:%S").ok()?;
    let zone = match zone.as_bytes() {
        b"Z" => FixedOffset::east_opt(0)?,
        [b'+' | b'-', _, _, b':', _, _] => zone.parse().ok()?,
        _ => return None,
    };
    Some(local.and_local_timezone(zone).single()?.to_utc())
}

fn lower_case(values: &[String]) -> Vec<String> {
    values.iter().map(|value| value.to_lowercase()).collect()
}

fn patterns(values: &[String]) -> Vec<Pattern> {
    values.iter().map(|value| Pattern::new(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, values: &[&str], actual: Option<&str>) -> bool {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        Condition::new(operator, "key".to_owned(), values).unwrap().holds(actual)
    }

    #[test]
    fn every_documented_operator_compares_as_documented() {
        let noon = "2016-01-13T12:00:00Z";
        let table = [
            ("StringEquals", "a", "a", true),
            ("StringEquals", "a", "A", false),
            ("StringNotEquals", "a", "A", true),
            ("StringNotEquals", "a", "a", false),
            ("StringEqualsIgnoreCase", "a", "A", true),
            ("StringNotEqualsIgnoreCase", "a", "A", false),
            ("StringLike", "photos/*", "photos/2015/x", true),
            ("StringLike", "photos/*", "Photos/x", false),
            ("StringNotLike", "photos/*", "music/x", true),
            ("NumericEquals", "100", "100.0", true),
            ("NumericNotEquals", "100", "99", true),
            ("NumericLessThan", "100", "99", true),
            ("NumericLessThan", "100", "100", false),
            ("NumericLessThanEquals", "100", "100", true),
            ("NumericGreaterThan", "9", "10", true),
            ("NumericGreaterThanEquals", "10", "10", true),
            ("NumericGreaterThan", "9", "ten", false),
            ("DateEquals", noon, "2016-01-13T20:00:00+08:00", true),
            ("DateNotEquals", noon, noon, false),
            ("DateLessThan", noon, "2016-01-13T11:59:59Z", true),
            ("DateLessThanEquals", noon, noon, true),
            ("DateGreaterThan", noon, noon, false),
            ("DateGreaterThanEquals", noon, noon, true),
            ("Bool", "true", "true", true),
            ("Bool", "true", "false", false),
            ("IpAddress", "10.0.0.0/8", "10.1.2.3", true),
            ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", false),
            ("IpAddressIncludeBorder", "10.0.0.0/8", "10.0.0.0", true),
            ("IpAddress", "*", "2001:db8::1", true),
        ];
        for (operator, value, actual, expected) in table {
            assert_eq!(
                holds(operator, &[value], Some(actual)),
                expected,
                "{operator} {value} {actual}"
            );
        }
    }

    #[test]
    fn one_matching_value_is_enough_and_a_negation_excludes_all_values() {
        assert!(holds("StringEquals", &["a", "b"], Some("b")));
        assert!(!holds("StringNotEquals", &["a", "b"], Some("b")));
        assert!(holds("StringNotEquals", &["a", "b"], Some("c")));
    }

    #[test]
    fn an_absent_key_matches_no_value() {
        assert!(!holds("StringLike", &["*"], None));
        assert!(holds("StringNotLike", &["*"], None));
    }

    #[test]
    fn unknown_operators_and_values_of_another_type_are_refused() {
        let table = [
            ("StringContains", "a", ConditionProblem::Operator),
            ("stringequals", "a", ConditionProblem::Operator),
            ("NumericNear", "1", ConditionProblem::Operator),
            ("NumericEquals", "one", ConditionProblem::Value),
            ("NumericEquals", "NaN", ConditionProblem::Value),
            ("DateEquals", "yesterday", ConditionProblem::Value),
            ("DateEquals", "2016-01-13", ConditionProblem::Value),
            ("DateEquals", "2016-01-13T12:00:00.5Z", ConditionProblem::Value),
            ("DateEquals", "2016-01-13T12:00:00", ConditionProblem::Value),
            ("DateEquals", "2016-12-31T23:59:60Z", ConditionProblem::Value),
            ("NumericEquals", "1e0", ConditionProblem::Value),
            ("NumericEquals", "--1", ConditionProblem::Value),
            ("NumericEquals", "1.2.3", ConditionProblem::Value),
            ("NotIpAddressIncludeBorder", "10.0.0.0/8", ConditionProblem::Operator),
            ("StringEquals", "a\u{1b}", ConditionProblem::Value),
            ("Bool", "True", ConditionProblem::Value),
            ("Bool", "yes", ConditionProblem::Value),
            ("IpAddress", "home", ConditionProblem::Value),
        ];
        for (operator, value, expected) in table {
            let refused = Condition::new(operator, "key".to_owned(), vec![value.to_owned()]);
            assert_eq!(refused.unwrap_err(), expected, "{operator} {value}");
        }
        let empty = Condition::new("Bool", "key".to_owned(), vec![]).unwrap_err();
        assert_eq!(empty, ConditionProblem::NoValue);
    }
}
