//! The callback that an upload asks for: base64 of JSON, in a header, in the query or in a form.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::body_template::{BodyTemplate, BodyType};
use super::callback_problem::{CallbackProblem, CallbackProblemKind};
use super::callback_target::CallbackTarget;
use crate::oss::head::Head;
use crate::strict_json::from_object;

const CALLBACK: &str = "callback";
const CALLBACK_VAR: &str = "callback-var";
/// Of either parameter, in base64.
const LONGEST_BYTES: usize = 5 << 10;

/// A valid request for a callback; its addresses are not checked yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CallbackRequest {
    pub(super) targets: Vec<CallbackTarget>,
    /// The `Host` header, if it is not that of the URL.
    pub(super) host: Option<String>,
    pub(super) body: BodyTemplate,
    pub(super) body_type: BodyType,
    /// Whether TLS names the host.
    pub(super) sends_sni: bool,
    /// The variables of the uploader, by their names with `x:`.
    pub(super) variables: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCallback {
    #[serde(default)]
    callback_url: String,
    callback_host: Option<String>,
    #[serde(default)]
    callback_body: String,
    callback_body_type: Option<String>,
    #[serde(default, rename = "callbackSNI")]
    callback_sni: bool,
}

impl CallbackRequest {
    /// The callback of a request whose body is the object or a list of parts, in its header or query.
    pub(crate) fn of_head(head: &Head) -> Result<Option<Self>, CallbackProblem> {
        let one_of = |header: &str, query: &'static str| match (
            head.header(header),
            head.query.get(query),
        ) {
            (Some(_), Some(text)) => Err(CallbackProblemKind::GivenTwice.of(query, text)),
            (in_header, in_query) => Ok(in_header.or(in_query)),
        };
        let callback = one_of("x-oss-callback", CALLBACK)?;
        let variables = one_of("x-oss-callback-var", CALLBACK_VAR)?;
        let Some(callback) = callback else { return Ok(None) };
        let variables = match variables {
            Some(text) => custom_variables(text)?,
            None => BTreeMap::new(),
        };
        Self::parse(callback, variables).map(Some)
    }

    /// The callback of a form, whose fields are by lower-case name: the field `callback`, and one field for each variable.
    pub(crate) fn of_form(
        fields: &BTreeMap<String, String>,
        head: &Head,
    ) -> Result<Option<Self>, CallbackProblem> {
        let callback = fields.get(CALLBACK).filter(|text| !text.is_empty());
        let Some(callback) = callback else { return Ok(None) };
        if head.header("x-oss-callback").is_some() || head.query.has(CALLBACK) {
            return Err(CallbackProblemKind::GivenTwice.of(CALLBACK, callback));
        }
        let variables = fields.iter().filter(|(name, _)| name.starts_with("x:"));
        Self::parse(callback, variables.map(|(n, v)| (n.clone(), v.clone())).collect()).map(Some)
    }

    fn parse(callback: &str, variables: BTreeMap<String, String>) -> Result<Self, CallbackProblem> {
        let (text, raw): (String, RawCallback) = decode(CALLBACK, callback)?;
        let targets = CallbackTarget::list(&raw.callback_url)?;
        if raw.callback_body.is_empty() {
            return Err(CallbackProblemKind::NoBody.of("callbackBody", text));
        }
        let body = BodyTemplate::parse(&raw.callback_body).ok_or_else(|| {
            CallbackProblemKind::InvalidBody.of("callbackBody", raw.callback_body.as_str())
        })?;
        let body_type = match raw.callback_body_type.as_deref() {
            None | Some("") => BodyType::default(),
            Some(name) => BodyType::parse(name)
                .ok_or_else(|| CallbackProblemKind::UnknownBodyType.of("callbackBodyType", name))?,
        };
        let host = raw.callback_host.filter(|host| !host.is_empty());
        if let Some(host) = &host
            && axum::http::HeaderValue::from_str(host).is_err()
        {
            return Err(CallbackProblemKind::InvalidUrl.of("callbackHost", host.as_str()));
        }
        let sends_sni = raw.callback_sni;
        Ok(Self { targets, host, body, body_type, sends_sni, variables })
    }
}

fn custom_variables(text: &str) -> Result<BTreeMap<String, String>, CallbackProblem> {
    let (decoded, variables): (_, BTreeMap<String, serde_json::Value>) =
        decode(CALLBACK_VAR, text)?;
    let valid = variables.into_iter().map(|(name, value)| {
        let is_name = name.starts_with("x:") && name == name.to_lowercase();
        Some((name, value.as_str()?.to_owned())).filter(|_| is_name)
    });
    let valid: Option<BTreeMap<_, _>> = valid.collect();
    valid.ok_or_else(|| CallbackProblemKind::InvalidVariable.of(CALLBACK_VAR, decoded))
}

/// The decoded text, and its JSON.
fn decode<T: DeserializeOwned>(
    argument: &'static str,
    text: &str,
) -> Result<(String, T), CallbackProblem> {
    if text.len() > LONGEST_BYTES {
        return Err(CallbackProblemKind::TooLong.of(argument, text));
    }
    let bytes = STANDARD.decode(text);
    let bytes = bytes.map_err(|_| CallbackProblemKind::NotBase64.of(argument, text))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match from_object(&bytes) {
        Ok(value) => Ok((text, value)),
        Err(_) => Err(CallbackProblemKind::NotJson.of(argument, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_form(callback: &str) -> Result<Option<CallbackRequest>, CallbackProblemKind> {
        let head = axum::http::Request::builder().uri("/photos/").body(()).unwrap();
        let head = Head::read(head.into_parts().0, |_| false, |_| None);
        let fields =
            [("callback".to_owned(), callback.to_owned()), ("x:u".to_owned(), "1".to_owned())];
        CallbackRequest::of_form(&fields.into(), &head).map_err(|problem| problem.kind)
    }

    #[test]
    fn a_callback_has_a_url_and_a_body() {
        let of = |json: &str| of_form(&STANDARD.encode(json));
        let request =
            of(r#"{"callbackUrl":"a.example","callbackBody":"u=${x:u}"}"#).unwrap().unwrap();
        assert_eq!(
            (request.body_type, request.sends_sni, request.host),
            (BodyType::Form, false, None)
        );
        assert_eq!(request.variables, [("x:u".to_owned(), "1".to_owned())].into());
        let request = of(
            r#"{"callbackUrl":"a.example","callbackHost":"b.example","callbackBody":"1","callbackBodyType":"application/json","callbackSNI":true}"#,
        );
        let request = request.unwrap().unwrap();
        assert_eq!((request.body_type, request.sends_sni), (BodyType::Json, true));
        assert_eq!(request.host.as_deref(), Some("b.example"));
        assert_eq!(of_form(""), Ok(None));
        for (json, kind) in [
            ("url=1", CallbackProblemKind::NotJson),
            ("[]", CallbackProblemKind::NotJson),
            (r#"["a.example",null,"1",null,false]"#, CallbackProblemKind::NotJson),
            (r#"{"callbackBody":"a"}"#, CallbackProblemKind::NoUrl),
            (r#"{"callbackUrl":"a.example"}"#, CallbackProblemKind::NoBody),
            (r#"{"callbackUrl":"a.example","callbackBody":""}"#, CallbackProblemKind::NoBody),
            (
                r#"{"callbackUrl":"a.example","callbackBody":"${a}"}"#,
                CallbackProblemKind::InvalidBody,
            ),
            (
                r#"{"callbackUrl":"a.example","callbackBody":"a","callbackBodyType":"text/plain"}"#,
                CallbackProblemKind::UnknownBodyType,
            ),
        ] {
            assert_eq!(of(json), Err(kind), "{json}");
        }
        assert_eq!(of_form("{}"), Err(CallbackProblemKind::NotBase64));
        assert_eq!(of(&"a".repeat(5 << 10)), Err(CallbackProblemKind::TooLong));
    }

    #[test]
    fn custom_variables_are_texts_with_lower_case_names() {
        let of = |json: &str| custom_variables(&STANDARD.encode(json)).map_err(|p| p.kind);
        assert_eq!(of(r#"{"x:u":"1"}"#), Ok([("x:u".to_owned(), "1".to_owned())].into()));
        for json in [r#"{"u":"1"}"#, r#"{"x:U":"1"}"#, r#"{"x:u":1}"#] {
            assert_eq!(of(json), Err(CallbackProblemKind::InvalidVariable), "{json}");
        }
        assert_eq!(of("[]"), Err(CallbackProblemKind::NotJson));
    }
}
