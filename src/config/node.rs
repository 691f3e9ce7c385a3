//! The merged tree as serde reads it: a value from a file has the type that TOML gave it, and only text from the
//! environment, which has no other type, is converted.

use std::fmt;

use config::{Value, ValueKind};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Asks for a whole node, in which text from the environment stays what it is. No other type has such a name.
const WHOLE: &str = "$appserver::config::Node";

/// A value and all that is in it.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// An environment variable's text.
    Variable(String),
    /// A TOML date or time, which no key takes.
    Date,
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

impl Node {
    /// The origin of values from the environment says so in place of a file's name.
    pub(super) fn of(value: Value, environment: &str) -> Self {
        let is_variable = value.origin() == Some(environment);
        let inner = |value| Self::of(value, environment);
        let integer = |number: Result<i64, _>| number.unwrap_or(i64::MAX);
        match value.kind {
            ValueKind::Nil => Self::Date,
            ValueKind::Boolean(value) => Self::Boolean(value),
            ValueKind::I64(value) => Self::Integer(value),
            // The rest of the integers: TOML has none of them.
            ValueKind::I128(value) => Self::Integer(integer(value.try_into())),
            ValueKind::U64(value) => Self::Integer(integer(value.try_into())),
            ValueKind::U128(value) => Self::Integer(integer(value.try_into())),
            ValueKind::Float(value) => Self::Float(value),
            ValueKind::String(text) if is_variable => Self::Variable(text),
            ValueKind::String(text) => Self::Text(text),
            ValueKind::Array(items) => Self::List(items.into_iter().map(inner).collect()),
            ValueKind::Table(table) => {
                Self::Table(table.into_iter().map(|(key, value)| (key, inner(value))).collect())
            }
        }
    }
}

/// Why a value is not what its key takes, without the value: that may be a secret in the wrong place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct InvalidValue(String);

impl de::Error for InvalidValue {
    fn custom<T: fmt::Display>(rule: T) -> Self {
        Self(rule.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self(format!("it must be {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // serde names Rust's types of numbers.
        match expected.to_string().as_str() {
            "a nonzero u32" => must_be(&format!("an integer from 1 to {}", u32::MAX)),
            "u32" => must_be(&format!("an integer from 0 to {}", u32::MAX)),
            "u64" | "usize" => must_be("an integer that is not below 0"),
            other => must_be(other),
        }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        must_be(&format!("one of `{}`", expected.join("`, `")))
    }
}

fn must_be(kind: &str) -> InvalidValue {
    InvalidValue(format!("it must be {kind}"))
}

impl<'de> IntoDeserializer<'de, InvalidValue> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
            visitor.visit_i64(self.integer()?)
        }
    )*};
}

impl Node {
    fn integer(&self) -> Result<i64, InvalidValue> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::Variable(text) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| must_be("an integer"))
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = InvalidValue;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct ignored_any }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        match self {
            Self::Boolean(value) => visitor.visit_bool(value),
            Self::Integer(value) => visitor.visit_i64(value),
            Self::Float(value) => visitor.visit_f64(value),
            Self::Text(text) | Self::Variable(text) => visitor.visit_string(text),
            Self::Date => visitor.visit_unit(),
            Self::List(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Self::Table(table) => visitor.visit_map(MapDeserializer::new(table.into_iter())),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        let value = match self {
            Self::Boolean(value) => Some(value),
            Self::Variable(text) => match text.to_lowercase().as_str() {
                "1" | "true" | "on" | "yes" => Some(true),
                "0" | "false" | "off" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        };
        visitor.visit_bool(value.ok_or_else(|| must_be("`true` or `false`, without quotes"))?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        let value = match self {
            Self::Float(value) => Some(value),
            // `1` is 1.0 without a doubt; the keys that take fractions take small numbers.
            Self::Integer(value) => i32::try_from(value).ok().map(f64::from),
            Self::Variable(text) => text.parse().ok(),
            _ => None,
        };
        visitor.visit_f64(value.ok_or_else(|| must_be("a number"))?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        match self {
            Self::Text(text) | Self::Variable(text) => visitor.visit_string(text),
            _ => Err(must_be("text in quotes")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        self.deserialize_string(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        self.deserialize_string(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        self.deserialize_string(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        match self {
            Self::Text(text) | Self::Variable(text) => {
                text.into_deserializer().deserialize_enum(name, variants, visitor)
            }
            _ => Err(must_be("text in quotes")),
        }
    }

    /// A list, or in an environment variable its items with commas between them.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        let items = match self {
            Self::List(items) => items,
            Self::Variable(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| Self::Variable(item.to_owned())).collect()
            }
            _ => return Err(must_be("a list, in `[` and `]`")),
        };
        visitor.visit_seq(SeqDeserializer::new(items.into_iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        match self {
            Self::Table(table) => visitor.visit_map(MapDeserializer::new(table.into_iter())),
            _ => Err(must_be("a table")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        match self {
            // Nothing else here is bytes.
            Self::Variable(text) if name == WHOLE => visitor.visit_byte_buf(text.into_bytes()),
            whole if name == WHOLE => whole.deserialize_any(visitor),
            other => visitor.visit_newtype_struct(other),
        }
    }
}

/// From a [`Node`]'s own deserializer, also where another one is wrapped around it.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl<'de> Visitor<'de> for Whole {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of the configuration")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Boolean(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Integer(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Float(value))
            }

            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(text.to_owned()))
            }

            fn visit_bytes<E: de::Error>(self, text: &[u8]) -> Result<Node, E> {
                let text = std::str::from_utf8(text).map_err(E::custom)?;
                Ok(Node::Variable(text.to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Date)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut table = Vec::new();
                while let Some(member) = map.next_entry()? {
                    table.push(member);
                }
                Ok(Node::Table(table))
            }
        }

        deserializer.deserialize_newtype_struct(WHOLE, Whole)
    }
}
