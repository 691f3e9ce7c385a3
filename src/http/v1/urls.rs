//! `POST /v1/urls`: a signed URL for one object.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::json_body::ApiJson;
use super::no_query::NoQuery;
use super::object_signature::SignatureRequest;
use super::success::{Success, json};
use crate::audit::ObjectRecord;
use crate::auth::Caller;
use crate::grant::{Signing, TokenParams};
use crate::http::api::Api;
use crate::http::contract::responses::{BodyFailures, CallFailures, StsFailures, curl};
use crate::http::contract::schemas::Time;
use crate::http::error::ApiError;
use crate::http::middleware::audit;
use crate::http::middleware::context::RequestContext;
use crate::http::signed_thing::SignedThing;
use crate::sign::{ContentType, PresignedUrl, UrlMethod};
use crate::sts::percent_encode;
use appserver_domain::clock::Stamp;
use appserver_domain::{Invalid, ObjectKey};

pub(crate) const PATH: &str = "/v1/urls";

/// What is done with the URL, and with which object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct UrlRequest {
    method: Method,
    /// The key of the object, such as the `Key` of an upload.
    #[schema(example = "users/alice/cat.jpg", min_length = 1)]
    key: String,
    /// One of the client's grants. May be left out where it has a default or exactly one.
    #[schema(nullable = false, example = "photo-upload")]
    grant: Option<String>,
    /// Exactly those that the grant declares.
    #[schema(nullable = false)]
    parameters: Option<BTreeMap<String, String>>,
    /// Of `PUT` alone: the type that must be sent with the file.
    #[schema(nullable = false, example = "image/jpeg")]
    content_type: Option<String>,
    /// Of the URL; 15 minutes if left out, or the longest time that the grant admits if that is less.
    #[schema(nullable = false, minimum = 60, maximum = 604_800)]
    expires_in_seconds: Option<u64>,
    /// Of `GET` alone: the name under which a browser saves the object instead of showing it.
    #[schema(nullable = false, example = "cat.jpg")]
    download: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UrlResponse<'a> {
    #[serde(flatten)]
    success: Success<'a>,
    #[schema(format = "uri")]
    url: &'a str,
    #[schema(pattern = "^(GET|HEAD|PUT)$")]
    method: &'static str,
    /// The headers that must be sent with exactly these values; none, if it is empty.
    headers: BTreeMap<&'static str, &'a str>,
    /// The key of the object.
    #[schema(example = "users/alice/cat.jpg")]
    key: &'a str,
    /// When OSS stops taking the URL.
    #[schema(value_type = Time)]
    expires_at: &'a str,
    /// The grant that was used.
    #[schema(example = "photo-upload")]
    grant: &'a str,
}

/// What the URL is for; the grant's `signed_urls` lists what it signs.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(rename_all = "UPPERCASE")]
enum Method {
    Get,
    Head,
    Put,
}

impl TryFrom<String> for Method {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        match raw.as_str() {
            "GET" => Ok(Self::Get),
            "HEAD" => Ok(Self::Head),
            "PUT" => Ok(Self::Put),
            _ => Err(Invalid("it is `GET`, `HEAD` or `PUT`")),
        }
    }
}

impl From<Method> for UrlMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::Get,
            Method::Head => Self::Head,
            Method::Put => Self::Put,
        }
    }
}

#[utoipa::path(
    post,
    path = PATH,
    operation_id = "signUrl",
    summary = "A URL that reads or writes one object",
    description = "Signed with V4, for browsers and apps that need no SDK. Everyone with the URL can use it: it is a secret \
                   until `ExpiresAt`.",
    request_body = UrlRequest,
    responses(
        (status = 200, description = "A URL.", body = UrlResponse),
        CallFailures,
        BodyFailures,
        StsFailures,
    ),
    security(("Basic" = []), ("Bearer" = []), ("Certificate" = [])),
    extensions(("x-codeSamples" = json!(curl(
        r#"curl -u "$CLIENT:$SECRET" -H 'Content-Type: application/json' \
  -d '{"Grant": "photo-upload", "Method": "GET", "Key": "users/alice/cat.jpg"}' "$APPSERVER/v1/urls""#
    )))),
)]
pub(crate) async fn sign_url(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    caller: Caller,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<UrlRequest>,
) -> Result<Response, ApiError> {
    let UrlRequest { method, key, grant, parameters, content_type, expires_in_seconds, download } =
        request;
    let method = UrlMethod::from(method);
    let params =
        TokenParams { grant, parameters: parameters.unwrap_or_default(), ..Default::default() };
    context.note_requested_grant(&caller, &params);
    let grant = context.rules.grants.decide_signing(
        &caller,
        params.grant.as_deref(),
        &params.parameters,
        api.clock.now(),
    )?;
    let entitlement = grant.entitlement();
    let (true, Some(oss), Some(Signing { session, .. })) =
        (entitlement.signed_urls.contains(method), &entitlement.oss, &entitlement.signing)
    else {
        let grants = &context.rules.grants;
        let signing = grants.names_of(caller.client(), |grant| grant.signed_urls.contains(method));
        return Err(ApiError::NotSigned(SignedThing::Urls(method), signing));
    };
    let key =
        &ObjectKey::try_from(key).map_err(|rule| ApiError::invalid("Key", rule.to_string()))?;
    let content_type = content_type.map(|raw| type_of_put(method, raw)).transpose()?;
    let disposition = download.map(|name| attachment(method, &name)).transpose()?;
    let life_secs = entitlement.signing_lifetime().choose(expires_in_seconds)?;
    let request = SignatureRequest {
        grant: &grant,
        session,
        region: oss.region(),
        action: method.action(),
        key,
        life_secs,
        parameters: &params.parameters,
        object: ObjectRecord {
            method: Some(method.as_str()),
            bucket: oss.bucket(),
            key: key.as_str(),
            content_type: content_type.as_ref().map(ContentType::as_str),
            max_bytes: None,
            upload_id: None,
        },
    };
    let signature = request.admit(&api, &context, &caller).await?;
    let content_type = content_type.as_ref().map(ContentType::as_str);
    let signed_header = content_type.map(|of_put| ("content-type", of_put));
    let parameter = disposition.as_deref().map(|value| ("response-content-disposition", value));
    let url = PresignedUrl {
        method,
        bucket: oss.bucket(),
        base: &oss.url(),
        key,
        headers: signed_header.as_slice(),
        parameters: parameter.as_slice(),
        lifetime_secs: signature.lifetime_secs,
    };
    let url = url.sign(signature.key(), &signature.scope);
    let answer = json(&UrlResponse {
        success: Success::new(context.id.as_str()),
        url: &url,
        method: method.as_str(),
        headers: content_type.map(|of_put| ("Content-Type", of_put)).into_iter().collect(),
        key: key.as_str(),
        expires_at: Stamp::of(signature.expires_at).as_str(),
        grant: entitlement.name.as_str(),
    });
    audit::record_signed(&api, &context, &request.object, &signature.record()).await?;
    api.metrics.url_signed(caller.client(), &entitlement.name);
    Ok(answer)
}

/// The longest name of a saved file, in bytes.
const MOST_NAME_BYTES: usize = 255;

/// The type that the holder of a URL must send with the file.
fn type_of_put(method: UrlMethod, raw: String) -> Result<ContentType, ApiError> {
    if method != UrlMethod::Put {
        let rule = "only a `PUT` sends a file: leave it out";
        return Err(ApiError::invalid("ContentType", rule));
    }
    ContentType::try_from(raw).map_err(|rule| ApiError::invalid("ContentType", rule.to_string()))
}

/// The `Content-Disposition` by which a browser saves the object under this name.
fn attachment(method: UrlMethod, name: &str) -> Result<String, ApiError> {
    if method != UrlMethod::Get {
        return Err(ApiError::invalid("Download", "only a `GET` downloads: leave it out"));
    }
    let is_name = (1..=MOST_NAME_BYTES).contains(&name.len())
        && !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\'));
    if !is_name {
        let rule = format!(
            "a file's name is 1 to {MOST_NAME_BYTES} bytes without `/`, `\\` and control characters"
        );
        return Err(ApiError::invalid("Download", rule));
    }
    let mut value = b"attachment; filename*=UTF-8''".to_vec();
    percent_encode(name.as_bytes(), &mut value);
    Ok(String::from_utf8(value).expect("what is encoded is ASCII"))
}
