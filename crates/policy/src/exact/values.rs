//! The values of one condition key that statements tell apart.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use ipnet::IpNet;

use super::language::{FRESH, Glob, classes};
use super::placeholders;
use super::search::{Coordinate, holding};
use super::too_complex::{Bounds, TooComplex};
use crate::document::operator::ConditionOperator as Operator;
use crate::document::tree::Statement;

/// One value that a statement compares the key with, read as its operator reads it.
#[derive(Clone, Debug)]
enum Compared {
    Text(Glob),
    Bool(bool),
    Number(f64, Relation),
    Date(DateTime<Utc>, Relation),
    /// `None` is any address.
    Address(Option<IpNet>),
    /// Not of the operator's kind: it compares with nothing.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
enum Relation {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Relation {
    fn holds<T: PartialOrd>(self, actual: T, value: T) -> bool {
        match self {
            Self::Less => actual < value,
            Self::LessOrEqual => actual <= value,
            Self::Equal => actual == value,
            Self::GreaterOrEqual => actual >= value,
            Self::Greater => actual > value,
        }
    }
}

/// The condition keys of the statements, each once.
pub(super) fn keys<'a>(statements: &[&'a Statement<String>]) -> BTreeSet<&'a str> {
    let conditions = statements.iter().flat_map(|statement| statement.condition.values());
    conditions.flat_map(|keys| keys.keys().map(String::as_str)).collect()
}

/// A comparison of the key: by which statement, whether it is turned round, and with which values.
struct Comparison {
    statement: usize,
    is_negated: bool,
    values: Vec<Compared>,
}

/// What the key's value can be, its absence included.
pub(super) fn coordinate(
    statements: &[&Statement<String>],
    key: &str,
    bounds: &mut Bounds,
) -> Result<Coordinate, TooComplex> {
    let mut comparisons = Vec::new();
    for (statement, of) in statements.iter().enumerate() {
        for (operator, keys) in &of.condition {
            let Some(values) = keys.get(key) else { continue };
            let values = values.as_slice().iter().map(|value| read(*operator, value));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            comparisons.push(Comparison { statement, is_negated: is_negated(*operator), values });
        }
    }
    let mut coordinate = Coordinate::default();
    let mut add = |compares: &dyn Fn(usize, usize) -> bool, shown: Option<String>| {
        let holds = (0..statements.len()).map(|statement| {
            comparisons.iter().enumerate().filter(|(_, of)| of.statement == statement).all(
                |(i, of)| (0..of.values.len()).any(|value| compares(i, value)) != of.is_negated,
            )
        });
        coordinate.add(holding(holds), shown);
    };
    add(&|_, _| false, None);

    let all = || comparisons.iter().flat_map(|of| &of.values);
    let is_text = |value: &Compared| matches!(value, Compared::Text(_));
    if all().any(is_text) {
        // A text that is also a number cannot be classified by one kind alone.
        if !all().all(is_text) {
            return Err(TooComplex::Kinds);
        }
        let globs: Vec<_> = all()
            .filter_map(|value| match value {
                Compared::Text(glob) => Some(glob.clone()),
                _ => None,
            })
            .collect();
        let starts: Vec<usize> = comparisons
            .iter()
            .scan(0, |start, of| {
                let own = *start;
                *start += of.values.len();
                Some(own)
            })
            .collect();
        for class in classes(&globs, &Glob::like("*"), FRESH, bounds)? {
            add(&|i, value| class.matched[starts[i] + value], Some(class.text.clone()));
        }
        return Ok(coordinate);
    }
    for text in candidates(&all().cloned().collect::<Vec<_>>()) {
        let compares = |i: usize, value: usize| compares(&comparisons[i].values[value], &text);
        add(&compares, Some(text.clone()));
    }
    Ok(coordinate)
}

/// Texts of which one lies in each part into which the values cut the key's kinds, and one that is of none.
fn candidates(values: &[Compared]) -> Vec<String> {
    let mut texts: Vec<String> = ["x", "true", "false"].map(str::to_owned).into();
    let mut numbers: Vec<f64> = Vec::new();
    for value in values {
        match value {
            Compared::Number(number, _) => numbers.push(*number),
            Compared::Date(date, _) => {
                let around = [-1, 0, 1].map(|seconds| *date + TimeDelta::seconds(seconds));
                texts.extend(around.into_iter().filter_map(written));
            }
            Compared::Address(range) => {
                texts
                    .extend([Ipv4Addr::UNSPECIFIED.to_string(), Ipv6Addr::UNSPECIFIED.to_string()]);
                if let Some(range) = range {
                    texts.push(range.network().to_string());
                    texts.extend(after(range.broadcast()).map(|address| address.to_string()));
                }
            }
            Compared::Text(_) | Compared::Bool(_) | Compared::Nothing => {}
        }
    }
    numbers.sort_by(f64::total_cmp);
    if let (Some(least), Some(most)) = (numbers.first(), numbers.last()) {
        let between = numbers.windows(2).map(|pair| pair[0] / 2.0 + pair[1] / 2.0);
        let outside = [least - 1.0 - least.abs(), most + 1.0 + most.abs()];
        let all = between.chain(outside).chain(numbers.iter().copied());
        texts.extend(all.filter(|number| number.is_finite()).map(|number| number.to_string()));
    }
    texts
}

/// The moment with a year of four digits, if some offset gives it one; no request has it if none does.
fn written(moment: DateTime<Utc>) -> Option<String> {
    let day = 86_340;
    let offsets = [0, -day, day].into_iter().filter_map(FixedOffset::east_opt);
    let mut texts = offsets
        .map(|offset| moment.with_timezone(&offset).format("%Y-%m-%dT%H:%M:%S%:z").to_string());
    texts.find(|text| date(text) == Some(moment))
}

/// The address after this one.
fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            address.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(address) => {
            address.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}

/// Whether a candidate compares; texts are compared by their patterns.
fn compares(value: &Compared, actual: &str) -> bool {
    match value {
        Compared::Text(_) | Compared::Nothing => false,
        Compared::Bool(value) => boolean(actual) == Some(*value),
        Compared::Number(value, relation) => {
            number(actual).is_some_and(|actual| relation.holds(actual, *value))
        }
        Compared::Date(value, relation) => {
            date(actual).is_some_and(|actual| relation.holds(actual, *value))
        }
        Compared::Address(range) => actual
            .parse::<IpAddr>()
            .is_ok_and(|actual| range.is_none_or(|range| range.contains(&actual.to_canonical()))),
    }
}

fn read(operator: Operator, value: &str) -> Result<Compared, TooComplex> {
    use Operator as O;
    use Relation as R;
    let is_text =
        matches!(operator, O::StringEquals | O::StringNotEquals | O::StringLike | O::StringNotLike);
    if !is_text && value.contains(placeholders::is_one) {
        return Err(TooComplex::Kinds);
    }
    let number = |relation| {
        number(value).map_or(Compared::Nothing, |number| Compared::Number(number, relation))
    };
    let date =
        |relation| date(value).map_or(Compared::Nothing, |date| Compared::Date(date, relation));
    Ok(match operator {
        O::StringEquals | O::StringNotEquals => Compared::Text(Glob::literal(value)),
        O::StringLike | O::StringNotLike => Compared::Text(Glob::like(value)),
        O::StringEqualsIgnoreCase | O::StringNotEqualsIgnoreCase => {
            Compared::Text(Glob::ignoring_case(value).ok_or(TooComplex::Kinds)?)
        }
        O::Bool => boolean(value).map_or(Compared::Nothing, Compared::Bool),
        O::NumericEquals | O::NumericNotEquals => number(R::Equal),
        O::NumericLessThan => number(R::Less),
        O::NumericLessThanEquals => number(R::LessOrEqual),
        O::NumericGreaterThan => number(R::Greater),
        O::NumericGreaterThanEquals => number(R::GreaterOrEqual),
        O::DateEquals | O::DateNotEquals => date(R::Equal),
        O::DateLessThan => date(R::Less),
        O::DateLessThanEquals => date(R::LessOrEqual),
        O::DateGreaterThan => date(R::Greater),
        O::DateGreaterThanEquals => date(R::GreaterOrEqual),
        O::IpAddress | O::IpAddressIncludeBorder | O::NotIpAddress => address(value),
    })
}

fn is_negated(operator: Operator) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::StringNotEquals
            | O::StringNotEqualsIgnoreCase
            | O::StringNotLike
            | O::NumericNotEquals
            | O::DateNotEquals
            | O::NotIpAddress
    )
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Digits, with a sign and a fraction if need be.
fn number(text: &str) -> Option<f64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match text.strip_prefix('-').unwrap_or(text).split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (text.strip_prefix('-').unwrap_or(text), "0"),
    };
    let is_plain = digits(whole) && digits(fraction);
    text.parse().ok().filter(|number: &f64| is_plain && number.is_finite())
}

/// To the second, with `Z` or an offset.
fn date(text: &str) -> Option<DateTime<Utc>> {
    let (moment, zone) = text.split_at_checked(19)?;
    let is_zone = zone == "Z" || (zone.len() == 6 && zone.is_ascii() && zone.as_bytes()[3] == b':');
    let is_plain = moment.is_ascii() && moment.as_bytes()[10] == b'T' && &moment[17..] != "60";
    let date = DateTime::parse_from_rfc3339(text).ok()?;
    (is_zone && is_plain).then(|| date.to_utc())
}

fn address(text: &str) -> Compared {
    if text == "*" {
        return Compared::Address(None);
    }
    let range = match text.split_once('/') {
        Some((address, bits)) if bits.parse::<u8>().is_ok_and(|read| read.to_string() == bits) => {
            let address = address.parse::<IpAddr>().ok();
            address
                .zip(bits.parse().ok())
                .and_then(|(address, bits)| IpNet::new(address, bits).ok())
        }
        Some(_) => None,
        None => text.parse::<IpAddr>().ok().map(IpNet::from),
    };
    range.map_or(Compared::Nothing, |range| Compared::Address(Some(range.trunc())))
}
