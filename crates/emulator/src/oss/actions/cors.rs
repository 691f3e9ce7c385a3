//! The CORS rules of a bucket. They are kept in memory, and a restart brings the first ones back.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use crate::oss::body::whole;
use crate::oss::cors_rules::CorsRules;
use crate::oss::error::OssError;
use crate::oss::response::{document, empty};
use crate::oss::store::Bucket;
use crate::oss::xml;

const MOST_BYTES: usize = 64 << 10;

/// Replaces all rules, or changes nothing if one of them is invalid.
pub(super) async fn put(bucket: &Bucket, body: &mut Body) -> Result<Response<Body>, OssError> {
    let rules: CorsRules = xml::read(&whole(body, MOST_BYTES).await?)?;
    rules.check()?;
    bucket.set_cors(Some(rules));
    Ok(empty(StatusCode::OK))
}

pub(super) fn get(bucket: &Bucket) -> Result<Response<Body>, OssError> {
    let rules = bucket.cors().ok_or(OssError::NoSuchCors)?;
    Ok(document("CORSConfiguration", rules.as_ref()))
}

/// Deleting absent rules succeeds.
pub(super) fn delete(bucket: &Bucket) -> Response<Body> {
    bucket.set_cors(None);
    empty(StatusCode::NO_CONTENT)
}
