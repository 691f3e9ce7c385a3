//! One key's value. An invalid one does not stop the reading of the others.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, de};

use super::node::FIELD;

/// A key with its path in the configuration, and what the layers set it to.
#[derive(Clone, Debug)]
pub(crate) struct Field<T> {
    path: String,
    value: FieldValue<T>,
}

#[derive(Clone, Debug)]
pub(crate) enum FieldValue<T> {
    Absent,
    Given(T),
    /// Why it is not a `T`.
    Invalid(String),
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self { path: String::new(), value: FieldValue::Absent }
    }
}

impl<T> Field<T> {
    /// A value of our own, as if an operator had set it.
    pub(crate) fn known(value: T) -> Self {
        Self { path: String::new(), value: FieldValue::Given(value) }
    }

    /// Sets the value where no layer does.
    pub(crate) fn fill(&mut self, known: T) {
        if self.is_absent() {
            self.value = FieldValue::Given(known);
        }
    }

    /// Itself, or the other's value where no layer sets it. An invalid value of the other has the other's problem.
    pub(crate) fn or(self, other: &Self) -> Self
    where
        T: Clone,
    {
        match (&self.value, &other.value) {
            (FieldValue::Absent, FieldValue::Given(value)) => {
                Self { path: self.path, value: FieldValue::Given(value.clone()) }
            }
            (FieldValue::Absent, FieldValue::Invalid(_)) => other.clone(),
            _ => self,
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.value, FieldValue::Absent)
    }

    pub(crate) fn is_invalid(&self) -> bool {
        matches!(self.value, FieldValue::Invalid(_))
    }

    pub(crate) fn given(&self) -> Option<&T> {
        match &self.value {
            FieldValue::Given(value) => Some(value),
            FieldValue::Absent | FieldValue::Invalid(_) => None,
        }
    }

    pub(crate) fn into_parts(self) -> (String, FieldValue<T>) {
        (self.path, self.value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathAndValue<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for PathAndValue<T> {
            type Value = Field<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of the configuration")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<Field<T>, E> {
                Ok(Field { path: path.to_owned(), value: FieldValue::Absent })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field<T>, A::Error> {
                let path = map.next_key()?.unwrap_or_default();
                let value = match map.next_value() {
                    Ok(value) => FieldValue::Given(value),
                    Err(error) => FieldValue::Invalid(error.to_string()),
                };
                Ok(Field { path, value })
            }
        }

        deserializer.deserialize_newtype_struct(FIELD, PathAndValue(PhantomData))
    }
}

/// A list; in an environment variable, its items separated by commas. The error names every invalid item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
                let (mut items, mut rules) = (Vec::new(), Vec::new());
                loop {
                    match list.next_element() {
                        Ok(Some(item)) => items.push(item),
                        Ok(None) if rules.is_empty() => return Ok(List(items)),
                        Ok(None) => return Err(de::Error::custom(rules.join("; "))),
                        // A list of unknown length may repeat its error forever.
                        Err(error) if list.size_hint().is_none() => return Err(error),
                        Err(error) => rules.push(error.to_string()),
                    }
                }
            }
        }

        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// A text that may be empty, by which a later layer takes back what an earlier one set.
#[derive(Clone, Debug)]
pub(crate) struct Clearable<T>(pub(crate) Option<T>);

impl<'de, T: TryFrom<String, Error: fmt::Display>> Deserialize<'de> for Clearable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self(None));
        }
        T::try_from(text).map(|value| Self(Some(value))).map_err(de::Error::custom)
    }
}
