//! The operations, each with the access that it requires.

mod bucket_policy;
mod buckets;
mod cors;
mod delete;
mod form;
mod form_fields;
mod form_policy;
mod form_signature;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_forms;
mod lists;
mod multipart;
mod parts;
mod read;
mod write;

use axum::body::Body;
use axum::http::Response;

use super::error::OssError;
use super::operation::Operation;
use super::request_context::RequestContext;
use super::state::Oss;

/// Runs the operation, if access is allowed. Nothing is looked up before, so that a signer cannot find out which keys exist outside its
/// policy.
pub(crate) async fn act(
    oss: &Oss,
    context: &mut RequestContext<'_>,
    operation: Operation,
    body: &mut Body,
) -> Result<Response<Body>, OssError> {
    if operation == Operation::ListBuckets {
        return buckets::list(oss, context);
    }
    let bucket = oss.bucket(context.head)?;
    oss.rules.check_endpoint(context.head, operation, bucket)?;
    // The keys of these two are in their bodies.
    if operation == Operation::PostObject {
        return form::post(oss, context, bucket, body).await;
    }
    if operation == Operation::DeleteMultipleObjects {
        return delete::many(oss, context, bucket, body).await;
    }
    let key = context.head.key.as_deref();
    context.require_access(&oss.identities, operation.action(), bucket, key)?;
    let key = key.unwrap_or_default();
    match operation {
        Operation::ListBuckets | Operation::PostObject | Operation::DeleteMultipleObjects => {
            unreachable!("they were answered above")
        }
        Operation::ListObjects => lists::objects(context, bucket),
        Operation::ListObjectsV2 => lists::objects_v2(context, bucket),
        Operation::ListMultipartUploads => lists::uploads(context, bucket),
        Operation::GetBucketInfo => Ok(buckets::info(bucket)),
        Operation::GetBucketLocation => Ok(buckets::location(bucket)),
        Operation::GetBucketAcl => Ok(buckets::acl(bucket)),
        Operation::PutBucketCors => cors::put(bucket, body).await,
        Operation::GetBucketCors => cors::get(bucket),
        Operation::DeleteBucketCors => Ok(cors::delete(bucket)),
        Operation::PutBucketPolicy => bucket_policy::put(bucket, body).await,
        Operation::GetBucketPolicy => bucket_policy::get(bucket),
        Operation::DeleteBucketPolicy => Ok(bucket_policy::delete(bucket)),
        Operation::GetObject => read::get(context, bucket, key).await,
        Operation::HeadObject => read::head(context, bucket, key),
        Operation::GetObjectMeta => read::meta(bucket, key),
        Operation::GetObjectAcl => read::acl(bucket, key),
        Operation::PutObject => write::put(oss, context, bucket, key, body).await,
        Operation::CopyObject => write::copy(oss, context, bucket, key).await,
        Operation::DeleteObject => delete::one(bucket, key),
        Operation::InitiateMultipartUpload => multipart::initiate(context, bucket, key),
        Operation::CompleteMultipartUpload => {
            multipart::complete(oss, context, bucket, key, body).await
        }
        Operation::AbortMultipartUpload => multipart::abort(context, bucket, key),
        Operation::UploadPart => parts::upload(oss, context, bucket, key, body).await,
        Operation::UploadPartCopy => parts::copy(oss, context, bucket, key).await,
        Operation::ListParts => parts::list(context, bucket, key),
    }
}
