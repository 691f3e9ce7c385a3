//! PostObject: an upload by a browser's form.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyDataStream;
use multer::{Field, Multipart};
use secrecy::SecretString;
use serde::Serialize;

use super::form_policy;
use super::write::{is_stored, meta_from};
use crate::oss::callback::{CallbackRequest, Uploaded};
use crate::oss::error::{Denied, Mismatch, OssError};
use crate::oss::head::check_key;
use crate::oss::operation::Operation;
use crate::oss::request_context::{RequestContext, Signer};
use crate::oss::response::{document, empty, set};
use crate::oss::signature::{SigningKey, credential_of, is_valid_v1};
use crate::oss::state::Oss;
use crate::oss::store::{Bucket, Limits, NewObject, Spool, Spooled};
use crate::percent::encode;

/// The total length of the fields before the file, with their names.
const MOST_FIELD_BYTES: usize = 256 << 10;

pub(super) async fn post(
    oss: &Oss,
    context: &mut RequestContext<'_>,
    bucket: &Bucket,
    body: &mut Body,
) -> Result<Response<Body>, OssError> {
    if context.signer.is_some() {
        return Err(OssError::InvalidArgument("A form is signed by its fields."));
    }
    let content_type = context.head.header("content-type").unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(|_| {
        OssError::MalformedForm(
            "The body of your POST request is not well-formed multipart/form-data.",
        )
    })?;
    let mut multipart = Multipart::new(BodyDataStream::new(body), boundary);
    let Form { fields, file } = Form::read(&mut multipart, &bucket.name).await?;

    let limits = authenticate(oss, context, bucket, &fields)?;
    let key = fields.get("key").map(String::as_str).filter(|key| !key.is_empty());
    let key =
        key.ok_or(OssError::InvalidArgument("Bucket POST must contain a field named 'key'."))?;
    let key = key.replace("${filename}", file.file_name().unwrap_or_default());
    check_key(&key)?;
    context.require_access(&oss.identities, "oss:PutObject", bucket, Some(&key))?;

    let callback = CallbackRequest::of_form(&fields, context.head);
    let callback = oss.callbacks.accept(callback).await?;

    let of_file = file.content_type().map(ToString::to_string);
    let kept = fields.iter().filter(|(name, _)| is_stored(name));
    let mut pairs: BTreeMap<_, _> = kept.map(|(n, v)| (n.clone(), v.clone())).collect();
    if let Some(of_file) = of_file {
        pairs.entry("content-type".to_owned()).or_insert(of_file);
    }
    let meta = meta_from(pairs.into_iter())?;
    let spooled = take(file, oss, limits).await?;
    let md5 = STANDARD.encode(spooled.md5);
    let mut new = NewObject::normal(key.clone(), meta, spooled, context.now);
    new.only_if_absent = fields.get("x-oss-forbid-overwrite").is_some_and(|value| value == "true");
    let object = bucket.put(oss.store.backend(), new).map_err(OssError::Storage)?.done()?;

    let mut response = match callback {
        None => posted(context, bucket, &fields, &key, &object.etag),
        Some(callback) => {
            let operation = Operation::PostObject;
            let uploaded = Uploaded { bucket, object: &object, operation, content_md5: Some(&md5) };
            oss.callbacks.answer(context, &callback, uploaded).await?
        }
    };
    let headers = response.headers_mut();
    set(headers, "etag", &object.etag);
    set(headers, "x-oss-hash-crc64ecma", &object.crc64.to_string());
    Ok(response)
}

/// The fields before the file by lower-case name, and the file.
struct Form<'m> {
    fields: BTreeMap<String, String>,
    file: Field<'m>,
}

impl<'m> Form<'m> {
    /// Reads up to the file; fields after it are ignored.
    async fn read(multipart: &mut Multipart<'m>, bucket: &str) -> Result<Self, OssError> {
        let mut fields = BTreeMap::new();
        let mut left = MOST_FIELD_BYTES;
        let cut = |_| OssError::MalformedForm("The form is not well-formed or ends too soon.");
        while let Some(mut field) = multipart.next_field().await.map_err(cut)? {
            let name = field.name().unwrap_or_default().to_lowercase();
            if name == "file" {
                // A condition can refer to it, so no field can have this name.
                fields.insert("bucket".to_owned(), bucket.to_owned());
                return Ok(Self { fields, file: field });
            }
            let mut value = Vec::new();
            while let Some(chunk) = field.chunk().await.map_err(cut)? {
                left = left.checked_sub(chunk.len()).ok_or(OssError::EntityTooLarge)?;
                value.extend_from_slice(&chunk);
            }
            left = left.checked_sub(name.len() + 1).ok_or(OssError::EntityTooLarge)?;
            let value = String::from_utf8(value)
                .map_err(|_| OssError::MalformedForm("A field of the form is not UTF-8."))?;
            fields.insert(name, value);
        }
        Err(OssError::MalformedForm("POST requires exactly one file upload per request."))
    }
}

/// The signer of the form, if it is signed, and the length limits of its file.
fn authenticate(
    oss: &Oss,
    context: &mut RequestContext<'_>,
    bucket: &Bucket,
    fields: &BTreeMap<String, String>,
) -> Result<Limits, OssError> {
    let field = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let is_v4 = field("x-oss-signature-version").is_some();
    let signature = field(if is_v4 { "x-oss-signature" } else { "signature" });
    let id = if is_v4 { field("x-oss-credential") } else { field("ossaccesskeyid") };
    let (policy, signature, id) = match (field("policy"), signature, id) {
        (Some(policy), Some(signature), Some(id)) => (policy, signature, id),
        (None, None, None) => return Ok(Limits::default()),
        (_, _, _) => {
            return Err(OssError::InvalidArgument(
                "A signed form has the fields policy, OSSAccessKeyId and Signature, or those of version 4.",
            ));
        }
    };
    let scope = match is_v4 {
        true if field("x-oss-signature-version") != Some("OSS4-HMAC-SHA256") => {
            return Err(OssError::InvalidArgument("The signature version is unknown."));
        }
        true => {
            let (id, scope) = credential_of(id)?;
            scope.check(Some(&bucket.region))?;
            if !field("x-oss-date").is_some_and(|date| scope.is_of(date)) {
                return Err(OssError::AccessDenied(Denied::NoDate));
            }
            Some((id, scope))
        }
        false => None,
    };
    if !is_v4 {
        oss.rules.check_v1(context.head)?;
    }
    let (id, scope) = match scope {
        Some((id, scope)) => (id, Some(scope)),
        None => (id.to_owned(), None),
    };
    let token = field("x-oss-security-token");
    let (principal, secret) = oss.identities.find(&id, token, context.now, context.source_ip)?;
    let is_valid = |secret: &SecretString| match &scope {
        Some(scope) => SigningKey::derive(secret, scope).is_valid(policy, signature),
        None => is_valid_v1(secret, policy, signature),
    };
    if !is_valid(&secret) {
        return Err(OssError::SignatureDoesNotMatch(Box::new(Mismatch {
            access_key_id: id,
            signature: signature.to_owned(),
            string_to_sign: policy.to_owned(),
            canonical_request: None,
        })));
    }
    context.signer = Some(Signer { access_key_id: id, principal });
    form_policy::check(policy, fields, context.now)
}

async fn take(mut file: Field<'_>, oss: &Oss, limits: Limits) -> Result<Spooled, OssError> {
    let mut spool = Spool::new(oss.store.backend(), limits).await?;
    while let Some(chunk) = file.chunk().await.map_err(|_| OssError::IncompleteBody)? {
        spool.write(&chunk).await?;
    }
    spool.finish().await
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PostResponse<'a> {
    bucket: &'a str,
    location: String,
    key: &'a str,
    #[serde(rename = "ETag")]
    etag: &'a str,
}

/// The answer that the form requests; 204 by default.
fn posted(
    context: &RequestContext<'_>,
    bucket: &Bucket,
    fields: &BTreeMap<String, String>,
    key: &str,
    etag: &str,
) -> Response<Body> {
    if let Some(redirect) = fields.get("success_action_redirect").filter(|url| !url.is_empty()) {
        let separator = if redirect.contains('?') { '&' } else { '?' };
        let query = [("bucket", bucket.name.as_str()), ("key", key), ("etag", etag)]
            .map(|(name, value)| format!("{name}={}", encode(value)));
        let mut response = empty(StatusCode::SEE_OTHER);
        let location = format!("{redirect}{separator}{}", query.join("&"));
        set(response.headers_mut(), "location", &location);
        return response;
    }
    match fields.get("success_action_status").map(String::as_str) {
        Some("200") => empty(StatusCode::OK),
        Some("201") => {
            let location = context.head.url_of(&bucket.name, key);
            let result = PostResponse { bucket: &bucket.name, location, key, etag };
            let mut response = document("PostResponse", &result);
            *response.status_mut() = StatusCode::CREATED;
            response
        }
        Some(_) | None => empty(StatusCode::NO_CONTENT),
    }
}
