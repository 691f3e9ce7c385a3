//! The merged tree as serde reads it. Every node knows its path, so that a section's [`Field`](super::field::Field) knows
//! its key. A value from a file has the type TOML gave it; only text from the environment, which has no other type, is
//! converted.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use config::{Value, ValueKind};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// The name by which a field asks for its path and its value. No type has such a name.
pub(super) const FIELD: &str = "$appserver::config::Field";

/// The paths of the keys that no section has: all of them, where `deny_unknown_fields` would stop at the first.
pub(super) type UnknownKeys = Rc<RefCell<Vec<String>>>;

/// A value and where it is in the tree.
#[derive(Clone, Debug)]
pub(super) struct Node {
    path: String,
    kind: Kind,
    /// Of the whole tree, found as the tree is read.
    unknown: UnknownKeys,
}

#[derive(Clone, Debug)]
enum Kind {
    /// A key of a section that no layer sets.
    Absent,
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
    /// The root of a tree. Values whose origin is `environment` come from variables.
    pub(super) fn root(value: Value, environment: &str) -> Self {
        Self::at(String::new(), value, environment, &UnknownKeys::default())
    }

    /// Where the keys are found that no section has.
    pub(super) fn unknown(&self) -> UnknownKeys {
        Rc::clone(&self.unknown)
    }

    fn at(path: String, value: Value, environment: &str, unknown: &UnknownKeys) -> Self {
        let is_variable = value.origin() == Some(environment);
        let integer = |number: Result<i64, _>| number.unwrap_or(i64::MAX);
        let kind = match value.kind {
            ValueKind::Nil => Kind::Date,
            ValueKind::Boolean(value) => Kind::Boolean(value),
            ValueKind::I64(value) => Kind::Integer(value),
            // TOML has no other integers.
            ValueKind::I128(value) => Kind::Integer(integer(value.try_into())),
            ValueKind::U64(value) => Kind::Integer(integer(value.try_into())),
            ValueKind::U128(value) => Kind::Integer(integer(value.try_into())),
            ValueKind::Float(value) => Kind::Float(value),
            ValueKind::String(text) if is_variable => Kind::Variable(text),
            ValueKind::String(text) => Kind::Text(text),
            ValueKind::Array(items) => {
                let item = |item| Self::at(path.clone(), item, environment, unknown);
                Kind::List(items.into_iter().map(item).collect())
            }
            ValueKind::Table(table) => {
                let member = |(key, value): (String, _)| {
                    let node = Self::at(below(&path, &key), value, environment, unknown);
                    (key, node)
                };
                Kind::Table(table.into_iter().map(member).collect())
            }
        };
        Self { path, kind, unknown: Rc::clone(unknown) }
    }

    fn integer(&self) -> Result<i64, InvalidValue> {
        match &self.kind {
            Kind::Integer(value) => Some(*value),
            Kind::Variable(text) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| must_be("an integer"))
    }
}

/// The path of a key in a table; `""` is the top.
pub(super) fn below(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
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
            "u32" => must_be(&format!("an integer from 0 to {}", u32::MAX)),
            other => must_be(other),
        }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        match expected {
            [others @ .., last] if !others.is_empty() => {
                must_be(&format!("`{}` or `{last}`", others.join("`, `")))
            }
            _ => must_be(&format!("`{}`", expected.join("`, `"))),
        }
    }
}

fn must_be(kind: &str) -> InvalidValue {
    InvalidValue(format!("it must be {kind}"))
}

impl IntoDeserializer<'_, InvalidValue> for Node {
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

impl<'de> Deserializer<'de> for Node {
    type Error = InvalidValue;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct }

    /// A section ignores what it does not have.
    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        self.unknown.borrow_mut().push(self.path);
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        match self.kind {
            Kind::Boolean(value) => visitor.visit_bool(value),
            Kind::Integer(value) => visitor.visit_i64(value),
            Kind::Float(value) => visitor.visit_f64(value),
            Kind::Text(text) | Kind::Variable(text) => visitor.visit_string(text),
            Kind::Date | Kind::Absent => visitor.visit_unit(),
            Kind::List(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Kind::Table(table) => visitor.visit_map(MapDeserializer::new(table.into_iter())),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        let value = match self.kind {
            Kind::Boolean(value) => Some(value),
            Kind::Variable(text) => match text.to_lowercase().as_str() {
                "1" | "true" | "on" | "yes" => Some(true),
                "0" | "false" | "off" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        };
        visitor.visit_bool(value.ok_or_else(|| must_be("`true` or `false`, without quotes"))?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        let value = match self.kind {
            Kind::Float(value) => Some(value),
            // `1` is 1.0 without a doubt; the keys that take fractions take small numbers.
            Kind::Integer(value) => i32::try_from(value).ok().map(f64::from),
            Kind::Variable(text) => text.parse().ok(),
            _ => None,
        };
        visitor.visit_f64(value.ok_or_else(|| must_be("a number"))?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        match self.kind {
            Kind::Text(text) | Kind::Variable(text) => visitor.visit_string(text),
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
        match self.kind {
            Kind::Text(text) | Kind::Variable(text) => {
                text.into_deserializer().deserialize_enum(name, variants, visitor)
            }
            _ => Err(must_be("text in quotes")),
        }
    }

    /// A list, or in an environment variable its items with commas between them.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        let items = match self.kind {
            Kind::List(items) => items,
            Kind::Variable(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                let item = |text: &str| Self {
                    path: self.path.clone(),
                    kind: Kind::Variable(text.to_owned()),
                    unknown: Rc::clone(&self.unknown),
                };
                items.map(item).collect::<Vec<_>>()
            }
            _ => return Err(must_be("a list, in `[` and `]`")),
        };
        let is_numbered = items.len() > 1;
        visitor.visit_seq(Items { items: items.into_iter(), read: 0, is_numbered })
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
        match self.kind {
            Kind::Table(table) => visitor.visit_map(MapDeserializer::new(table.into_iter())),
            Kind::Absent => {
                visitor.visit_map(MapDeserializer::new(Vec::<(String, Self)>::new().into_iter()))
            }
            _ => Err(must_be("a table")),
        }
    }

    /// A key that no layer sets is there too, as absent, so that its field learns its path.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        let mut table = match self.kind {
            Kind::Table(table) => table,
            Kind::Absent => Vec::new(),
            _ => return Err(must_be("a table")),
        };
        for field in fields {
            if !table.iter().any(|(key, _)| key == field) {
                let path = below(&self.path, field);
                let unknown = Rc::clone(&self.unknown);
                let absent = Self { path, kind: Kind::Absent, unknown };
                table.push(((*field).to_owned(), absent));
            }
        }
        visitor.visit_map(MapDeserializer::new(table.into_iter()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        match self.kind {
            Kind::Absent => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        match self.kind {
            _ if name != FIELD => visitor.visit_newtype_struct(self),
            Kind::Absent => visitor.visit_string(self.path),
            _ => {
                visitor.visit_map(PathAndValue { path: Some(self.path.clone()), value: Some(self) })
            }
        }
    }
}

/// The items of a list. A problem says which of them it is about.
struct Items {
    items: std::vec::IntoIter<Node>,
    read: usize,
    is_numbered: bool,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = InvalidValue;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, InvalidValue> {
        let Some(item) = self.items.next() else { return Ok(None) };
        self.read += 1;
        let of_item = |InvalidValue(rule)| match self.read {
            number if self.is_numbered => InvalidValue(format!("item {number}: {rule}")),
            _ => InvalidValue(rule),
        };
        seed.deserialize(item).map(Some).map_err(of_item)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// What a field reads: one entry, the path with the value.
struct PathAndValue {
    path: Option<String>,
    value: Option<Node>,
}

impl<'de> MapAccess<'de> for PathAndValue {
    type Error = InvalidValue;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, InvalidValue> {
        let path = self.path.take();
        path.map(|path| seed.deserialize(path.into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, InvalidValue> {
        seed.deserialize(self.value.take().expect("a field reads one value"))
    }
}
