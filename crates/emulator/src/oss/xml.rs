//! Reads and writes XML.

use axum::body::Bytes;
use quick_xml::events::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::OssError;

/// Writes a document with this root, without a namespace as OSS does and SDKs expect.
pub(crate) fn write<T: Serialize>(root: &str, value: &T) -> String {
    let xml = quick_xml::se::to_string_with_root(root, value)
        .expect("texts, numbers and lists of them are always XML");
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", in_xml(&xml))
}

/// Replaces control characters, which XML cannot contain; with `encoding-type=url` keys contain none.
fn in_xml(xml: &str) -> String {
    let is_writable = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    xml.chars().map(|c| if is_writable(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, OssError> {
    let text = std::str::from_utf8(body).map_err(|_| OssError::MalformedXml)?;
    quick_xml::de::from_str(text).map_err(|_| OssError::MalformedXml)
}

/// Whether the bytes are an XML document.
pub(crate) fn is_well_formed(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else { return false };
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut has_root, mut depth) = (false, 0_usize);
    loop {
        match reader.read_event() {
            // The reader refuses an end that fits no start, but not a start without an end.
            Ok(Event::Eof) => return has_root && depth == 0,
            Ok(Event::Start(_)) => (has_root, depth) = (true, depth + 1),
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Empty(_)) => has_root = true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}
