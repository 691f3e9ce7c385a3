//! One key's value, which may be wrong without stopping the reading of the others.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::node::Node;

/// A key that may be absent, right or wrong.
#[derive(Clone, Debug, Default)]
pub(crate) enum Field<T> {
    #[default]
    Absent,
    Given(T),
    /// Why it is not a `T`.
    Invalid(String),
}

impl<T> Field<T> {
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(crate) fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid(_))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        Ok(match T::deserialize(node) {
            Ok(value) => Self::Given(value),
            Err(error) => Self::Invalid(error.to_string()),
        })
    }
}

/// A list, or in an environment variable its items with commas between them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(crate) struct List<T>(pub(super) Vec<T>);
