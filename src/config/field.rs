//! One key's value, which may be wrong without stopping the reading of the others.

use std::fmt;

use config::ConfigError;
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A key that may be absent, right or wrong.
#[derive(Clone, Debug, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Given(T),
    /// Why it is not a `T`.
    Wrong(String),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = config::Value::deserialize(deserializer)?;
        Ok(match T::deserialize(value) {
            Ok(value) => Self::Given(value),
            Err(error) => Self::Wrong(told(error)),
        })
    }
}

/// What is wrong, without what stood there: that may be a secret in the wrong place.
fn told(error: ConfigError) -> String {
    match error {
        ConfigError::At { error, .. } => told(*error),
        ConfigError::Type { expected, .. } => format!("it must be {expected}"),
        other => other.to_string(),
    }
}

/// A list, or in an environment variable its items with commas between them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(std::marker::PhantomData<T>);

        impl<'de, T: DeserializeOwned> Visitor<'de> for Items<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<List<T>, E> {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                let read =
                    |item: &str| T::deserialize(config::Value::from(item)).map_err(E::custom);
                items.map(read).collect::<Result<_, _>>().map(List)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(List(items))
            }
        }

        deserializer.deserialize_any(Items(std::marker::PhantomData))
    }
}
