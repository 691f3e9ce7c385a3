//! Signs upload forms, URLs and requests about a bucket with signature V4 of OSS. Pure: the time and the credentials are parameters.
//!
//! What is signed for callers lets its holder do one thing to one object. The secret that it is signed with never leaves the server.

mod bucket_request;
mod byte_size;
mod content_type;
mod name_pattern;
mod post_form;
mod presigned_url;
mod scope;
mod upload_rules;

pub(crate) use bucket_request::BucketRequest;
pub(crate) use byte_size::ByteSize;
pub(crate) use content_type::ContentType;
pub(crate) use name_pattern::NamePattern;
pub(crate) use post_form::{PostForm, SignedForm};
pub(crate) use presigned_url::{PresignedUrl, UrlMethod};
pub(crate) use scope::{Scope, SessionKey};
pub(crate) use upload_rules::{
    ContentTypes, SignedUrlMethods, SigningLifetime, SigningProblem, StorageClass, UploadRules,
};
