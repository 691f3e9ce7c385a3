//! PostObject: an upload by a browser's form.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::form_fields::Form;
use super::form_signature::authenticate;
use super::write::{check_acl, is_stored, meta_from};
use crate::oss::callback::{CallbackRequest, Uploaded};
use crate::oss::error::OssError;
use crate::oss::form_problem::FormProblem;
use crate::oss::head::check_key;
use crate::oss::operation::Operation;
use crate::oss::request_context::RequestContext;
use crate::oss::response::{document, empty, set};
use crate::oss::state::Oss;
use crate::oss::store::{Bucket, Limits, Meta, NewObject};
use crate::percent::encode;

pub(super) async fn post(
    oss: &Oss,
    context: &mut RequestContext<'_>,
    bucket: &Bucket,
    body: &mut Body,
) -> Result<Response<Body>, OssError> {
    let content_type = context.head.header("content-type").unwrap_or_default();
    let form = Form::read(content_type, body, &bucket.name).await?;
    let fields = form.fields.clone();
    let key = fields.get("key").filter(|key| !key.is_empty()).ok_or(FormProblem::NoKey)?;

    let policy = authenticate(oss, context, bucket, &fields)?;
    let limits = match &policy {
        Some(policy) => {
            policy.check_expiration(context.now)?;
            policy.check(&fields)?
        }
        None => Limits::default(),
    };
    // After the conditions, which see the text as it was sent.
    let key = key.replace("${filename}", form.file.file_name().unwrap_or_default());
    check_key(&key)?;
    context.require_access(&oss.identities, "oss:PutObject", bucket, Some(&key))?;
    let callback = CallbackRequest::of_form(&fields, context.head);
    let callback = oss.callbacks.accept(callback).await?;
    check_acl(fields.get("x-oss-object-acl").map(String::as_str))?;
    let of_file = form.file.content_type().map(ToString::to_string);
    let meta = meta_of_form(&fields, of_file)?;

    let spooled = form.take_file(oss, limits).await?;
    if let Some(policy) = &policy {
        // A slow upload can expire on its way.
        policy.check_expiration(oss.control.now())?;
    }
    let md5 = STANDARD.encode(spooled.md5);
    let mut new = NewObject::normal(key.clone(), meta, spooled, context.now);
    new.only_if_absent = fields.get("x-oss-forbid-overwrite").is_some_and(|value| value == "true");
    let object = bucket.put(oss.store.backend(), new).map_err(OssError::Storage)?.done()?;

    let mut response = match callback {
        None => posted(context, bucket, &fields, &key, &object.etag),
        Some(callback) => {
            let operation = Operation::PostObject;
            let uploaded = Uploaded { bucket, object: &object, operation, content_md5: Some(&md5) };
            oss.callbacks.answer(context, &callback, uploaded).await?
        }
    };
    let headers = response.headers_mut();
    set(headers, "etag", &object.etag);
    set(headers, "x-oss-hash-crc64ecma", &object.crc64.to_string());
    Ok(response)
}

/// The headers to store. The type is that of `x-oss-content-type`, of `Content-Type`, or of the file, in this order.
fn meta_of_form(
    fields: &BTreeMap<String, String>,
    of_file: Option<String>,
) -> Result<Meta, OssError> {
    let kept = fields.iter().filter(|(name, value)| is_stored(name) && !value.is_empty());
    let mut pairs: BTreeMap<_, _> = kept.map(|(n, v)| (n.clone(), v.clone())).collect();
    let first = fields.get("x-oss-content-type").filter(|value| !value.is_empty());
    if let Some(content_type) = first.cloned() {
        pairs.insert("content-type".to_owned(), content_type);
    } else if let Some(of_file) = of_file {
        pairs.entry("content-type".to_owned()).or_insert(of_file);
    }
    meta_from(pairs.into_iter())
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PostResponse<'a> {
    bucket: &'a str,
    location: String,
    key: &'a str,
    #[serde(rename = "ETag")]
    etag: &'a str,
}

/// The answer that the form requests; 204 by default.
fn posted(
    context: &RequestContext<'_>,
    bucket: &Bucket,
    fields: &BTreeMap<String, String>,
    key: &str,
    etag: &str,
) -> Response<Body> {
    if let Some(redirect) = fields.get("success_action_redirect").filter(|url| !url.is_empty()) {
        let separator = if redirect.contains('?') { '&' } else { '?' };
        let query = [("bucket", bucket.name.as_str()), ("key", key), ("etag", etag)]
            .map(|(name, value)| format!("{name}={}", encode(value)));
        let mut response = empty(StatusCode::SEE_OTHER);
        let location = format!("{redirect}{separator}{}", query.join("&"));
        set(response.headers_mut(), "location", &location);
        return response;
    }
    match fields.get("success_action_status").map(String::as_str) {
        Some("200") => empty(StatusCode::OK),
        Some("201") => {
            let location = context.head.url_of(&bucket.name, key);
            let result = PostResponse { bucket: &bucket.name, location, key, etag };
            let mut response = document("PostResponse", &result);
            *response.status_mut() = StatusCode::CREATED;
            response
        }
        Some(_) | None => empty(StatusCode::NO_CONTENT),
    }
}
