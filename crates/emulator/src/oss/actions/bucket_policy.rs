//! The policy of a bucket. It is kept in memory; a bucket begins without one.

use std::error::Error;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use crate::oss::body::whole;
use crate::oss::error::OssError;
use crate::oss::response::empty;
use crate::oss::store::Bucket;
use crate::ram::{BucketPolicy, PolicyProblem};

/// The documented limit.
const MOST_BYTES: usize = 16 << 10;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Replaces the whole policy, or changes nothing if it is invalid.
pub(super) async fn put(bucket: &Bucket, body: &mut Body) -> Result<Response<Body>, OssError> {
    let bytes = whole(body, MOST_BYTES).await?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| OssError::InvalidBucketPolicy("it is not UTF-8".to_owned()))?;
    let policy = BucketPolicy::parse(text)
        .map_err(|problem| OssError::InvalidBucketPolicy(described(&problem)))?;
    bucket.set_policy(Some(policy));
    Ok(empty(StatusCode::OK))
}

/// The text as it was put.
pub(super) fn get(bucket: &Bucket) -> Result<Response<Body>, OssError> {
    let policy = bucket.policy().ok_or(OssError::NoSuchBucketPolicy)?;
    let mut response = Response::new(Body::from(policy.text().to_owned()));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    Ok(response)
}

/// Deleting an absent policy succeeds.
pub(super) fn delete(bucket: &Bucket) -> Response<Body> {
    bucket.set_policy(None);
    empty(StatusCode::NO_CONTENT)
}

fn described(problem: &PolicyProblem) -> String {
    match problem.source() {
        Some(cause) => format!("{problem}: {cause}"),
        None => problem.to_string(),
    }
}
