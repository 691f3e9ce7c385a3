//! What a callback tells of an upload.

use std::net::IpAddr;

use serde_json::Value;

use super::body_template::Variable;
use super::callback_failure::CallbackFailure;
use super::callback_request::CallbackRequest;
use super::image_info::ImageInfo;
use crate::oss::operation::Operation;
use crate::oss::request_context::RequestContext;
use crate::oss::store::{Bucket, Object};
use crate::ram::Principal;

/// The head of an image is looked for in so many bytes.
const MOST_HEAD_BYTES: u64 = 256 << 10;

/// A stored object that a callback follows.
pub(crate) struct Uploaded<'a> {
    pub(crate) bucket: &'a Bucket,
    pub(crate) object: &'a Object,
    pub(crate) operation: Operation,
    /// In base64; `None` for a multipart upload.
    pub(crate) content_md5: Option<&'a str>,
}

/// The values of a callback's variables and headers.
pub(super) struct UploadFacts<'a> {
    pub(super) bucket: &'a str,
    pub(super) request_id: &'a str,
    pub(super) requester: String,
    pub(super) now: chrono::DateTime<chrono::Utc>,
    object: &'a Object,
    operation: &'static str,
    content_md5: Option<&'a str>,
    client_ip: IpAddr,
    image: Option<ImageInfo>,
}

impl<'a> UploadFacts<'a> {
    /// The image is read only if the callback's body has its size.
    pub(super) async fn of(
        context: &'a RequestContext<'_>,
        request: &CallbackRequest,
        uploaded: Uploaded<'a>,
    ) -> Result<Self, CallbackFailure> {
        let Uploaded { bucket, object, operation, content_md5 } = uploaded;
        let image = if request.body.needs_image_info() {
            let head = head_of(bucket, object).await;
            ImageInfo::read(&head).map_err(|_| CallbackFailure::UnreadableImage)?
        } else {
            None
        };
        let requester = match context.signer.as_ref().map(|signer| &signer.principal) {
            Some(Principal::Root(account)) => account.clone(),
            Some(Principal::User(user)) => user.id.clone(),
            Some(Principal::Session(session)) => session.role_id.clone(),
            None => "-".to_owned(),
        };
        Ok(Self {
            bucket: &bucket.name,
            request_id: context.request_id,
            requester,
            now: context.now,
            object,
            operation: operation.name(),
            content_md5,
            client_ip: context.source_ip,
            image,
        })
    }

    /// An empty text for what is not known.
    pub(super) fn value(&self, request: &CallbackRequest, variable: &Variable) -> Value {
        let of_image = |part: fn(ImageInfo) -> Value| self.image.map_or(Value::from(""), part);
        match variable {
            Variable::Bucket => self.bucket.into(),
            Variable::Object => self.object.key.as_str().into(),
            Variable::ETag => self.object.etag.trim_matches('"').into(),
            Variable::Size => self.object.length.into(),
            Variable::MimeType => {
                self.object.meta.0.get("content-type").map_or("", String::as_str).into()
            }
            Variable::ImageHeight => of_image(|image| image.height.into()),
            Variable::ImageWidth => of_image(|image| image.width.into()),
            Variable::ImageFormat => of_image(|image| image.format.into()),
            Variable::Crc64 => self.object.crc64.to_string().into(),
            Variable::ContentMd5 => self.content_md5.unwrap_or_default().into(),
            // The emulator has no VPC.
            Variable::VpcId => "".into(),
            Variable::ClientIp => self.client_ip.to_string().into(),
            Variable::RequestId => self.request_id.into(),
            Variable::Operation => self.operation.into(),
            Variable::Custom(name) => request.variables.get(name).map_or("", String::as_str).into(),
        }
    }
}

/// The first bytes of an object; none if it has been deleted meanwhile.
async fn head_of(bucket: &Bucket, object: &Object) -> Vec<u8> {
    let Ok(opened) = bucket.open(&object.key) else { return Vec::new() };
    let length = opened.object.length.min(MOST_HEAD_BYTES);
    let Ok(body) = opened.source.into_body(0..length).await else { return Vec::new() };
    let most = usize::try_from(MOST_HEAD_BYTES).unwrap_or(usize::MAX);
    axum::body::to_bytes(body, most).await.map_or_else(|_| Vec::new(), |bytes| bytes.to_vec())
}
