//! Reads objects and their headers.

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use super::buckets::AccessControlPolicy;
use crate::oss::error::OssError;
use crate::oss::head::Head;
use crate::oss::range;
use crate::oss::request_context::RequestContext;
use crate::oss::response::{document, empty, http_date, set};
use crate::oss::store::{Bucket, Object, Opened, STORAGE_CLASS};

/// Query parameters that override headers of the answer, for signed requests.
const OVERRIDES: [(&str, &str); 6] = [
    ("response-content-type", "content-type"),
    ("response-content-language", "content-language"),
    ("response-content-encoding", "content-encoding"),
    ("response-content-disposition", "content-disposition"),
    ("response-cache-control", "cache-control"),
    ("response-expires", "expires"),
];

pub(super) async fn get(
    context: &RequestContext<'_>,
    bucket: &Bucket,
    key: &str,
) -> Result<Response<Body>, OssError> {
    let Opened { object, source } = bucket.open(key)?;
    check_conditions(context.head, &object)?;
    let is_standard = context.head.header("x-oss-range-behavior") == Some("standard");
    let wanted = range::requested(context.head.header("range"), object.length, is_standard)?;
    let mut response = described(&object);
    let headers = response.headers_mut();
    for (query, header) in OVERRIDES {
        if let Some(value) = context.head.query.get(query) {
            if context.signer.is_none() {
                return Err(OssError::InvalidArgument(
                    "Anonymous requests cannot change the answer's headers.",
                ));
            }
            set(headers, header, value);
        }
    }
    let range = wanted.clone().unwrap_or(0..object.length);
    set(headers, "content-length", &(range.end - range.start).to_string());
    if wanted.is_some() {
        let last = range.end - 1;
        set(headers, "content-range", &format!("bytes {}-{last}/{}", range.start, object.length));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    *response.body_mut() = source.into_body(range).await?;
    Ok(response)
}

pub(super) fn head(
    context: &RequestContext<'_>,
    bucket: &Bucket,
    key: &str,
) -> Result<Response<Body>, OssError> {
    let object = bucket.find(key)?;
    check_conditions(context.head, &object)?;
    let mut response = described(&object);
    set(response.headers_mut(), "content-length", &object.length.to_string());
    Ok(response)
}

/// The headers that depend on the bytes.
pub(super) fn meta(bucket: &Bucket, key: &str) -> Result<Response<Body>, OssError> {
    let object = bucket.find(key)?;
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    set(headers, "content-length", &object.length.to_string());
    facts(headers, &object);
    Ok(response)
}

/// Objects have the bucket's ACL.
pub(super) fn acl(bucket: &Bucket, key: &str) -> Result<Response<Body>, OssError> {
    bucket.find(key)?;
    Ok(document("AccessControlPolicy", &AccessControlPolicy::new(bucket, "default")))
}

/// `If-Match` and similar headers; copies use other names.
pub(super) struct Conditions<'a> {
    pub(super) is_match: Option<&'a str>,
    pub(super) none_match: Option<&'a str>,
    pub(super) modified_since: Option<&'a str>,
    pub(super) unmodified_since: Option<&'a str>,
}

impl Conditions<'_> {
    pub(super) fn check(&self, object: &Object) -> Result<(), OssError> {
        let is_etag = |etag: &str| etag.trim().trim_matches('"') == object.etag.trim_matches('"');
        let names = |list: &str| list.split(',').any(|etag| etag.trim() == "*" || is_etag(etag));
        let date = |text: &str| DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc());
        let changed_after = |date: DateTime<Utc>| object.last_modified > date;
        if self.is_match.is_some_and(|etags| !names(etags))
            || self.unmodified_since.and_then(date).is_some_and(changed_after)
        {
            return Err(OssError::PreconditionFailed);
        }
        if self.none_match.is_some_and(names)
            || self.modified_since.and_then(date).is_some_and(|date| !changed_after(date))
        {
            return Err(OssError::NotModified);
        }
        Ok(())
    }
}

fn check_conditions(head: &Head, object: &Object) -> Result<(), OssError> {
    let conditions = Conditions {
        is_match: head.header("if-match"),
        none_match: head.header("if-none-match"),
        modified_since: head.header("if-modified-since"),
        unmodified_since: head.header("if-unmodified-since"),
    };
    conditions.check(object)
}

fn described(object: &Object) -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    for (name, value) in &object.meta.0 {
        if let (Ok(name), Ok(value)) = (name.parse::<axum::http::HeaderName>(), value.parse()) {
            headers.insert(name, value);
        }
    }
    facts(headers, object);
    set(headers, "accept-ranges", "bytes");
    set(headers, "x-oss-object-type", &object.kind);
    set(headers, STORAGE_CLASS, object.meta.storage_class());
    if let Some(md5) = md5_of(object) {
        set(headers, "content-md5", &md5);
    }
    response
}

fn facts(headers: &mut HeaderMap, object: &Object) {
    set(headers, "etag", &object.etag);
    set(headers, "last-modified", &http_date(object.last_modified));
    set(headers, "x-oss-hash-crc64ecma", &object.crc64.to_string());
}

/// The ETag of an object from one put is its MD5.
fn md5_of(object: &Object) -> Option<String> {
    let is_normal = object.kind == "Normal";
    let md5 = is_normal.then(|| hex::decode(object.etag.trim_matches('"')).ok())??;
    Some(STANDARD.encode(md5))
}
