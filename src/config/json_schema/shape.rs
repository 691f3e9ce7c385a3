//! The JSON Schema of a type, by deserializing it: serde names the keys of each struct and asks for the type of each value.
//! So the schema cannot differ from what the loader reads.

use serde::de::{
    DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value, json};

use crate::config::bounds;
use crate::config::node::{FIELD, InvalidValue};

/// A text for every key that takes one, and the name of one entry of every table with names that the operator chooses.
const SAMPLE: &str = "name";

/// The schema of `T`.
pub(super) fn of<'de, T: Deserialize<'de>>() -> Value {
    let mut shape = json!({});
    // A sample that `T` refuses has left its shape all the same.
    let _ = T::deserialize(Tracer(&mut shape));
    shape
}

/// A deserializer that records what it is asked for.
struct Tracer<'a>(&'a mut Value);

impl Tracer<'_> {
    fn trace<'de, T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, InvalidValue> {
        let Self(shape) = self;
        let traced = seed.deserialize(Tracer(shape));
        // The bounds of a number are known only to its type, whose error names them.
        if let Err(error) = &traced
            && shape["type"] == "integer"
            && let Some((min, max)) = bounds::in_message(&error.to_string())
        {
            *shape = json!({"type": "integer", "minimum": min, "maximum": max});
        }
        traced
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
            *self.0 = json!({"type": "integer", "minimum": <$type>::MIN, "maximum": <$type>::MAX});
            // The least likely value within bounds.
            visitor.visit_i64(i64::MIN)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = InvalidValue;

    integers! {
        deserialize_i8: i8, deserialize_i16: i16, deserialize_i32: i32, deserialize_i64: i64,
        deserialize_u8: u8, deserialize_u16: u16, deserialize_u32: u32, deserialize_u64: u64,
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct ignored_any }

    /// Asked by types that read several kinds of values, and by those of a text whose messages for other values are their
    /// own. `{}` is left where the kinds are unknown.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        let expected = (&visitor as &dyn Expected).to_string();
        *self.0 = if expected.starts_with("text") { json!({"type": "string"}) } else { json!({}) };
        visitor.visit_str(SAMPLE)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        *self.0 = json!({"type": "boolean"});
        visitor.visit_bool(false)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        *self.0 = json!({"type": "number"});
        visitor.visit_f64(0.0)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        *self.0 = json!({"type": "string"});
        visitor.visit_str(SAMPLE)
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
        *self.0 = json!({"enum": variants});
        let word = variants.first().copied().unwrap_or_default();
        word.into_deserializer().deserialize_enum(name, variants, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        let mut item = json!({});
        let read = visitor.visit_seq(OneItem { item: Some(&mut item) });
        *self.0 = json!({"type": "array", "items": item});
        read
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
        let mut members = Members::of(&[SAMPLE]);
        let read = visitor.visit_map(&mut members);
        let (_, value) = members.shapes.swap_remove(0);
        *self.0 = json!({"type": "object", "additionalProperties": value});
        read
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        let mut members = Members::of(fields);
        let read = visitor.visit_map(&mut members);
        let shapes = members.shapes.into_iter();
        let properties: Map<_, _> = shapes.map(|(name, shape)| (name.to_owned(), shape)).collect();
        *self.0 =
            json!({"type": "object", "additionalProperties": false, "properties": properties});
        read
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        if name == FIELD {
            // A field reads its path and its value, and keeps the value's error to itself.
            let mut value = Members::of(&[SAMPLE]);
            let read = visitor.visit_map(&mut value);
            *self.0 = value.shapes.swap_remove(0).1;
            return read;
        }
        visitor.visit_newtype_struct(self)
    }
}

/// The members of a table, in their order.
struct Members {
    shapes: Vec<(&'static str, Value)>,
    read: usize,
}

impl Members {
    fn of(names: &[&'static str]) -> Self {
        Self { shapes: names.iter().map(|name| (*name, json!({}))).collect(), read: 0 }
    }
}

impl<'de> MapAccess<'de> for &mut Members {
    type Error = InvalidValue;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, InvalidValue> {
        let name = self.shapes.get(self.read).map(|(name, _)| *name);
        name.map(|name| seed.deserialize(name.into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, InvalidValue> {
        let (_, shape) = &mut self.shapes[self.read];
        self.read += 1;
        Tracer(shape).trace(seed)
    }
}

/// The item of a list.
struct OneItem<'a> {
    item: Option<&'a mut Value>,
}

impl<'de> SeqAccess<'de> for OneItem<'_> {
    type Error = InvalidValue;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, InvalidValue> {
        self.item.take().map(|item| Tracer(item).trace(seed)).transpose()
    }
}
