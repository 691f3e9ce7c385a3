//! The kinds of values that condition operators take.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use crate::document::network::Network;
use crate::document::operator::ConditionOperator as Operator;

/// How an operator compares two values, negation aside.
pub(crate) enum ValueKind {
    Equal,
    EqualIgnoringCase,
    Like,
    Bool,
    Number(fn(Ordering) -> bool),
    Date(fn(Ordering) -> bool),
    Address,
}

impl Operator {
    /// Whether a policy's value has the form that the operator takes, such as a number: STS refuses any other.
    pub(crate) fn takes(self, value: &str) -> bool {
        match self.kind() {
            ValueKind::Equal | ValueKind::EqualIgnoringCase | ValueKind::Like => true,
            ValueKind::Bool => boolean(value).is_some(),
            ValueKind::Number(_) => number(value).is_some(),
            ValueKind::Date(_) => date(value).is_some(),
            ValueKind::Address => Network::parse(value).is_some(),
        }
    }

    /// The form of the values that it takes, for messages.
    pub(crate) fn form(self) -> &'static str {
        match self.kind() {
            ValueKind::Equal | ValueKind::EqualIgnoringCase | ValueKind::Like => "any text",
            ValueKind::Bool => "\"true\" or \"false\"",
            ValueKind::Number(_) => "a number in digits, such as \"10\" or \"-0.5\"",
            ValueKind::Date(_) => {
                "a date and time such as \"2012-11-11T23:59:59Z\" or \"2012-11-12T07:59:59+08:00\""
            }
            ValueKind::Address => {
                "an address, a range such as \"10.0.0.0/8\", or \"*\" (of a `*` inside an address nothing is \
                 documented)"
            }
        }
    }

    /// How it compares, negation aside.
    pub(crate) fn kind(self) -> ValueKind {
        match self {
            Self::Bool => ValueKind::Bool,
            Self::DateEquals | Self::DateNotEquals => ValueKind::Date(Ordering::is_eq),
            Self::DateGreaterThan => ValueKind::Date(Ordering::is_gt),
            Self::DateGreaterThanEquals => ValueKind::Date(Ordering::is_ge),
            Self::DateLessThan => ValueKind::Date(Ordering::is_lt),
            Self::DateLessThanEquals => ValueKind::Date(Ordering::is_le),
            Self::IpAddress | Self::IpAddressIncludeBorder | Self::NotIpAddress => {
                ValueKind::Address
            }
            Self::NumericEquals | Self::NumericNotEquals => ValueKind::Number(Ordering::is_eq),
            Self::NumericGreaterThan => ValueKind::Number(Ordering::is_gt),
            Self::NumericGreaterThanEquals => ValueKind::Number(Ordering::is_ge),
            Self::NumericLessThan => ValueKind::Number(Ordering::is_lt),
            Self::NumericLessThanEquals => ValueKind::Number(Ordering::is_le),
            Self::StringEquals | Self::StringNotEquals => ValueKind::Equal,
            Self::StringEqualsIgnoreCase | Self::StringNotEqualsIgnoreCase => {
                ValueKind::EqualIgnoringCase
            }
            Self::StringLike | Self::StringNotLike => ValueKind::Like,
        }
    }
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Digits with an optional `-` and fraction: no other form is documented.
pub(crate) fn number(text: &str) -> Option<f64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let number: f64 = text.parse().ok()?;
    (digits(whole) && digits(fraction) && number.is_finite()).then_some(number)
}

/// `2012-11-11T23:59:59Z` or the same with an offset: the forms in RAM's documentation.
pub(crate) fn date(text: &str) -> Option<DateTime<Utc>> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let documented = matches!(
        shape.as_str(),
        "0000-00-00T00:00:00Z" | "0000-00-00T00:00:00+00:00" | "0000-00-00T00:00:00-00:00"
    );
    // Parsers disagree on leap seconds.
    if !documented || text.get(17..19) == Some("60") {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok().map(|date| date.to_utc())
}
