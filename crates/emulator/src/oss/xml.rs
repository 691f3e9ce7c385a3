//! XML in and out.

use axum::body::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::OssError;

/// A document with this root. OSS's have no namespace, and SDKs look for names without one.
pub(crate) fn write<T: Serialize>(root: &str, value: &T) -> String {
    let xml = quick_xml::se::to_string_with_root(root, value)
        .expect("texts, numbers and lists of them are always XML");
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", in_xml(&xml))
}

/// XML has no way to write control characters. Who has them in keys asks for `encoding-type=url`.
fn in_xml(xml: &str) -> String {
    let is_writable = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    xml.chars().map(|c| if is_writable(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, OssError> {
    let text = std::str::from_utf8(body).map_err(|_| OssError::MalformedXml)?;
    quick_xml::de::from_str(text).map_err(|_| OssError::MalformedXml)
}
