//! Deletes objects.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::lists::KeyEncoding;
use crate::oss::body::whole;
use crate::oss::error::OssError;
use crate::oss::head::check_key;
use crate::oss::request_context::RequestContext;
use crate::oss::response::{document, empty};
use crate::oss::state::Oss;
use crate::oss::store::Bucket;
use crate::oss::xml;

/// The most keys of one request, and the longest body.
const MOST_KEYS: usize = 1000;
const MOST_BYTES: usize = 2 << 20;

/// Deleting an absent object succeeds.
pub(super) fn one(bucket: &Bucket, key: &str) -> Result<Response<Body>, OssError> {
    bucket.delete(key)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

#[derive(Deserialize)]
#[serde(rename = "Delete", rename_all = "PascalCase")]
struct DeleteRequest {
    #[serde(default)]
    quiet: bool,
    #[serde(default)]
    object: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_type: Option<&'static str>,
    deleted: Vec<Deleted>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Deleted {
    key: String,
}

/// Deletes all keys or, if access to one is denied, none. (What the real OSS does with the others is not documented.)
pub(super) async fn many(
    oss: &Oss,
    context: &mut RequestContext<'_>,
    bucket: &Bucket,
    body: &mut Body,
) -> Result<Response<Body>, OssError> {
    // An anonymous request without access is refused before its body is read.
    if context.signer.is_none() {
        context.require_access(&oss.identities, "oss:DeleteObject", bucket, None)?;
    }
    let request: DeleteRequest = xml::read(&whole(body, MOST_BYTES).await?)?;
    if !(1..=MOST_KEYS).contains(&request.object.len()) {
        return Err(OssError::MalformedXml);
    }
    for Named { key } in &request.object {
        check_key(key)?;
        context.require_access(&oss.identities, "oss:DeleteObject", bucket, Some(key))?;
    }
    for Named { key } in &request.object {
        bucket.delete(key)?;
    }
    if request.quiet {
        return Ok(empty(StatusCode::OK));
    }
    let encoding = KeyEncoding::of(context.head)?;
    let deleted = request.object.iter().map(|named| Deleted { key: encoding.write(&named.key) });
    let result = DeleteResult { encoding_type: encoding.name(), deleted: deleted.collect() };
    Ok(document("DeleteResult", &result))
}
