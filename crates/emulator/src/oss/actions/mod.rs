//! What can be asked, each with the rights that it needs.

mod buckets;
mod delete;
mod form;
mod form_policy;
mod lists;
mod multipart;
mod parts;
mod read;
mod write;

use axum::body::Body;
use axum::http::Response;

use super::operation::Operation;
use super::refusal::Refusal;
use super::service::Oss;
use super::visit::Visit;

/// Does what is asked, if the visitor may. Nothing is looked up before that is known, so that nobody learns which keys
/// there are outside their policy.
pub(crate) async fn act(
    oss: &Oss,
    visit: &mut Visit<'_>,
    operation: Operation,
    body: &mut Body,
) -> Result<Response<Body>, Refusal> {
    if operation == Operation::ListBuckets {
        return buckets::list(oss, visit);
    }
    let bucket = oss.bucket(visit.head)?;
    // These two learn from their bodies which keys they are about.
    if operation == Operation::PostObject {
        return form::post(oss, visit, bucket, body).await;
    }
    if operation == Operation::DeleteMultipleObjects {
        return delete::many(oss, visit, bucket, body).await;
    }
    let key = visit.head.key.as_deref();
    visit.demand(&oss.identities, operation.action(), bucket, key)?;
    let key = key.unwrap_or_default();
    match operation {
        Operation::ListBuckets | Operation::PostObject | Operation::DeleteMultipleObjects => {
            unreachable!("they were answered above")
        }
        Operation::ListObjects => lists::objects(visit, bucket),
        Operation::ListObjectsV2 => lists::objects_v2(visit, bucket),
        Operation::ListMultipartUploads => lists::uploads(visit, bucket),
        Operation::GetBucketInfo => Ok(buckets::info(bucket)),
        Operation::GetBucketLocation => Ok(buckets::location(bucket)),
        Operation::GetBucketAcl => Ok(buckets::acl(bucket)),
        Operation::GetObject => read::get(visit, bucket, key).await,
        Operation::HeadObject => read::head(visit, bucket, key),
        Operation::GetObjectMeta => read::meta(bucket, key),
        Operation::GetObjectAcl => read::acl(bucket, key),
        Operation::PutObject => write::put(oss, visit, bucket, key, body).await,
        Operation::CopyObject => write::copy(oss, visit, bucket, key).await,
        Operation::DeleteObject => delete::one(bucket, key),
        Operation::InitiateMultipartUpload => multipart::initiate(visit, bucket, key),
        Operation::CompleteMultipartUpload => {
            multipart::complete(oss, visit, bucket, key, body).await
        }
        Operation::AbortMultipartUpload => multipart::abort(visit, bucket, key),
        Operation::UploadPart => parts::upload(oss, visit, bucket, key, body).await,
        Operation::UploadPartCopy => parts::copy(oss, visit, bucket, key).await,
        Operation::ListParts => parts::list(visit, bucket, key),
    }
}
