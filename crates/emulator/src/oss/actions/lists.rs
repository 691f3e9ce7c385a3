//! Lists objects and unfinished uploads.

use axum::body::Body;
use axum::http::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::Serialize;

use super::buckets::Owner;
use crate::oss::error::OssError;
use crate::oss::head::Head;
use crate::oss::listing::{PageRequest, page};
use crate::oss::request_context::RequestContext;
use crate::oss::response::{document, xml_date};
use crate::oss::store::{Bucket, Object};
use crate::percent::encode;

/// The encoding of keys in an answer (`encoding-type`).
#[derive(Clone, Copy)]
pub(super) enum KeyEncoding {
    Plain,
    Url,
}

impl KeyEncoding {
    pub(super) fn of(head: &Head) -> Result<Self, OssError> {
        match head.query.get("encoding-type") {
            None => Ok(Self::Plain),
            Some("url") => Ok(Self::Url),
            Some(_) => {
                Err(OssError::InvalidArgument("Invalid Encoding Method specified in Request."))
            }
        }
    }

    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Url => Some("url"),
        }
    }

    pub(super) fn write(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Url => encode(text),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListBucketResult<'a> {
    name: &'a str,
    prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation_token: Option<&'a str>,
    max_keys: usize,
    delimiter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_type: Option<&'static str>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_continuation_token: Option<String>,
    contents: Vec<Listed<'a>>,
    common_prefixes: Vec<CommonPrefix>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_count: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    key: String,
    last_modified: String,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(rename = "Type")]
    kind: String,
    size: u64,
    storage_class: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Owner<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

pub(super) fn objects(
    context: &RequestContext<'_>,
    bucket: &Bucket,
) -> Result<Response<Body>, OssError> {
    let head = context.head;
    let marker = head.query.get("marker").unwrap_or_default();
    let found = find(head, bucket, marker, true)?;
    let Found { encoding, .. } = found;
    let result = ListBucketResult {
        marker: Some(encoding.write(marker)),
        next_marker: found.next.as_deref().map(|next| encoding.write(next)),
        ..found.result
    };
    Ok(document("ListBucketResult", &result))
}

pub(super) fn objects_v2(
    context: &RequestContext<'_>,
    bucket: &Bucket,
) -> Result<Response<Body>, OssError> {
    let head = context.head;
    let token = head.query.get("continuation-token");
    let start_after = head.query.get("start-after");
    let bad = || OssError::InvalidArgument("The continuation token provided is incorrect.");
    let after = match token {
        Some(token) => {
            let bytes = URL_SAFE.decode(token).map_err(|_| bad())?;
            String::from_utf8(bytes).map_err(|_| bad())?
        }
        None => start_after.unwrap_or_default().to_owned(),
    };
    let has_owner = head.query.get("fetch-owner") == Some("true");
    let found = find(head, bucket, &after, has_owner)?;
    let Found { encoding, .. } = found;
    let count = found.result.contents.len() + found.result.common_prefixes.len();
    let result = ListBucketResult {
        start_after: start_after.map(|start_after| encoding.write(start_after)),
        continuation_token: token,
        next_continuation_token: found.next.map(|next| URL_SAFE.encode(next)),
        key_count: Some(count),
        ..found.result
    };
    Ok(document("ListBucketResult", &result))
}

struct Found<'a> {
    result: ListBucketResult<'a>,
    next: Option<String>,
    encoding: KeyEncoding,
}

fn find<'a>(
    head: &'a Head,
    bucket: &'a Bucket,
    after: &str,
    has_owner: bool,
) -> Result<Found<'a>, OssError> {
    let encoding = KeyEncoding::of(head)?;
    let max_keys = page_size(head, "max-keys", 100)?;
    let prefix = head.query.get("prefix").unwrap_or_default();
    let delimiter = head.query.get("delimiter").unwrap_or_default();
    let request = PageRequest { prefix, delimiter, after, most: max_keys };
    let contents = bucket.contents();
    let page = page(&contents.objects, &request);
    let listed = |object: &Object| Listed {
        key: encoding.write(&object.key),
        last_modified: xml_date(object.last_modified),
        etag: object.etag.clone(),
        kind: object.kind.clone(),
        size: object.length,
        storage_class: object.meta.storage_class().to_owned(),
        owner: has_owner.then(|| Owner::of(bucket)),
    };
    let result = ListBucketResult {
        name: &bucket.name,
        prefix: encoding.write(prefix),
        marker: None,
        start_after: None,
        continuation_token: None,
        max_keys,
        delimiter: encoding.write(delimiter),
        encoding_type: encoding.name(),
        is_truncated: page.next.is_some(),
        next_marker: None,
        next_continuation_token: None,
        contents: page.entries.iter().map(|object| listed(object)).collect(),
        common_prefixes: common_prefixes(&page.prefixes, encoding),
        key_count: None,
    };
    Ok(Found { result, next: page.next, encoding })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListMultipartUploadsResult<'a> {
    bucket: &'a str,
    key_marker: String,
    upload_id_marker: &'a str,
    next_key_marker: String,
    next_upload_id_marker: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_type: Option<&'static str>,
    delimiter: String,
    prefix: String,
    max_uploads: usize,
    is_truncated: bool,
    upload: Vec<ListedUpload>,
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedUpload {
    key: String,
    upload_id: String,
    storage_class: &'static str,
    initiated: String,
}

pub(super) fn uploads(
    context: &RequestContext<'_>,
    bucket: &Bucket,
) -> Result<Response<Body>, OssError> {
    let query = &context.head.query;
    let encoding = KeyEncoding::of(context.head)?;
    let max_uploads = page_size(context.head, "max-uploads", 1000)?;
    let text = |name| query.get(name).unwrap_or_default();
    let (key_marker, id_marker) = (text("key-marker"), text("upload-id-marker"));
    // Uploads are sorted by key, then id; `\0` sorts before every character, so that the keys stay in order.
    let contents = bucket.contents();
    let placed = contents.uploads.iter();
    let placed = placed.map(|(id, upload)| (format!("{}\0{id}", upload.key), (id, upload)));
    let all = placed.collect();
    let after = match (key_marker, id_marker) {
        ("", _) => String::new(),
        (key, "") => format!("{key}\0\u{10FFFF}"),
        (key, id) => format!("{key}\0{id}"),
    };
    let (prefix, delimiter) = (text("prefix"), text("delimiter"));
    let page = page(&all, &PageRequest { prefix, delimiter, after: &after, most: max_uploads });
    let next = page.next.as_deref().unwrap_or_default();
    let (next_key, next_id) = next.split_once('\0').unwrap_or((next, ""));
    let begun = page.entries.iter().map(|(id, upload)| ListedUpload {
        key: encoding.write(&upload.key),
        upload_id: (*id).clone(),
        storage_class: "Standard",
        initiated: xml_date(upload.initiated),
    });
    let result = ListMultipartUploadsResult {
        bucket: &bucket.name,
        key_marker: encoding.write(key_marker),
        upload_id_marker: id_marker,
        next_key_marker: encoding.write(next_key),
        next_upload_id_marker: next_id.to_owned(),
        encoding_type: encoding.name(),
        delimiter: encoding.write(delimiter),
        prefix: encoding.write(prefix),
        max_uploads,
        is_truncated: page.next.is_some(),
        upload: begun.collect(),
        common_prefixes: common_prefixes(&page.prefixes, encoding),
    };
    Ok(document("ListMultipartUploadsResult", &result))
}

fn common_prefixes(prefixes: &[&str], encoding: KeyEncoding) -> Vec<CommonPrefix> {
    prefixes.iter().map(|prefix| CommonPrefix { prefix: encoding.write(prefix) }).collect()
}

/// Reads a page size of 1 to 1000.
pub(super) fn page_size(head: &Head, name: &str, default: usize) -> Result<usize, OssError> {
    let Some(text) = head.query.get(name) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (1..=1000).contains(number));
    number.ok_or(OssError::InvalidArgument("A page has 1 to 1000 items."))
}
