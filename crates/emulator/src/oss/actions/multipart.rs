//! Starts, completes and aborts multipart uploads.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::lists::KeyEncoding;
use super::write::{forbids_overwriting, meta_of};
use crate::oss::body::whole;
use crate::oss::callback::{CallbackRequest, Uploaded};
use crate::oss::error::OssError;
use crate::oss::operation::Operation;
use crate::oss::request_context::RequestContext;
use crate::oss::response::{document, empty, set};
use crate::oss::state::Oss;
use crate::oss::store::{Bucket, Limits, NewObject, Spool, Upload, etag_of};

/// Unfinished uploads of one bucket.
const MOST_UPLOADS: usize = 1_000;
/// 10,000 parts of about a hundred bytes each.
const MOST_BYTES: usize = 4 << 20;
/// The longest object is 48.8 TB; memory or disk end sooner.
const MOST_OBJECT_BYTES: u64 = 48 << 40;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct InitiateMultipartUploadResult<'a> {
    bucket: &'a str,
    key: String,
    upload_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_type: Option<&'static str>,
}

pub(super) fn initiate(
    context: &RequestContext<'_>,
    bucket: &Bucket,
    key: &str,
) -> Result<Response<Body>, OssError> {
    let meta = meta_of(context.head)?;
    let encoding = KeyEncoding::of(context.head)?;
    let id = Uuid::new_v4().simple().to_string().to_uppercase();
    let upload = Upload {
        key: key.to_owned(),
        initiated: context.now,
        meta,
        parts: std::collections::BTreeMap::new(),
    };
    let mut contents = bucket.contents();
    if contents.uploads.len() >= MOST_UPLOADS {
        return Err(OssError::Full("The emulator keeps 1,000 uploads in a bucket."));
    }
    contents.uploads.insert(id.clone(), upload);
    let result = InitiateMultipartUploadResult {
        bucket: &bucket.name,
        key: encoding.write(key),
        upload_id: &id,
        encoding_type: encoding.name(),
    };
    Ok(document("InitiateMultipartUploadResult", &result))
}

#[derive(Deserialize)]
#[serde(rename = "CompleteMultipartUpload", rename_all = "PascalCase")]
struct CompleteRequest {
    #[serde(default)]
    part: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    part_number: u32,
    #[serde(rename = "ETag")]
    etag: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CompleteMultipartUploadResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_type: Option<&'static str>,
    location: String,
    bucket: &'a str,
    key: String,
    #[serde(rename = "ETag")]
    etag: &'a str,
}

pub(super) async fn complete(
    oss: &Oss,
    context: &RequestContext<'_>,
    bucket: &Bucket,
    key: &str,
    body: &mut Body,
) -> Result<Response<Body>, OssError> {
    let head = context.head;
    let id = head.query.get("uploadId").unwrap_or_default();
    let callback = oss.callbacks.accept(CallbackRequest::of_head(head)).await?;
    let takes_all = head.header("x-oss-complete-all") == Some("yes");
    let body = whole(body, MOST_BYTES).await?;
    let request: Option<CompleteRequest> = if takes_all { None } else { Some(xml_of(&body)?) };
    let (parts, meta) = {
        let contents = bucket.contents();
        let upload = of(&contents.uploads, id, key)?;
        let listed = match request {
            Some(request) => {
                request.part.into_iter().map(|part| (part.part_number, part.etag)).collect()
            }
            None => upload.all(),
        };
        (upload.chosen(&listed)?, upload.meta.clone())
    };
    let limits = Limits { most: MOST_OBJECT_BYTES, ..Limits::default() };
    let mut spool = Spool::new(oss.store.backend(), limits).await?;
    for part in &parts {
        let source = part.spooled.payload.source().map_err(OssError::Storage)?;
        spool.copy(source, 0..part.spooled.length).await?;
    }
    let spooled = spool.finish().await?;
    let mut new = NewObject::multipart(key.to_owned(), meta, spooled, etag_of(&parts), context.now);
    new.only_if_absent = forbids_overwriting(head);
    let object = bucket.put(oss.store.backend(), new).map_err(OssError::Storage)?.done()?;
    bucket.contents().uploads.remove(id);

    let encoding = KeyEncoding::of(head)?;
    let result = CompleteMultipartUploadResult {
        encoding_type: encoding.name(),
        location: head.url_of(&bucket.name, key),
        bucket: &bucket.name,
        key: encoding.write(key),
        etag: &object.etag,
    };
    let mut response = match callback {
        None => document("CompleteMultipartUploadResult", &result),
        Some(callback) => {
            let operation = Operation::CompleteMultipartUpload;
            let uploaded = Uploaded { bucket, object: &object, operation, content_md5: None };
            oss.callbacks.answer(context, &callback, uploaded).await?
        }
    };
    set(response.headers_mut(), "etag", &object.etag);
    set(response.headers_mut(), "x-oss-hash-crc64ecma", &object.crc64.to_string());
    Ok(response)
}

pub(super) fn abort(
    context: &RequestContext<'_>,
    bucket: &Bucket,
    key: &str,
) -> Result<Response<Body>, OssError> {
    let id = context.head.query.get("uploadId").unwrap_or_default();
    let mut contents = bucket.contents();
    of(&contents.uploads, id, key)?;
    contents.uploads.remove(id);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// The upload with this id and key: a token for another key cannot continue it.
pub(super) fn of<'a>(
    uploads: &'a std::collections::BTreeMap<String, Upload>,
    id: &str,
    key: &str,
) -> Result<&'a Upload, OssError> {
    uploads.get(id).filter(|upload| upload.key == key).ok_or(OssError::NoSuchUpload)
}

fn xml_of(body: &axum::body::Bytes) -> Result<CompleteRequest, OssError> {
    crate::oss::xml::read(body)
}
