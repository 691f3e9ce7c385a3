//! The parameters of a call, from query and form.

use std::collections::BTreeMap;

use percent_encoding::percent_decode;

use super::error::GatewayError;

/// The decoded parameters of a call, sorted by the bytes of their names, as signatures need them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads the query and, if it is a form, the body. The last value of a repeated name counts.
    pub(crate) fn read(
        query: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Self, GatewayError> {
        let mut params = Self::default();
        params.add(query.unwrap_or_default().as_bytes());
        let media_type = content_type.map(|value| value.split(';').next().unwrap_or(value).trim());
        match media_type.map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "application/x-www-form-urlencoded") => params.add(body),
            // Accepted, but without parameters: RPC calls carry none in JSON.
            Some("application/json") => {}
            Some(_) if body.is_empty() => {}
            Some(_) => return Err(GatewayError::ContentType),
        }
        Ok(params)
    }

    /// The value of a parameter, if present and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a mandatory parameter.
    pub(crate) fn need(&self, name: &'static str) -> Result<&str, GatewayError> {
        self.get(name).ok_or(GatewayError::Missing(name))
    }

    /// All parameters in order, including empty ones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// By name, empty values included.
    pub(crate) fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Sets a parameter that came in a header.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    fn add(&mut self, encoded: &[u8]) {
        for pair in encoded.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|&b| b == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &b""[..]),
            };
            self.0.insert(decode(name), decode(value));
        }
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Params {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }
}

/// Invalid UTF-8 becomes U+FFFD, so that no signature matches.
fn decode(encoded: &[u8]) -> String {
    let spaced: Vec<u8> = encoded.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_form_are_merged_and_empty_values_kept() {
        let read = Params::read(
            Some("Action=AssumeRole&SignatureType=&Format=XML"),
            Some("application/x-www-form-urlencoded; charset=utf-8"),
            b"Format=JSON&Flag",
        );
        let expected =
            [("Action", "AssumeRole"), ("Flag", ""), ("Format", "JSON"), ("SignatureType", "")];
        assert_eq!(read.unwrap(), Params::from(expected));
    }

    #[test]
    fn a_plus_is_a_space_and_percent_escapes_are_decoded_once() {
        let read = Params::read(Some("a=x+y%2Bz%2525&b=%E4%B8%AD%2A~"), None, b"").unwrap();
        assert_eq!(read, Params::from([("a", "x y+z%25"), ("b", "中*~")]));
    }

    #[test]
    fn a_body_is_a_form_or_json() {
        let read = |content_type, body| Params::read(None, content_type, body);
        let outcomes = [
            read(None, b"a=1"),
            read(Some("application/json"), b"{}"),
            read(Some("text/plain"), b""),
            read(Some("text/plain"), b"a=1"),
        ];
        let expected = [
            Ok(Params::from([("a", "1")])),
            Ok(Params::default()),
            Ok(Params::default()),
            Err(GatewayError::ContentType),
        ];
        assert_eq!(outcomes, expected);
    }
}
