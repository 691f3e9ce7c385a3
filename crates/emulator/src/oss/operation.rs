//! The operation of a request.

use axum::http::Method;

use super::error::OssError;
use super::head::Head;
use super::signature::SIGNED_SUBRESOURCES;

/// The operations that the emulator has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    ListBuckets,
    ListObjects,
    ListObjectsV2,
    GetBucketInfo,
    GetBucketLocation,
    GetBucketAcl,
    PutBucketCors,
    GetBucketCors,
    DeleteBucketCors,
    PutBucketPolicy,
    GetBucketPolicy,
    DeleteBucketPolicy,
    ListMultipartUploads,
    DeleteMultipleObjects,
    PostObject,
    PutObject,
    CopyObject,
    GetObject,
    HeadObject,
    GetObjectMeta,
    GetObjectAcl,
    DeleteObject,
    InitiateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
}

/// Sub-resources that only modify another operation.
const COLOURS: &[&str] = &[
    // Only three operations have callbacks; what the real OSS does with these elsewhere is not documented.
    "callback",
    "callback-var",
    "continuation-token",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "security-token",
    "sequential",
];

impl Operation {
    pub(crate) fn of(head: &Head) -> Result<Self, OssError> {
        let asks: Vec<&str> = head
            .query
            .iter()
            .map(|(name, _)| name)
            .filter(|name| is_subresource(name) && !COLOURS.contains(name))
            .collect();
        let method = match head.method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::PUT => "PUT",
            Method::POST => "POST",
            Method::DELETE => "DELETE",
            _ => return Err(OssError::MethodNotAllowed),
        };
        let copies = head.headers.contains_key("x-oss-copy-source");
        let mut sorted = asks;
        sorted.sort_unstable();
        match (&head.bucket, &head.key) {
            (None, _) => match (method, sorted.as_slice()) {
                ("GET", []) => Ok(Self::ListBuckets),
                (_, []) => Err(OssError::MethodNotAllowed),
                _ => Err(OssError::NotImplemented),
            },
            (Some(_), None) => match (method, sorted.as_slice()) {
                ("GET", []) if head.query.get("list-type") == Some("2") => Ok(Self::ListObjectsV2),
                ("GET", []) => Ok(Self::ListObjects),
                ("GET", ["bucketInfo"]) => Ok(Self::GetBucketInfo),
                ("GET", ["location"]) => Ok(Self::GetBucketLocation),
                ("GET", ["acl"]) => Ok(Self::GetBucketAcl),
                ("PUT", ["cors"]) => Ok(Self::PutBucketCors),
                ("GET", ["cors"]) => Ok(Self::GetBucketCors),
                ("DELETE", ["cors"]) => Ok(Self::DeleteBucketCors),
                ("PUT", ["policy"]) => Ok(Self::PutBucketPolicy),
                ("GET", ["policy"]) => Ok(Self::GetBucketPolicy),
                ("DELETE", ["policy"]) => Ok(Self::DeleteBucketPolicy),
                ("GET", ["uploads"]) => Ok(Self::ListMultipartUploads),
                ("POST", ["delete"]) => Ok(Self::DeleteMultipleObjects),
                ("POST", []) => Ok(Self::PostObject),
                // Buckets come from the emulator's configuration; requests do not create or delete them.
                _ => Err(OssError::NotImplemented),
            },
            (Some(_), Some(_)) => match (method, sorted.as_slice()) {
                ("PUT", []) if copies => Ok(Self::CopyObject),
                ("PUT", []) => Ok(Self::PutObject),
                ("GET", []) => Ok(Self::GetObject),
                ("HEAD", []) => Ok(Self::HeadObject),
                ("HEAD" | "GET", ["objectMeta"]) => Ok(Self::GetObjectMeta),
                ("GET", ["acl"]) => Ok(Self::GetObjectAcl),
                ("DELETE", []) => Ok(Self::DeleteObject),
                ("POST", ["uploads"]) => Ok(Self::InitiateMultipartUpload),
                ("PUT", ["partNumber", "uploadId"]) if copies => Ok(Self::UploadPartCopy),
                ("PUT", ["partNumber", "uploadId"]) => Ok(Self::UploadPart),
                ("POST", ["uploadId"]) => Ok(Self::CompleteMultipartUpload),
                ("DELETE", ["uploadId"]) => Ok(Self::AbortMultipartUpload),
                ("GET", ["uploadId"]) => Ok(Self::ListParts),
                ("POST", []) => Err(OssError::MethodNotAllowed),
                _ => Err(OssError::NotImplemented),
            },
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ListBuckets => "ListBuckets",
            Self::ListObjects => "ListObjects",
            Self::ListObjectsV2 => "ListObjectsV2",
            Self::GetBucketInfo => "GetBucketInfo",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::GetBucketAcl => "GetBucketAcl",
            Self::PutBucketCors => "PutBucketCors",
            Self::GetBucketCors => "GetBucketCors",
            Self::DeleteBucketCors => "DeleteBucketCors",
            Self::PutBucketPolicy => "PutBucketPolicy",
            Self::GetBucketPolicy => "GetBucketPolicy",
            Self::DeleteBucketPolicy => "DeleteBucketPolicy",
            Self::ListMultipartUploads => "ListMultipartUploads",
            Self::DeleteMultipleObjects => "DeleteMultipleObjects",
            Self::PostObject => "PostObject",
            Self::PutObject => "PutObject",
            Self::CopyObject => "CopyObject",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::GetObjectMeta => "GetObjectMeta",
            Self::GetObjectAcl => "GetObjectAcl",
            Self::DeleteObject => "DeleteObject",
            Self::InitiateMultipartUpload => "InitiateMultipartUpload",
            Self::UploadPart => "UploadPart",
            Self::UploadPartCopy => "UploadPartCopy",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::AbortMultipartUpload => "AbortMultipartUpload",
            Self::ListParts => "ListParts",
        }
    }

    /// Whether it reads, writes or lists objects, rather than managing a bucket.
    pub(crate) fn is_on_data(self) -> bool {
        !matches!(
            self,
            Self::ListBuckets
                | Self::GetBucketInfo
                | Self::GetBucketLocation
                | Self::GetBucketAcl
                | Self::PutBucketCors
                | Self::GetBucketCors
                | Self::DeleteBucketCors
                | Self::PutBucketPolicy
                | Self::GetBucketPolicy
                | Self::DeleteBucketPolicy
        )
    }

    /// The RAM action that it needs on its key or bucket.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::ListBuckets => "oss:ListBuckets",
            Self::ListObjects | Self::ListObjectsV2 => "oss:ListObjects",
            Self::GetBucketInfo => "oss:GetBucketInfo",
            Self::GetBucketLocation => "oss:GetBucketLocation",
            Self::GetBucketAcl => "oss:GetBucketAcl",
            Self::PutBucketCors => "oss:PutBucketCors",
            Self::GetBucketCors => "oss:GetBucketCors",
            Self::DeleteBucketCors => "oss:DeleteBucketCors",
            Self::PutBucketPolicy => "oss:PutBucketPolicy",
            Self::GetBucketPolicy => "oss:GetBucketPolicy",
            Self::DeleteBucketPolicy => "oss:DeleteBucketPolicy",
            Self::ListMultipartUploads => "oss:ListMultipartUploads",
            Self::GetObject | Self::HeadObject | Self::GetObjectMeta => "oss:GetObject",
            Self::GetObjectAcl => "oss:GetObjectAcl",
            Self::DeleteObject | Self::DeleteMultipleObjects => "oss:DeleteObject",
            Self::PutObject
            | Self::PostObject
            | Self::CopyObject
            | Self::InitiateMultipartUpload
            | Self::UploadPart
            | Self::UploadPartCopy
            | Self::CompleteMultipartUpload => "oss:PutObject",
            Self::AbortMultipartUpload => "oss:AbortMultipartUpload",
            Self::ListParts => "oss:ListParts",
        }
    }
}

/// `x-oss-process` and similar parameters change the answer: they are refused rather than ignored.
fn is_subresource(name: &str) -> bool {
    let authenticates = name.starts_with("x-oss-signature")
        || ["x-oss-credential", "x-oss-date", "x-oss-expires", "x-oss-additional-headers"]
            .contains(&name)
        || name == "x-oss-security-token";
    (SIGNED_SUBRESOURCES.contains(&name) || name.starts_with("x-oss-")) && !authenticates
}
