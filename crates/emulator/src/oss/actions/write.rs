//! Stores and copies objects.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::read::Conditions;
use crate::oss::body::spool;
use crate::oss::callback::{CallbackRequest, Uploaded};
use crate::oss::error::OssError;
use crate::oss::head::{Head, check_key};
use crate::oss::operation::Operation;
use crate::oss::query::decode;
use crate::oss::request_context::RequestContext;
use crate::oss::response::{document, empty, set, xml_date};
use crate::oss::state::Oss;
use crate::oss::store::{Bucket, Limits, Meta, NewObject, Opened, STORAGE_CLASS, Spool, Spooled};

/// Headers stored with an object and returned with it, besides `x-oss-meta-…`.
const STORED_HEADERS: [&str; 9] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-oss-server-side-encryption",
    "x-oss-server-side-encryption-key-id",
    STORAGE_CLASS,
];
/// The total length of all `x-oss-meta-…` headers.
const MOST_META_BYTES: usize = 8 << 10;

pub(super) async fn put(
    oss: &Oss,
    context: &RequestContext<'_>,
    bucket: &Bucket,
    key: &str,
    body: &mut Body,
) -> Result<Response<Body>, OssError> {
    let callback = oss.callbacks.accept(CallbackRequest::of_head(context.head)).await?;
    let meta = meta_of(context.head)?;
    let digest = context.head.header("content-md5").map(str::to_owned);
    let spooled = spool(body, oss.store.backend()).await?;
    check_md5(digest.as_deref(), &spooled)?;
    let md5 = STANDARD.encode(spooled.md5);
    let mut new = NewObject::normal(key.to_owned(), meta, spooled, context.now);
    new.only_if_absent = forbids_overwriting(context.head);
    let object = bucket.put(oss.store.backend(), new).map_err(OssError::Storage)?.done()?;
    let mut response = match callback {
        None => empty(StatusCode::OK),
        Some(callback) => {
            let operation = Operation::PutObject;
            let uploaded = Uploaded { bucket, object: &object, operation, content_md5: Some(&md5) };
            oss.callbacks.answer(context, &callback, uploaded).await?
        }
    };
    let headers = response.headers_mut();
    set(headers, "etag", &object.etag);
    set(headers, "content-md5", &md5);
    set(headers, "x-oss-hash-crc64ecma", &object.crc64.to_string());
    Ok(response)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CopyObjectResult {
    last_modified: String,
    #[serde(rename = "ETag")]
    etag: String,
}

pub(super) async fn copy(
    oss: &Oss,
    context: &mut RequestContext<'_>,
    bucket: &Bucket,
    key: &str,
) -> Result<Response<Body>, OssError> {
    let replaces = match context.head.header("x-oss-metadata-directive") {
        None | Some("COPY") => false,
        Some("REPLACE") => true,
        Some(_) => {
            return Err(OssError::InvalidArgument("x-oss-metadata-directive is COPY or REPLACE."));
        }
    };
    let Opened { object, source } = open_source(oss, context)?;
    let meta = if replaces { meta_of(context.head)? } else { object.meta.clone() };
    let mut spool = Spool::new(oss.store.backend(), Limits::default()).await?;
    spool.copy(source, 0..object.length).await?;
    let mut new = NewObject::normal(key.to_owned(), meta, spool.finish().await?, context.now);
    new.only_if_absent = forbids_overwriting(context.head);
    let object = bucket.put(oss.store.backend(), new).map_err(OssError::Storage)?.done()?;
    let result = CopyObjectResult {
        last_modified: xml_date(object.last_modified),
        etag: object.etag.clone(),
    };
    let mut response = document("CopyObjectResult", &result);
    set(response.headers_mut(), "x-oss-hash-crc64ecma", &object.crc64.to_string());
    Ok(response)
}

/// Opens the object of `x-oss-copy-source` (`/<bucket>/<key>`, encoded), if the signer has access.
pub(super) fn open_source(oss: &Oss, context: &mut RequestContext<'_>) -> Result<Opened, OssError> {
    let head = context.head;
    let malformed = OssError::InvalidArgument("x-oss-copy-source is not /<bucket>/<key>.");
    let source = head.header("x-oss-copy-source").map(decode).unwrap_or_default();
    let source = source.strip_prefix('/').unwrap_or(&source);
    let Some((bucket, key)) = source.split_once('/').filter(|(_, key)| !key.is_empty()) else {
        return Err(malformed);
    };
    check_key(key)?;
    let bucket = oss.store.bucket(bucket).ok_or(OssError::NoSuchBucket)?;
    context.require_access(&oss.identities, "oss:GetObject", bucket, Some(key))?;
    let opened = bucket.open(key)?;
    let conditions = Conditions {
        is_match: head.header("x-oss-copy-source-if-match"),
        none_match: head.header("x-oss-copy-source-if-none-match"),
        modified_since: head.header("x-oss-copy-source-if-modified-since"),
        unmodified_since: head.header("x-oss-copy-source-if-unmodified-since"),
    };
    conditions.check(&opened.object)?;
    Ok(opened)
}

/// The headers to store. An ACL other than the bucket's is refused.
pub(super) fn meta_of(head: &Head) -> Result<Meta, OssError> {
    check_acl(head.header("x-oss-object-acl"))?;
    let names = head.headers.keys().map(axum::http::HeaderName::as_str);
    let stored =
        names.filter(|name| STORED_HEADERS.contains(name) || name.starts_with("x-oss-meta-"));
    let pairs = stored.filter_map(|name| Some((name.to_owned(), head.header(name)?.to_owned())));
    meta_from(pairs)
}

/// Objects have the ACL of their bucket.
pub(super) fn check_acl(acl: Option<&str>) -> Result<(), OssError> {
    match acl {
        None | Some("" | "default") => Ok(()),
        Some("private" | "public-read" | "public-read-write") => Err(OssError::NotImplemented),
        Some(_) => Err(OssError::InvalidArgument(
            "x-oss-object-acl is default, private, public-read or public-read-write.",
        )),
    }
}

/// The default content type is `application/octet-stream`.
pub(super) fn meta_from(pairs: impl Iterator<Item = (String, String)>) -> Result<Meta, OssError> {
    let mut meta = Meta(pairs.collect());
    let of_users = meta.0.iter().filter(|(name, _)| name.starts_with("x-oss-meta-"));
    let bytes: usize = of_users.map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MOST_META_BYTES {
        return Err(OssError::InvalidArgument("The user metadata is longer than 8 KB."));
    }
    match meta.0.get(STORAGE_CLASS).map(String::as_str) {
        None | Some("Standard" | "IA") => {}
        // Their objects have to be restored before they can be read.
        Some("Archive" | "ColdArchive" | "DeepColdArchive") => {
            return Err(OssError::NotImplemented);
        }
        Some(_) => {
            return Err(OssError::InvalidArgument(
                "x-oss-storage-class is Standard, IA, Archive, ColdArchive or DeepColdArchive.",
            ));
        }
    }
    meta.0.entry("content-type".to_owned()).or_insert("application/octet-stream".to_owned());
    Ok(meta)
}

/// Whether a header is stored with an object.
pub(super) fn is_stored(name: &str) -> bool {
    STORED_HEADERS.contains(&name) || name.starts_with("x-oss-meta-")
}

pub(super) fn check_md5(digest: Option<&str>, spooled: &Spooled) -> Result<(), OssError> {
    match digest {
        Some(digest) if digest != STANDARD.encode(spooled.md5) => Err(OssError::InvalidDigest),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn forbids_overwriting(head: &Head) -> bool {
    head.header("x-oss-forbid-overwrite").is_some_and(|forbids| forbids == "true")
}
