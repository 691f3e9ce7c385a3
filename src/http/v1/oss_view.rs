//! The bucket of a grant, as answers describe it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::oss_bucket::OssBucket;

/// The grant's bucket and what an OSS SDK needs to reach it; absent where the operator names none.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Oss)]
pub(crate) struct OssView<'a> {
    #[schema(example = "sample-bucket")]
    bucket: &'a str,
    /// V4 signatures contain it.
    #[schema(example = "cn-hangzhou")]
    region: &'a str,
    #[schema(format = "uri")]
    endpoint: &'a str,
    /// Whether the endpoint is a domain of the bucket, before which SDKs must not put the bucket.
    cname: bool,
    /// OSS refuses V1 signatures for new accounts and new buckets.
    #[schema(pattern = "^V4$")]
    signature_version: &'static str,
}

impl<'a> From<&'a OssBucket> for OssView<'a> {
    fn from(oss: &'a OssBucket) -> Self {
        Self {
            bucket: oss.bucket().as_str(),
            region: oss.region().as_str(),
            endpoint: oss.endpoint().as_str(),
            cname: oss.cname(),
            signature_version: "V4",
        }
    }
}
