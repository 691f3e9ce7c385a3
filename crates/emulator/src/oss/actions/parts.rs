//! Uploads, copies and lists parts.

use std::ops::Range;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::lists::{KeyEncoding, page_size};
use super::multipart::of;
use super::write::{check_md5, open_source};
use crate::oss::body::spool;
use crate::oss::error::OssError;
use crate::oss::head::Head;
use crate::oss::range;
use crate::oss::request_context::RequestContext;
use crate::oss::response::{document, empty, set, xml_date};
use crate::oss::state::Oss;
use crate::oss::store::{Bucket, Limits, Opened, Part, Spool, Spooled};

const MOST_PARTS: u32 = 10_000;

pub(super) async fn upload(
    oss: &Oss,
    context: &RequestContext<'_>,
    bucket: &Bucket,
    key: &str,
    body: &mut Body,
) -> Result<Response<Body>, OssError> {
    let target = PartTarget::of(context.head, bucket, key)?;
    let spooled = spool(body, oss.store.backend()).await?;
    check_md5(context.head.header("content-md5"), &spooled)?;
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    set(headers, "etag", &spooled.etag());
    set(headers, "content-md5", &STANDARD.encode(spooled.md5));
    set(headers, "x-oss-hash-crc64ecma", &spooled.crc64.to_string());
    target.store(context, bucket, spooled)?;
    Ok(response)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CopyPartResult {
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
    let target = PartTarget::of(context.head, bucket, key)?;
    let Opened { object, source } = open_source(oss, context)?;
    let range = copied(context.head, object.length)?;
    let mut spool = Spool::new(oss.store.backend(), Limits::default()).await?;
    spool.copy(source, range).await?;
    let spooled = spool.finish().await?;
    let result = CopyPartResult { last_modified: xml_date(context.now), etag: spooled.etag() };
    target.store(context, bucket, spooled)?;
    Ok(document("CopyPartResult", &result))
}

/// The range of `x-oss-copy-source-range`, or everything.
fn copied(head: &Head, length: u64) -> Result<Range<u64>, OssError> {
    let wanted = range::requested(head.header("x-oss-copy-source-range"), length, false)?;
    Ok(wanted.unwrap_or(0..length))
}

/// The upload and number of a part.
struct PartTarget<'a> {
    upload: &'a str,
    key: &'a str,
    number: u32,
}

impl<'a> PartTarget<'a> {
    /// Also checks that the upload exists, before the body is read.
    fn of(head: &'a Head, bucket: &Bucket, key: &'a str) -> Result<Self, OssError> {
        let number = head.query.get("partNumber").and_then(|number| number.parse().ok());
        let number = number.filter(|number| (1..=MOST_PARTS).contains(number));
        let number = number.ok_or(OssError::InvalidArgument(
            "Part number must be an integer between 1 and 10000.",
        ))?;
        let upload = head.query.get("uploadId").unwrap_or_default();
        of(&bucket.contents().uploads, upload, key)?;
        Ok(Self { upload, key, number })
    }

    /// Stores the part; a later part with the same number replaces it.
    fn store(
        &self,
        context: &RequestContext<'_>,
        bucket: &Bucket,
        spooled: Spooled,
    ) -> Result<(), OssError> {
        let mut contents = bucket.contents();
        of(&contents.uploads, self.upload, self.key)?;
        if let Some(upload) = contents.uploads.get_mut(self.upload) {
            let part = Part { spooled: spooled.into(), last_modified: context.now };
            upload.parts.insert(self.number, part);
        }
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListPartsResult<'a> {
    bucket: &'a str,
    key: String,
    upload_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_type: Option<&'static str>,
    storage_class: &'static str,
    part_number_marker: u32,
    /// oss2 fails without it, even on the last page.
    next_part_number_marker: u32,
    max_parts: usize,
    is_truncated: bool,
    part: Vec<Listed>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    part_number: u32,
    last_modified: String,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(rename = "HashCrc64ecma")]
    crc64: u64,
    size: u64,
}

pub(super) fn list(
    context: &RequestContext<'_>,
    bucket: &Bucket,
    key: &str,
) -> Result<Response<Body>, OssError> {
    let head = context.head;
    let encoding = KeyEncoding::of(head)?;
    let max_parts = page_size(head, "max-parts", 1000)?;
    let marker = head.query.get("part-number-marker").unwrap_or("0");
    let marker = marker.parse().map_err(|_| {
        OssError::InvalidArgument(
            "Argument part-number-marker must be an integer between 0 and 10000.",
        )
    })?;
    let id = head.query.get("uploadId").unwrap_or_default();
    let contents = bucket.contents();
    let upload = of(&contents.uploads, id, key)?;
    let after = upload.parts.range(u32::saturating_add(marker, 1)..);
    let page: Vec<Listed> = after
        .clone()
        .take(max_parts)
        .map(|(number, part)| Listed {
            part_number: *number,
            last_modified: xml_date(part.last_modified),
            etag: part.spooled.etag(),
            crc64: part.spooled.crc64,
            size: part.spooled.length,
        })
        .collect();
    let is_truncated = after.count() > page.len();
    let result = ListPartsResult {
        bucket: &bucket.name,
        key: encoding.write(key),
        upload_id: id,
        encoding_type: encoding.name(),
        storage_class: "Standard",
        part_number_marker: marker,
        next_part_number_marker: page.last().map_or(marker, |part| part.part_number),
        max_parts,
        is_truncated,
        part: page,
    };
    Ok(document("ListPartsResult", &result))
}
