//! Writes answers in JSON or XML, and applies the faults that change them.

use axum::body::Body;
use axum::http::{HeaderName, Response, StatusCode, header};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::error::Refusal;
use super::params::Params;
use crate::connections::{CutBody, HangUp};
use crate::control::Fault;

/// The format of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    Json,
    Xml,
}

/// The parts that every answer has.
pub(crate) struct Frame {
    pub(crate) format: Format,
    pub(crate) request_id: String,
    /// The time of STS's clock, which may be skewed.
    pub(crate) now: DateTime<Utc>,
}

/// An answer before it is serialized.
pub(crate) struct Answer {
    status: StatusCode,
    root: String,
    fields: Map<String, Value>,
    rate_limit: Option<String>,
}

impl Format {
    /// Reads `Format`, in any case; the gateway's default is XML.
    pub(crate) fn of(params: &Params) -> Self {
        match params.get("Format") {
            Some(format) if format.eq_ignore_ascii_case("JSON") => Self::Json,
            Some(_) | None => Self::Xml,
        }
    }
}

impl Answer {
    pub(crate) fn success(action: &str, fields: Map<String, Value>) -> Self {
        let root = format!("{action}Response");
        Self { status: StatusCode::OK, root, fields, rate_limit: None }
    }

    /// A refusal of a product, such as `Sts`.
    pub(crate) fn refusal(product: &str, refusal: Refusal) -> Self {
        let Refusal { status, code, message, time_left_ms, access_denied } = refusal;
        let recommend = format!("https://api.aliyun.com/troubleshoot?q={code}&product={product}");
        let host = format!("{}.aliyuncs.com", product.to_lowercase());
        let texts =
            [("HostId", host), ("Message", message), ("Recommend", recommend), ("Code", code)];
        let texts = texts.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text)));
        let denied = access_denied.map(|detail| ("AccessDeniedDetail".to_owned(), detail));
        let rate_limit =
            time_left_ms.map(|ms| format!("Limit:100,Remain:0,TimeLeft:{ms},Reset:{ms}"));
        Self { status, root: "Error".to_owned(), fields: texts.chain(denied).collect(), rate_limit }
    }

    /// Serializes the answer, changed by the fault if there is one.
    pub(crate) fn into_response(mut self, frame: Frame, fault: Option<&Fault>) -> Response<Body> {
        self.fields.insert("RequestId".to_owned(), frame.request_id.as_str().into());
        if let Some(fault) = fault {
            self.apply(fault);
        }
        let (content_type, mut text) = match frame.format {
            Format::Json => {
                ("application/json;charset=utf-8", Value::Object(self.fields).to_string())
            }
            Format::Xml => ("text/xml;charset=utf-8", xml(&self.root, self.fields)),
        };
        if let Some(Fault::Malformed) = fault {
            text.truncate(text.floor_char_boundary(text.len() / 2));
        }
        let length = text.len();
        let body = if let Some(Fault::Cut { mid_body: true }) = fault {
            Body::new(CutBody::first_half_of(text))
        } else {
            Body::from(text)
        };
        let mut response = Response::builder()
            .status(self.status)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::CONTENT_LENGTH, length)
            .header(header::DATE, frame.now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
            .header(HeaderName::from_static("x-acs-request-id"), frame.request_id);
        if let Some(rate_limit) = self.rate_limit {
            response = response.header(HeaderName::from_static("x-ratelimit-user-api"), rate_limit);
        }
        let mut response = response.body(body).expect("all headers are plain ASCII");
        if let Some(Fault::Cut { mid_body: false }) = fault {
            response.extensions_mut().insert(HangUp);
        }
        response
    }

    /// Applies the faults that change fields.
    fn apply(&mut self, fault: &Fault) {
        if let Fault::MissingField { field } = fault {
            remove(&mut self.fields, field);
        }
        if let Fault::OtherText { field, text } = fault {
            replace(&mut self.fields, field, text);
        }
        if let Fault::Oversized { bytes } = fault {
            self.fields.insert("Padding".to_owned(), "x".repeat(*bytes).into());
        }
        if let (Fault::EmptyCredentials, Some(Value::Object(credentials))) =
            (fault, self.fields.get_mut("Credentials"))
        {
            for name in ["AccessKeyId", "AccessKeySecret", "SecurityToken"] {
                credentials.insert(name.to_owned(), "".into());
            }
        }
    }
}

/// An error page as a load balancer sends it when its backend is down.
pub(crate) fn html(status: StatusCode, now: DateTime<Utc>) -> Response<Body> {
    let text = format!(
        "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"
    );
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/html")
        .header(header::DATE, now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .body(Body::from(text))
        .expect("all headers are plain ASCII")
}

fn remove(fields: &mut Map<String, Value>, name: &str) {
    fields.remove(name);
    for value in fields.values_mut() {
        if let Value::Object(fields) = value {
            remove(fields, name);
        }
    }
}

fn replace(fields: &mut Map<String, Value>, name: &str, text: &str) {
    for (field, value) in fields {
        match value {
            Value::Object(fields) => replace(fields, name, text),
            _ if field == name => *value = text.into(),
            _ => {}
        }
    }
}

fn xml(root: &str, fields: Map<String, Value>) -> String {
    let mut text = String::from("<?xml version='1.0' encoding='UTF-8'?>");
    element(&mut text, root, &Value::Object(fields));
    text
}

fn element(text: &mut String, name: &str, value: &Value) {
    // The items of a list repeat its name.
    if let Value::Array(items) = value {
        return items.iter().for_each(|item| element(text, name, item));
    }
    text.push_str(&format!("<{name}>"));
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| element(text, name, value)),
        Value::String(value) => text.push_str(&escape(value)),
        Value::Null | Value::Array(_) => {}
        Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
    }
    text.push_str(&format!("</{name}>"));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
