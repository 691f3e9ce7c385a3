//! A response body of STS. Parsing is strict: a missing field is an error, never an empty string.

use serde_json::Value;

use super::error::InvalidResponse;
use super::refusal::RequestId;

/// A JSON body. Unknown fields are ignored.
///
/// It is a tree and not a struct because serde's errors quote unexpected values, which may be secrets.
pub(super) struct ResponseBody(Value);

impl ResponseBody {
    pub(super) fn parse(body: &[u8]) -> Result<Self, InvalidResponse> {
        serde_json::from_slice(body).map(Self).map_err(|_| InvalidResponse::NotJson)
    }

    /// The text at a path such as `/Credentials/AccessKeyId`.
    pub(super) fn text(&self, path: &'static str) -> Result<&str, InvalidResponse> {
        // Not `Value::pointer`, which copies each name twice for escapes that our paths do not have. No path is
        // deeper than two names.
        let names = path.strip_prefix('/').unwrap_or(path);
        let inner = names.bytes().position(|b| b == b'/');
        let found = match inner {
            Some(at) => self.0.get(&names[..at]).and_then(|outer| outer.get(&names[at + 1..])),
            None => self.0.get(names),
        };
        let text = found.and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).ok_or(InvalidResponse::Lacks(path))
    }

    /// The request's id; errors also spell the field in lower case.
    pub(super) fn request_id(&self) -> Option<RequestId> {
        self.text("/RequestId").or_else(|_| self.text("/requestId")).ok()?.parse().ok()
    }
}
