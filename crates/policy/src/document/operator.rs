//! The condition operators.

use serde::de::value::{Error, StrDeserializer};
use serde::de::{Deserialize, IntoDeserializer};
use serde::{Deserialize as Derived, Serialize};

/// The condition operators that RAM and OSS document.
///
/// The variants are in the order of their names, so sorting by variant sorts by name.
#[derive(Clone, Copy, Debug, Derived, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum ConditionOperator {
    Bool,
    DateEquals,
    DateGreaterThan,
    DateGreaterThanEquals,
    DateLessThan,
    DateLessThanEquals,
    DateNotEquals,
    IpAddress,
    /// OSS's documentation lists it without saying what it includes: see [`Self::holds`].
    IpAddressIncludeBorder,
    NotIpAddress,
    NumericEquals,
    NumericGreaterThan,
    NumericGreaterThanEquals,
    NumericLessThan,
    NumericLessThanEquals,
    NumericNotEquals,
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    StringNotEquals,
    StringNotEqualsIgnoreCase,
    StringNotLike,
}

impl ConditionOperator {
    /// The operator with that name, in RAM's spelling.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name: StrDeserializer<'_, Error> = name.into_deserializer();
        Self::deserialize(name).ok()
    }
}

impl ConditionOperator {
    /// The operator that compares the same way and supports wildcards, for one that does not.
    pub(crate) fn with_wildcards(self) -> Option<Self> {
        match self {
            Self::StringEquals => Some(Self::StringLike),
            Self::StringNotEquals => Some(Self::StringNotLike),
            _ => None,
        }
    }

    /// Whether the condition holds for all values but those listed.
    pub(crate) fn is_negated(self) -> bool {
        match self {
            Self::DateNotEquals
            | Self::NotIpAddress
            | Self::NumericNotEquals
            | Self::StringNotEquals
            | Self::StringNotEqualsIgnoreCase
            | Self::StringNotLike => true,
            Self::Bool
            | Self::DateEquals
            | Self::DateGreaterThan
            | Self::DateGreaterThanEquals
            | Self::DateLessThan
            | Self::DateLessThanEquals
            | Self::IpAddress
            | Self::IpAddressIncludeBorder
            | Self::NumericEquals
            | Self::NumericGreaterThan
            | Self::NumericGreaterThanEquals
            | Self::NumericLessThan
            | Self::NumericLessThanEquals
            | Self::StringEquals
            | Self::StringEqualsIgnoreCase
            | Self::StringLike => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_known_by_rams_own_spelling_only() {
        assert_eq!(ConditionOperator::named("StringLike"), Some(ConditionOperator::StringLike));
        for unknown in
            ["", "stringLike", "StringMatches", "StringLikeIfExists", "NotIpAddressIncludeBorder"]
        {
            assert_eq!(ConditionOperator::named(unknown), None, "{unknown}");
        }
    }
}
