//! `POST /v1/oss/callback`: OSS reports an upload. Its sender is OSS and no client, so there is no credential but OSS's
//! signature.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use super::json_body::read_body;
use super::success::json_text;
use crate::callback::{CallbackError, ReceivedCallback, UploadClaims};
use crate::http::api::Api;
use crate::http::contract::responses::{AnyFailures, NotFoundFailure, ReportFailures};
use crate::http::error::ApiError;
use crate::http::middleware::audit::note_upload;
use crate::http::middleware::context::RequestContext;

pub(crate) const PATH: &str = "/v1/oss/callback";

const KEY_URL: &str = "x-oss-pub-key-url";

#[utoipa::path(
    post,
    path = PATH,
    operation_id = "reportUpload",
    summary = "For OSS: a report of an upload",
    description = "OSS calls it when an upload is complete whose form came from this service. The report must be signed by OSS, with \
                   its RSA signature in base64 as `Authorization`, and be about that upload; the object is looked at, and the report is forwarded to the operator's backend, \
                   whose JSON is the answer.",
    request_body(
        content = String,
        content_type = "application/x-www-form-urlencoded",
        description = "What the upload's form requests of OSS.",
    ),
    params(("x-oss-pub-key-url" = String, Header, description = "The URL of OSS's public key in base64.")),
    responses(
        (status = 200, description = "The backend's JSON.", body = serde_json::Value),
        AnyFailures,
        NotFoundFailure,
        ReportFailures,
    ),
    security(()),
)]
pub(crate) async fn report_upload(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request,
) -> Result<Response, ApiError> {
    let config = context.rules.callbacks.as_ref().ok_or(CallbackError::NotConfigured)?;
    let query = request.uri().query().map(str::to_owned);
    let headers = request.headers().clone();
    let body = read_body(request).await?;
    let received = ReceivedCallback {
        request_id: context.id.as_str(),
        authorization: single(&headers, header::AUTHORIZATION.as_str()),
        key_url: single(&headers, KEY_URL),
        query: query.as_deref(),
        body,
        received_at: context.started,
    };
    let note = |upload: &UploadClaims| note_upload(&api, &context, upload);
    let answer = api.callbacks.receive(config, received, note).await?;
    Ok(json_text(answer.into_bytes()))
}

/// The value of a header that is sent once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
}
