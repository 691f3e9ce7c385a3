//! The JSON of a token without any conversion: a number is the text that the issuer wrote.
//!
//! `serde_json::Value` turns integers beyond 64 bits into floating point, so that different numbers become one, and of a
//! name that occurs twice it keeps the last.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Tokens nest two or three levels; each level is read again by the next.
const DEEPEST: usize = 16;

/// One value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Json {
    Null,
    Boolean(bool),
    /// As written.
    Number(Box<str>),
    String(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

/// A token's claims, each once.
#[derive(Debug)]
pub(super) struct Claims(BTreeMap<String, Json>);

impl Claims {
    pub(super) fn get(&self, claim: &str) -> Option<&Json> {
        self.0.get(claim)
    }
}

impl Json {
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Boolean(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => {
                None
            }
        }
    }

    /// An integer, by its text: `7`, however many digits it has, and not `7.0`, `7e0` or `-0`.
    pub(super) fn as_integer(&self) -> Option<&str> {
        let Self::Number(text) = self else { return None };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_integer = digits.bytes().all(|b| b.is_ascii_digit()) && &**text != "-0";
        is_integer.then_some(text)
    }

    /// A member of an object.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(name),
            Self::Null | Self::Boolean(_) | Self::Number(_) | Self::String(_) | Self::Array(_) => {
                None
            }
        }
    }

    fn read(raw: &RawValue, depth: usize) -> Result<Self, serde_json::Error> {
        if depth > DEEPEST {
            return Err(serde_json::Error::custom("the claims are nested too deeply"));
        }
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Boolean(serde_json::from_str(text)?),
            Some(b'"') => Self::String(serde_json::from_str(text)?),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                let read = |item| Self::read(item, depth + 1);
                Self::Array(items.into_iter().map(read).collect::<Result<_, _>>()?)
            }
            Some(b'{') => Self::Object(serde_json::from_str::<Members>(text)?.read(depth)?),
            _ => Self::Number(text.into()),
        })
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Members::deserialize(deserializer)?.read(0).map(Self).map_err(D::Error::custom)
    }
}

/// Reads an object, and no list: serde would take its items as the members of a struct, in their order.
pub(super) fn from_object<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    match json.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(json),
        Some(_) | None => Err(serde_json::Error::custom("it is no object")),
    }
}

/// An object's members, not read yet.
struct Members(BTreeMap<String, Box<RawValue>>);

impl Members {
    fn read(self, depth: usize) -> Result<BTreeMap<String, Json>, serde_json::Error> {
        let read = |(name, raw): (String, Box<RawValue>)| Ok((name, Json::read(&raw, depth + 1)?));
        self.0.into_iter().map(read).collect()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    // RFC 7519 §4: names must be unique. Two parsers might choose different ones of two.
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name occurs twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Claims, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn an_integer_keeps_its_text_and_other_numbers_are_no_integers() {
        let integer = |number: &str| {
            let claims = read(&format!(r#"{{"n": {number} }}"#)).unwrap();
            claims.get("n").unwrap().as_integer().map(str::to_owned)
        };
        for number in ["0", "7", "-7", "18446744073709551616", "20251129000000000001"] {
            assert_eq!(integer(number).as_deref(), Some(number));
        }
        for number in ["-0", "7.0", "7e0", "1E400", "0.1", "2.0251129e+19", "\"7\"", "true"] {
            assert_eq!(integer(number), None, "{number}");
        }
    }

    #[test]
    fn ambiguous_or_deeply_nested_json_is_refused() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":1}"#, r#"{"b":{"a":1,"a":1}}"#, "[]"] {
            assert!(read(text).is_err(), "{text}");
        }
        let nested =
            |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert!(read(&nested(DEEPEST)).is_ok());
        for levels in [DEEPEST + 1, 100, 100_000] {
            assert!(read(&nested(levels)).is_err(), "{levels}");
        }
    }

    #[test]
    fn every_kind_of_json_value_is_read() {
        let claims = read(r#"{"o":{"l":["x",1,true,null]}}"#).unwrap();
        let list = vec![
            Json::String("x".to_owned()),
            Json::Number("1".into()),
            Json::Boolean(true),
            Json::Null,
        ];
        let expected = BTreeMap::from([("l".to_owned(), Json::Array(list))]);
        assert_eq!(claims.get("o"), Some(&Json::Object(expected)));
    }
}
