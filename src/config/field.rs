//! One key's value, which may be wrong without stopping the reading of the others.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::node::Node;

/// A key that may be absent, right or wrong.
#[derive(Clone, Debug, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Given(T),
    /// Why it is not a `T`.
    Wrong(String),
}

impl<T> Field<T> {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong(_))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        Ok(match T::deserialize(node) {
            Ok(value) => Self::Given(value),
            Err(error) => Self::Wrong(error.to_string()),
        })
    }
}

/// A list, or in an environment variable its items with commas between them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(super) struct List<T>(pub(super) Vec<T>);
