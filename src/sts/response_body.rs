//! A response body of STS. Parsing is strict: a missing field is an error, never an empty string.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::error::InvalidResponse;
use super::refusal::RequestId;

/// A JSON body. Unknown fields are ignored.
///
/// It is a tree and not a struct because serde's errors quote unexpected values, which may be secrets.
pub(super) struct ResponseBody<'a>(Node<'a>);

/// A JSON value, of which only texts and objects are kept: every field that is read is one. Texts without escapes are
/// borrowed from the body.
enum Node<'a> {
    Text(Cow<'a, str>),
    /// In the order of the body. Of a repeated name, the last one counts.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
    Other,
}

impl<'a> ResponseBody<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, InvalidResponse> {
        // Checked as a whole, which is faster than text by text.
        let body = str::from_utf8(body).map_err(|_| InvalidResponse::NotJson)?;
        serde_json::from_str(body).map(Self).map_err(|_| InvalidResponse::NotJson)
    }

    /// The text at a path such as `/Credentials/AccessKeyId`.
    pub(super) fn text(&self, path: &'static str) -> Result<&str, InvalidResponse> {
        let mut names = path.as_bytes().split(|&byte| byte == b'/').skip(1);
        match names.try_fold(&self.0, |node, name| node.member(name)) {
            Some(Node::Text(text)) if !text.is_empty() => Ok(text),
            _ => Err(InvalidResponse::Lacks(path)),
        }
    }

    /// The request's id; errors also spell the field in lower case.
    pub(super) fn request_id(&self) -> Option<RequestId> {
        self.text("/RequestId").or_else(|_| self.text("/requestId")).ok()?.parse().ok()
    }
}

impl Node<'_> {
    fn member(&self, name: &[u8]) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(other, _)| other.as_bytes() == name).map(|(_, value)| value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

/// Makes a node of any value, so that no value is unexpected.
struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(text.into()))
    }

    /// A text with escapes.
    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(text.to_owned().into()))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Node<'de>, M::Error> {
        let mut members = Vec::new();
        // Names are nodes too: serde reads a plain `Cow` as a copy.
        while let Some((name, value)) = map.next_entry::<Node<'_>, _>()? {
            if let Node::Text(name) = name {
                members.push((name, value));
            }
        }
        Ok(Node::Object(members))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Node<'de>, S::Error> {
        while items.next_element::<Node<'_>>()?.is_some() {}
        Ok(Node::Other)
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(body: &'a ResponseBody<'_>, path: &'static str) -> Option<&'a str> {
        body.text(path).ok()
    }

    #[test]
    fn a_text_is_found_at_its_path_beside_values_of_every_kind() {
        let body = br#"{"Null":null,"Bool":true,"Int":-7,"Large":18446744073709551615,"Float":1.5e3,"List":["a",{"b":[]}],
            "A":{"B":"inner","C":{"B":"deepest"}},"B":"outer","Escaped":"\u4e2d\n\"","\u0041\u0041":"named","Empty":""}"#;
        let body = ResponseBody::parse(body).unwrap();
        for (path, expected) in [
            ("/A/B", Some("inner")),
            ("/A/C/B", Some("deepest")),
            ("/B", Some("outer")),
            ("/Escaped", Some("中\n\"")),
            ("/AA", Some("named")),
            ("/Empty", None),
            ("/A", None),
            ("/B/B", None),
            ("/List", None),
            ("/List/0", None),
            ("/Null", None),
            ("/Int", None),
            ("/C", None),
        ] {
            assert_eq!(text(&body, path), expected, "{path}");
            assert_eq!(
                body.text(path).err(),
                expected.is_none().then_some(InvalidResponse::Lacks(path))
            );
        }
    }

    #[test]
    fn of_a_repeated_name_the_last_one_counts() {
        let body = br#"{"A":{"B":"first"},"C":"text","A":{"B":"last"},"C":7}"#;
        let body = ResponseBody::parse(body).unwrap();
        assert_eq!([text(&body, "/A/B"), text(&body, "/C")], [Some("last"), None]);
    }

    #[test]
    fn a_body_that_is_not_json_is_an_error_without_its_text() {
        let deep = "[".repeat(1000);
        for body in [
            "",
            "canary",
            "{",
            r#"{"A":"canary""#,
            r#"{"A":"canary"}canary"#,
            r#"{"A":"\ud800"}"#,
            r#"{"A":nul}"#,
            "{7:7}",
            "{\"A\":\"a\nb\"}",
            &deep,
        ] {
            let refused = ResponseBody::parse(body.as_bytes()).err();
            assert_eq!(refused, Some(InvalidResponse::NotJson), "{body}");
        }
        let broken = b"{\"A\":\"\xff\"}";
        assert_eq!(ResponseBody::parse(broken).err(), Some(InvalidResponse::NotJson));
    }
}
