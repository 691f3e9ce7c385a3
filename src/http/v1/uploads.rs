//! `POST /v1/uploads`: a signed form that uploads one object.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::json_body::ApiJson;
use super::no_query::NoQuery;
use super::object_signature::SignatureRequest;
use super::success::{Success, json};
use super::upload_callback::{SignedUpload, UploadCallback};
use crate::audit::ObjectRecord;
use crate::auth::Caller;
use crate::callback::UploadId;
use crate::grant::{Signing, TokenParams};
use crate::http::api::Api;
use crate::http::contract::responses::{BodyFailures, CallFailures, StsFailures, curl};
use crate::http::contract::schemas::Time;
use crate::http::error::ApiError;
use crate::http::middleware::audit;
use crate::http::middleware::context::RequestContext;
use crate::http::signed_thing::SignedThing;
use crate::sign::{PostForm, SignedForm, UrlMethod};
use appserver_domain::clock::Stamp;

pub(crate) const PATH: &str = "/v1/uploads";

/// The name of the form's field for the file, which comes last.
const FILE_FIELD: &str = "file";

/// The file to upload. Which members are required is up to the grant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct UploadRequest {
    /// One of the client's grants. May be left out where it has a default or exactly one.
    #[schema(nullable = false, example = "photo-upload")]
    grant: Option<String>,
    /// Exactly those that the grant declares.
    #[schema(nullable = false)]
    parameters: Option<BTreeMap<String, String>>,
    /// The file's name, where the grant's keys contain it.
    #[schema(nullable = false, example = "cat.jpg")]
    name: Option<String>,
    /// One of those that the grant admits; may be left out where it admits only one.
    #[schema(nullable = false, example = "image/jpeg")]
    content_type: Option<String>,
    /// The size of the file. OSS then takes no larger one, and one beyond the grant's limit is refused before it is sent.
    #[schema(nullable = false, minimum = 1)]
    bytes: Option<u64>,
    /// Of the form; 15 minutes if left out, or the longest time that the grant admits if that is less.
    #[schema(nullable = false, minimum = 60, maximum = 604_800)]
    expires_in_seconds: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UploadResponse<'a> {
    #[serde(flatten)]
    success: Success<'a>,
    /// The upload's name in the audit.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    upload_id: String,
    /// Where the form is sent.
    #[schema(format = "uri")]
    url: String,
    #[schema(pattern = "^POST$")]
    method: &'static str,
    /// All fields before the file, in this order and unchanged: OSS refuses the form otherwise.
    #[schema(value_type = BTreeMap<String, String>)]
    fields: FormFields,
    /// The field of the file, which comes last.
    #[schema(pattern = "^file$")]
    file_field: &'static str,
    /// The key of the object.
    #[schema(example = "users/alice/cat.jpg")]
    key: &'a str,
    /// The size of the largest file that the form takes.
    max_bytes: u64,
    /// When OSS stops taking the form. A file must have arrived by then.
    #[schema(value_type = Time)]
    expires_at: &'a str,
    /// The grant that was used.
    #[schema(example = "photo-upload")]
    grant: &'a str,
}

/// The fields of a form, written as one object in their order.
struct FormFields(Vec<(String, String)>);

impl Serialize for FormFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[utoipa::path(
    post,
    path = PATH,
    operation_id = "signUpload",
    summary = "A form that uploads one object",
    description = "A PostObject form of OSS, signed with V4, for apps that need no SDK. OSS enforces the key, the type and \
                   the size. Everyone with the form can upload with it: it is a secret until `ExpiresAt`.",
    request_body = Option<UploadRequest>,
    responses(
        (status = 200, description = "A form.", body = UploadResponse),
        CallFailures,
        BodyFailures,
        StsFailures,
    ),
    security(("Basic" = []), ("Bearer" = []), ("Certificate" = [])),
    extensions(("x-codeSamples" = json!(curl(
        r#"curl -u "$CLIENT:$SECRET" -H 'Content-Type: application/json' \
  -d '{"Grant": "photo-upload", "Name": "cat.jpg", "ContentType": "image/jpeg"}' "$APPSERVER/v1/uploads""#
    )))),
)]
pub(crate) async fn sign_upload(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    caller: Caller,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<UploadRequest>,
) -> Result<Response, ApiError> {
    let UploadRequest { grant, parameters, name, content_type, bytes, expires_in_seconds } =
        request;
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
    let (Some(rules), Some(oss), Some(Signing { session, .. })) =
        (&entitlement.upload, &entitlement.oss, &entitlement.signing)
    else {
        let grants = &context.rules.grants;
        let signing = grants.names_of(caller.client(), |grant| grant.upload.is_some());
        return Err(ApiError::NotSigned(SignedThing::Uploads, signing));
    };
    name.as_deref().map(|name| rules.check_name(name)).transpose()?;
    let content_type = rules.content_type(content_type.as_deref())?.as_str();
    let bytes = rules.bytes(bytes)?;
    let life_secs = rules.lifetime.choose(expires_in_seconds)?;
    let id = UploadId::fresh();
    let upload_id = id.to_string();
    let key = &grant.object_key(name.as_deref(), &upload_id)?;
    let config = context.rules.callbacks.as_deref();
    let callback = UploadCallback::of(config, entitlement, &caller, &params.parameters)?;
    let request = SignatureRequest {
        grant: &grant,
        session,
        region: oss.region(),
        action: UrlMethod::Put.action(),
        key,
        life_secs,
        parameters: &params.parameters,
        object: ObjectRecord {
            method: None,
            bucket: oss.bucket(),
            key: key.as_str(),
            content_type: Some(content_type),
            max_bytes: Some(*bytes.end()),
            upload_id: Some(&upload_id),
        },
    };
    let signature = request.admit(&api, &context, &caller).await?;
    let upload = SignedUpload {
        id,
        caller: &caller,
        grant: entitlement,
        bucket: oss.bucket(),
        key,
        content_type,
        max_bytes: *bytes.end(),
        signed_at: signature.starts_at(),
        expires_at: signature.expires_at,
    };
    let callback = callback.map(|callback| callback.fields(&upload)).transpose()?;
    let form = PostForm {
        bucket: oss.bucket(),
        key,
        content_type,
        storage_class: rules.storage_class.as_str(),
        overwrite: rules.overwrite,
        bytes: bytes.clone(),
        expires_at: signature.expires_at,
        callback: &callback.unwrap_or_default(),
    };
    let SignedForm { fields } = form.sign(signature.key(), &signature.scope);
    let answer = json(&UploadResponse {
        success: Success::new(context.id.as_str()),
        upload_id: upload_id.clone(),
        url: oss.url(),
        method: "POST",
        fields: FormFields(fields),
        file_field: FILE_FIELD,
        key: key.as_str(),
        max_bytes: *bytes.end(),
        expires_at: Stamp::of(signature.expires_at).as_str(),
        grant: entitlement.name.as_str(),
    });
    audit::record_signed(&api, &context, &request.object, &signature.record()).await?;
    api.metrics.upload_signed(caller.client(), &entitlement.name);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::v1::fields::from_json;

    #[test]
    fn an_error_about_a_number_names_its_unit_and_its_quotes() {
        let of = |json: &str| {
            let error = from_json::<UploadRequest>(json.as_bytes()).unwrap_err();
            error.public().message.into_owned()
        };
        let found =
            [of(r#"{"Bytes":"12"}"#), of(r#"{"Bytes":1.5}"#), of(r#"{"ExpiresInSeconds":"60"}"#)];
        insta::assert_snapshot!(found.join("\n"), @r"
        Bytes: it must be a whole number of bytes, without quotes, a sign or leading zeros.
        Bytes: it must be a whole number of bytes, without a sign or leading zeros.
        ExpiresInSeconds: it must be a whole number of seconds, without quotes, a sign or leading zeros.
        ");
    }

    #[test]
    fn fields_are_written_in_their_order() {
        let fields = [("key", "a"), ("Content-Type", "b"), ("callback", "c")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let written = serde_json::to_string(&FormFields(fields.into())).unwrap();
        assert_eq!(written, r#"{"key":"a","Content-Type":"b","callback":"c"}"#);
    }
}
