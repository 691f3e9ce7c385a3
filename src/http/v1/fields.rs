//! Reads the fields of a request, from JSON or from a query, into its wire type.
//!
//! An error names the field and the rule that its value breaks, never the value: it may be a secret. Unknown and repeated
//! fields are refused. A field that is `null` is not absent: `"Policy": null` would vend the whole grant.

use std::borrow::Cow;
use std::fmt;

use axum::http::Uri;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Error as _, Expected, IntoDeserializer, MapAccess,
    Unexpected, Visitor,
};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::http::error::ApiError;
use appserver_domain::ValueName;

/// The name by which a type requests its field's JSON text: an object's, or a string's content.
pub(crate) const JSON_TEXT: &str = "appserver::JsonText";

/// What the names of a query begin with that are the members of `Parameters`.
const PARAMETERS: &str = "Parameters";

/// Reads the members of a JSON object.
pub(crate) fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, ApiError> {
    let members: Members<'_> =
        serde_json::from_slice(json).map_err(|error| ApiError::Malformed(described(&error)))?;
    read(members.iter())
}

/// The position of the JSON error. The text is left out: it may be a secret.
fn described(error: &serde_json::Error) -> Cow<'static, str> {
    let what = match error.classify() {
        Category::Data => "the body is not a JSON object, or names a member twice",
        Category::Syntax | Category::Eof | Category::Io => "the body is not JSON",
    };
    format!("{what} (line {}, column {})", error.line(), error.column()).into()
}

/// The names and values of a query in their order. Every query has some form: bytes that are no UTF-8 are replaced.
pub(crate) fn query_pairs(uri: &Uri) -> Vec<(String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

/// Reads `?Grant=…&DurationSeconds=1800&Parameters.album=…`.
pub(crate) fn from_query<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, ApiError> {
    let repeated = |(i, (name, _)): (usize, &(String, String))| {
        pairs[..i].iter().any(|(earlier, _)| earlier == name)
    };
    if let Some((_, (name, _))) = pairs.iter().enumerate().find(|pair| repeated(*pair)) {
        let named = parameter(name).unwrap_or(name).parse::<ValueName>().is_ok();
        let which =
            if named { format!("the parameter `{name}`") } else { "a parameter".to_owned() };
        return Err(ApiError::Malformed(format!("{which} is repeated in the query").into()));
    }
    let (parameters, others): (Vec<_>, Vec<_>) = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .partition(|(name, _)| parameter(name).is_some());
    let parameters: Vec<_> = parameters
        .into_iter()
        .filter_map(|(name, value)| Some((parameter(name)?, value)))
        .collect();
    let exploded = (!parameters.is_empty()).then_some((PARAMETERS, Value::Exploded(&parameters)));
    read(others.into_iter().map(|(name, value)| (name, Value::Text(value))).chain(exploded))
}

fn parameter(name: &str) -> Option<&str> {
    name.strip_prefix(PARAMETERS)?.strip_prefix('.')
}

fn read<'a, T: DeserializeOwned>(
    members: impl Iterator<Item = (&'a str, Value<'a>)>,
) -> Result<T, ApiError> {
    T::deserialize(Object(Fields { parent: None, members, value: None })).map_err(|error| {
        match error {
            FieldError::Named(error) => error,
            // No type that is read here has a rule for all of its fields together.
            FieldError::Rule(rule) => ApiError::Malformed(rule.into()),
        }
    })
}

/// The members of a JSON object in their order, each name once, their values unread.
#[derive(Debug)]
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl Members<'_> {
    fn iter(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), Value::Json(value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::<(String, &RawValue)>::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    if members.iter().any(|(earlier, _)| *earlier == name) {
                        return Err(A::Error::custom("a member is repeated"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// A field's raw value.
#[derive(Clone, Copy)]
enum Value<'a> {
    Json(&'a RawValue),
    /// Of a query.
    Text(&'a str),
    /// Several parameters of a query that together are one field.
    Exploded(&'a [(&'a str, &'a str)]),
}

impl Value<'_> {
    fn is_null(self) -> bool {
        matches!(self, Self::Json(raw) if raw.get() == "null")
    }
}

/// Why a field cannot be read.
#[derive(Debug, thiserror::Error)]
enum FieldError {
    /// The rule that the value breaks; [`Fields`] names the field.
    #[error("{0}")]
    Rule(String),
    #[error(transparent)]
    Named(ApiError),
}

impl FieldError {
    fn rule(rule: &str) -> Self {
        Self::Rule(rule.to_owned())
    }

    fn named(self, field: impl Into<String>, value: Value<'_>) -> Self {
        match self {
            // Some clients write `null` for an absent value; the error says that it is not the same.
            Self::Rule(rule) if value.is_null() => Self::Named(ApiError::invalid(
                field.into(),
                format!("{rule}, and never `null`: leave the member out"),
            )),
            Self::Rule(rule) => Self::Named(ApiError::invalid(field.into(), rule)),
            Self::Named(_) => self,
        }
    }
}

impl serde::de::Error for FieldError {
    fn custom<T: fmt::Display>(rule: T) -> Self {
        Self::Rule(rule.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Rule(format!("it must be {expected}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let known = match known.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            all => all.join(", "),
        };
        // A code names only what could be a parameter's name, never arbitrary text.
        Self::Named(match field.parse::<ValueName>() {
            Ok(name) => ApiError::invalid(
                name.to_string(),
                format!("there is no such parameter; the parameters are {known}"),
            ),
            Err(_) => ApiError::Malformed(
                format!("it has an unknown parameter; the parameters are {known}").into(),
            ),
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Named(ApiError::invalid(field, "it is required"))
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::Named(ApiError::Malformed("a parameter is repeated".into()))
    }
}

/// The fields of a request, or the members of one of its fields.
struct Fields<'a, I> {
    parent: Option<&'a str>,
    members: I,
    /// The field whose name has been read.
    value: Option<(&'a str, Value<'a>)>,
}

impl<'de, 'a, I: Iterator<Item = (&'a str, Value<'a>)>> MapAccess<'de> for Fields<'a, I> {
    type Error = FieldError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, FieldError> {
        self.value = self.members.next();
        let Some((name, _)) = self.value else { return Ok(None) };
        let name: StrDeserializer<'_, FieldError> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, FieldError> {
        let (name, value) = self.value.expect("serde reads a value after its name");
        seed.deserialize(Field { name, value }).map_err(|error| match self.parent {
            None => error.named(name, value),
            Some(parent) => match name.parse::<ValueName>() {
                Ok(name) => error.named(format!("{parent}.{name}"), value),
                Err(_) => error.named(parent, value),
            },
        })
    }
}

/// All fields of a request together.
struct Object<'a, I>(Fields<'a, I>);

impl<'de, 'a, I: Iterator<Item = (&'a str, Value<'a>)>> Deserializer<'de> for Object<'a, I> {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_map(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// One field: a text, a whole number, an object of texts, or the [`JSON_TEXT`] of an object.
struct Field<'a> {
    name: &'a str,
    value: Value<'a>,
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        Err(FieldError::invalid_type(Unexpected::Other("a value"), &visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_some(self)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Json(raw) => match serde_json::from_str::<String>(raw.get()) {
                Ok(text) => visitor.visit_string(text),
                Err(_) => self.deserialize_any(visitor),
            },
            Value::Exploded(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        let digits = match self.value {
            Value::Text(text) => text,
            Value::Json(raw) => raw.get(),
            Value::Exploded(_) => "",
        };
        // `parse` would take `+1800` and `01800` as well. 0 is a number, and out of the grant's range.
        let has_leading_zero = digits.starts_with('0') && digits != "0";
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !has_leading_zero;
        if let Some(number) = plain.then(|| digits.parse().ok()).flatten() {
            return visitor.visit_u64(number);
        }
        // Fields of numbers end with their unit.
        let unit = if self.name.ends_with("Bytes") { "bytes" } else { "seconds" };
        let quotes = if digits.starts_with('"') { "quotes, " } else { "" };
        Err(FieldError::Rule(format!(
            "it must be a whole number of {unit}, without {quotes}a sign or leading zeros"
        )))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        let (parent, value) = (Some(self.name), None);
        match self.value {
            Value::Json(raw) => match serde_json::from_str::<Members<'_>>(raw.get()) {
                Ok(members) => visitor.visit_map(Fields { parent, members: members.iter(), value }),
                Err(_) => Err(FieldError::rule(
                    "it must be an object whose members are strings, each name once",
                )),
            },
            Value::Exploded(pairs) => {
                let members = pairs.iter().map(|&(name, text)| (name, Value::Text(text)));
                visitor.visit_map(Fields { parent, members, value })
            }
            Value::Text(_) => {
                let name = self.name;
                Err(FieldError::Rule(format!("in a query it must be written `{name}.NAME=value`")))
            }
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match self.value {
            Value::Json(raw) if name == JSON_TEXT && raw.get().starts_with('{') => {
                visitor.visit_str(raw.get())
            }
            _ if name == JSON_TEXT => self.deserialize_string(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char str bytes byte_buf unit unit_struct
        seq tuple tuple_struct struct enum identifier ignored_any
    }
}
