//! The body of an answer, read strictly: what is missing is an error, never an empty string.

use serde_json::Value;

use super::error::InvalidResponse;
use super::refusal::RequestId;

/// A JSON body. Unknown fields are ignored.
///
/// It is a tree and not a struct because the errors of serde quote what they did not expect, which
/// may be a secret.
pub(super) struct ResponseBody(Value);

impl ResponseBody {
    pub(super) fn parse(body: &[u8]) -> Result<Self, InvalidResponse> {
        serde_json::from_slice(body).map(Self).map_err(|_| InvalidResponse::NotJson)
    }

    /// The text at a place such as `/Credentials/AccessKeyId`.
    pub(super) fn text(&self, place: &'static str) -> Result<&str, InvalidResponse> {
        // By hand: `Value::pointer` copies each name twice for escapes that ours do not have. And none of our places
        // is deeper than an object in the answer's object.
        let names = place.strip_prefix('/').unwrap_or(place);
        let inner = names.bytes().position(|b| b == b'/');
        let found = match inner {
            Some(at) => self.0.get(&names[..at]).and_then(|outer| outer.get(&names[at + 1..])),
            None => self.0.get(names),
        };
        let text = found.and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).ok_or(InvalidResponse::Lacks(place))
    }

    /// The request's id, in an error also written in lower case.
    pub(super) fn request_id(&self) -> Option<RequestId> {
        self.text("/RequestId").or_else(|_| self.text("/requestId")).ok()?.parse().ok()
    }
}
