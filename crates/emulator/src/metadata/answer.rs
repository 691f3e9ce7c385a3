//! Answers of the metadata server, and the faults that change them.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::connections::{CutBody, HangUp};
use crate::control::Fault;

/// An answer before it is serialized.
pub(super) enum Answer {
    /// A metadata token or a role's name. Some clients do not trim it, so it has no newline.
    Text(String),
    Document(Map<String, Value>),
    Refusal(StatusCode),
}

impl Answer {
    /// The outcome for the log.
    pub(super) fn outcome(&self) -> String {
        match self {
            Self::Text(_) | Self::Document(_) => "Success".to_owned(),
            Self::Refusal(status) => status.as_str().to_owned(),
        }
    }

    /// The answer, changed by the fault if there is one, with the date of the emulator's clock: clients compare `Expiration` with it.
    pub(super) fn into_response(self, now: DateTime<Utc>, fault: Option<&Fault>) -> Response<Body> {
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut response = self.changed_by(fault);
        let date = HeaderValue::from_str(&date).expect("a date is plain ASCII");
        response.headers_mut().insert(header::DATE, date);
        response
    }

    fn changed_by(self, fault: Option<&Fault>) -> Response<Body> {
        let (status, content_type, mut text) = match self {
            Self::Text(text) => (StatusCode::OK, "text/plain", padded(text, fault)),
            Self::Document(document) => {
                let document = Value::Object(changed(document, fault));
                (StatusCode::OK, "application/json", document.to_string())
            }
            Self::Refusal(status) => (status, "text/html", page(status)),
        };
        match fault {
            Some(Fault::Error { status, message, .. }) => {
                return plain((*status).into(), "text/plain", Body::from(message.clone()));
            }
            Some(Fault::Html { status }) => {
                let status = (*status).into();
                return plain(status, "text/html", Body::from(page(status)));
            }
            Some(Fault::Malformed) => text.truncate(text.floor_char_boundary(text.len() / 2)),
            Some(Fault::Cut { mid_body: true }) => {
                return plain(status, content_type, Body::new(CutBody::first_half_of(text)));
            }
            Some(Fault::Cut { mid_body: false }) => {
                let mut response = plain(status, content_type, Body::empty());
                response.extensions_mut().insert(HangUp);
                return response;
            }
            Some(_) | None => {}
        }
        plain(status, content_type, Body::from(text))
    }
}

fn plain(status: StatusCode, content_type: &str, body: Body) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .body(body)
        .expect("the header is plain ASCII")
}

fn page(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    let title = format!("{} - {reason}", status.as_u16());
    format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n")
}

/// The document with the faults that change members.
fn changed(mut document: Map<String, Value>, fault: Option<&Fault>) -> Map<String, Value> {
    match fault {
        Some(Fault::MissingField { field }) => {
            document.remove(field);
        }
        Some(Fault::OtherText { field, text }) => {
            document.insert(field.clone(), text.as_str().into());
        }
        Some(Fault::EmptyCredentials) => {
            for name in ["AccessKeyId", "AccessKeySecret", "SecurityToken"] {
                document.insert(name.to_owned(), "".into());
            }
        }
        Some(Fault::Oversized { bytes }) => {
            document.insert("Padding".to_owned(), "x".repeat(*bytes).into());
        }
        Some(_) | None => {}
    }
    document
}

fn padded(text: String, fault: Option<&Fault>) -> String {
    match fault {
        Some(Fault::Oversized { bytes }) => text + &"x".repeat(*bytes),
        Some(_) | None => text,
    }
}
