//! Objects, deleted.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::lists::Spelling;
use crate::oss::body::whole;
use crate::oss::error::OssError;
use crate::oss::head::check_key;
use crate::oss::request_context::RequestContext;
use crate::oss::response::{document, empty};
use crate::oss::state::Oss;
use crate::oss::store::Bucket;
use crate::oss::xml;

/// A request names at most so many keys, in a body of at most so many bytes.
const MOST_KEYS: usize = 1000;
const MOST_BYTES: usize = 2 << 20;

/// What is not there is as good as deleted.
pub(super) fn one(bucket: &Bucket, key: &str) -> Result<Response<Body>, OssError> {
    bucket.delete(key)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

#[derive(Deserialize)]
#[serde(rename = "Delete", rename_all = "PascalCase")]
struct Wish {
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

/// All of the keys or, if one of them is out of the signer's reach, none. (What the real OSS does with the others is not
/// documented.)
pub(super) async fn many(
    oss: &Oss,
    context: &mut RequestContext<'_>,
    bucket: &Bucket,
    body: &mut Body,
) -> Result<Response<Body>, OssError> {
    // Who may delete nothing is not worth reading.
    if context.signer.is_none() {
        context.demand(&oss.identities, "oss:DeleteObject", bucket, None)?;
    }
    let wish: Wish = xml::read(&whole(body, MOST_BYTES).await?)?;
    if !(1..=MOST_KEYS).contains(&wish.object.len()) {
        return Err(OssError::MalformedXml);
    }
    for Named { key } in &wish.object {
        check_key(key)?;
        context.demand(&oss.identities, "oss:DeleteObject", bucket, Some(key))?;
    }
    for Named { key } in &wish.object {
        bucket.delete(key)?;
    }
    if wish.quiet {
        return Ok(empty(StatusCode::OK));
    }
    let spelling = Spelling::of(context.head)?;
    let deleted = wish.object.iter().map(|named| Deleted { key: spelling.write(&named.key) });
    let result = DeleteResult { encoding_type: spelling.name(), deleted: deleted.collect() };
    Ok(document("DeleteResult", &result))
}
