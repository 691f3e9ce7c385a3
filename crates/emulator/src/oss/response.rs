//! Builds answers and errors in the format that SDKs expect.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::error::{Denied, Mismatch, OssError};
use super::head::Head;
use super::xml;

const XML: HeaderValue = HeaderValue::from_static("application/xml");

/// oss2 reads no more of an error, and finds no code in a truncated one. The real OSS may send more.
const LONGEST_ERROR_BYTES: usize = 4096;
/// So that an error with it stays below that.
const LONGEST_ARGUMENT_CHARS: usize = 512;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(crate) fn document<T: Serialize>(root: &str, value: &T) -> Response<Body> {
    let mut response = Response::new(Body::from(xml::write(root, value)));
    response.headers_mut().insert(header::CONTENT_TYPE, XML);
    response
}

/// Sets a header, unless its value is invalid.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// `Wed, 13 Jan 2016 14:02:37 GMT`
pub(crate) fn http_date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// `2016-01-13T14:02:37.000Z`: oss2 reads no other fraction of a second.
pub(crate) fn xml_date(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// The parts that every answer of one request has.
pub(crate) struct Frame<'a> {
    pub(crate) head: &'a Head,
    pub(crate) request_id: &'a str,
    pub(crate) now: DateTime<Utc>,
    /// The access decision as JSON, which only the emulator sends.
    pub(crate) decision: Option<String>,
}

impl Frame<'_> {
    /// An error in OSS's format.
    pub(crate) fn refuse(&self, refusal: &OssError) -> Response<Body> {
        let (status, _) = refusal.status_and_code();
        let mut response = empty(status);
        if status == StatusCode::NOT_MODIFIED {
            return response;
        }
        let text = self.error(refusal).into_xml();
        if let Some(ec) = ec(refusal) {
            set(response.headers_mut(), "x-oss-ec", ec);
        }
        if self.head.method == Method::HEAD {
            // An answer to HEAD has no body.
            set(response.headers_mut(), "x-oss-err", &STANDARD.encode(text));
        } else {
            response.headers_mut().insert(header::CONTENT_TYPE, XML);
            *response.body_mut() = Body::from(text);
        }
        response
    }

    /// Adds the headers of every answer.
    pub(crate) fn complete(&self, response: &mut Response<Body>, took: Duration) {
        let headers = response.headers_mut();
        set(headers, "server", "AliyunOSS");
        set(headers, "date", &http_date(self.now));
        set(headers, "x-oss-request-id", self.request_id);
        set(headers, "x-oss-server-time", &took.as_millis().to_string());
        if let Some(decision) = &self.decision {
            set(headers, "x-emulator-decision", decision);
        }
    }

    fn error(&self, refusal: &OssError) -> ErrorDocument<'_> {
        let (_, code) = refusal.status_and_code();
        let mut error = ErrorDocument {
            code,
            message: refusal.message(),
            request_id: self.request_id,
            host_id: self.head.header("host").unwrap_or("oss-cn-hangzhou.aliyuncs.com"),
            ec: ec(refusal),
            ..ErrorDocument::default()
        };
        if let OssError::AccessDenied(_) = refusal {
            error.emulator_decision = self.decision.as_deref();
        }
        if let OssError::InvalidCallback(problem) = refusal {
            error.argument_name = Some(problem.argument);
            error.argument_value =
                Some(problem.value.chars().take(LONGEST_ARGUMENT_CHARS).collect());
        }
        if let OssError::NoSuchBucket = refusal {
            error.bucket_name = self.head.bucket.as_deref();
        }
        if let OssError::NoSuchKey = refusal {
            error.key = self.head.key.as_deref();
        }
        if let OssError::NoSuchUpload = refusal {
            error.upload_id = self.head.query.get("uploadId");
        }
        if let OssError::TimeTooSkewed { request, server } = refusal {
            error.request_time = Some(xml_date(*request));
            // ali-oss in browsers adjusts its clock by it.
            error.server_time = Some(xml_date(*server));
        }
        if let OssError::SignatureDoesNotMatch(mismatch) = refusal {
            let Mismatch { access_key_id, signature, string_to_sign, canonical_request, .. } =
                mismatch.as_ref();
            let bytes: Vec<String> = string_to_sign.bytes().map(|b| format!("{b:02X}")).collect();
            error.access_key_id = Some(access_key_id.clone());
            error.signature_provided = Some(signature.clone());
            error.string_to_sign = Some(string_to_sign.clone());
            error.string_to_sign_bytes = Some(bytes.join(" "));
            error.canonical_request.clone_from(canonical_request);
        }
        error
    }
}

/// The known codes of the documentation's second numbering (EC).
fn ec(refusal: &OssError) -> Option<&'static str> {
    match refusal {
        OssError::SignatureDoesNotMatch(mismatch) => Some(mismatch.ec),
        OssError::InvalidForm(problem) => problem.ec(),
        OssError::InvalidUrlSignature(_, ec) => Some(ec),
        OssError::AccessDenied(Denied::UrlV4Expired) => Some("0002-00000236"),
        OssError::AccessKeyInactive => Some("0002-00000904"),
        OssError::AccessDenied(Denied::SignatureV1) => Some("0002-00000080"),
        OssError::PublicEndpointForbidden => Some("0048-00000401"),
        OssError::InvalidCallback(problem) => problem.kind.ec(),
        OssError::CallbackFailed(failure) => failure.ec(),
        _ => None,
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorDocument<'a> {
    code: &'a str,
    message: String,
    request_id: &'a str,
    host_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    argument_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    argument_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_id: Option<&'a str>,
    #[serde(rename = "OSSAccessKeyId", skip_serializing_if = "Option::is_none")]
    access_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_provided: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_to_sign: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_to_sign_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical_request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_time: Option<String>,
    #[serde(rename = "EC", skip_serializing_if = "Option::is_none")]
    ec: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emulator_decision: Option<&'a str>,
}

impl ErrorDocument<'_> {
    /// Serializes to XML. Signed strings are left out one by one while the document is too long for oss2.
    fn into_xml(mut self) -> String {
        let text = xml::write("Error", &self);
        let is_longer = self.string_to_sign_bytes.take().is_some()
            || self.canonical_request.take().is_some()
            || self.string_to_sign.take().is_some();
        if text.len() > LONGEST_ERROR_BYTES && is_longer { self.into_xml() } else { text }
    }
}
