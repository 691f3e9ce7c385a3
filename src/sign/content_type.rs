//! The content type of an upload.

use std::fmt;

use serde::Deserialize;

use appserver_domain::Invalid;

/// A content type in lower case and without parameters, such as `image/jpeg`.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub(crate) struct ContentType(String);

/// Types in which browsers run scripts.
const SCRIPTED: [&str; 5] =
    ["application/xhtml+xml", "application/xml", "image/svg+xml", "text/html", "text/xml"];

impl ContentType {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a browser that opens the object runs the scripts in it.
    pub(crate) fn runs_scripts(&self) -> bool {
        SCRIPTED.contains(&self.as_str())
    }
}

impl TryFrom<String> for ContentType {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        // RFC 6838: what a registered name may consist of.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#&-^_.+".contains(&b);
        let is_name = |name: &str| {
            let first = name.as_bytes().first();
            name.len() <= 127
                && first.is_some_and(u8::is_ascii_alphanumeric)
                && name.bytes().all(plain)
        };
        match raw.split_once('/') {
            Some((kind, subtype)) if is_name(kind) && is_name(subtype) => {
                Ok(Self(raw.to_ascii_lowercase()))
            }
            Some(_) | None => Err(Invalid(
                "a content type reads `image/jpeg`: a type and a subtype, without wildcards and parameters",
            )),
        }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_a_type_and_a_subtype() {
        let parsed = |raw: &str| ContentType::try_from(raw.to_owned());
        for (raw, written) in [
            ("image/jpeg", "image/jpeg"),
            ("Image/SVG+XML", "image/svg+xml"),
            (
                "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
                "application/vnd.ms-excel.sheet.binary.macroenabled.12",
            ),
        ] {
            assert_eq!(parsed(raw).unwrap().as_str(), written);
        }
        for bad in [
            "",
            "image",
            "image/",
            "/jpeg",
            "image/*",
            "*/*",
            "text/plain; charset=utf-8",
            "image/jpeg ",
            "image/a/b",
            "image/jpeg\r\nx: y",
            "image/+",
            "imagé/jpeg",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
        assert!(parsed("TEXT/HTML").unwrap().runs_scripts());
        assert!(!parsed("image/png").unwrap().runs_scripts());
    }
}
