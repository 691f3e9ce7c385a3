//! Signature V1: HMAC-SHA1 over a few lines, in a header or in a URL.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::Mac;
use secrecy::{ExposeSecret, SecretString};

use super::{Scheme, Signed, TOKEN_HEADER, Text, hmac_sha1};
use crate::oss::error::{Denied, OssError};
use crate::oss::head::Head;
use crate::oss::query::Query;

const EXPIRES: &str = "Expires";
const ACCESS_KEY_ID: &str = "OSSAccessKeyId";
const SIGNATURE: &str = "Signature";

/// The time in a V1 signature.
#[derive(Debug)]
pub(crate) enum Time {
    /// The date of a request, with its original text.
    Date { at: DateTime<Utc>, line: String },
    /// The expiry of a URL, with its original text.
    Expires { at: DateTime<Utc>, line: String },
}

impl Time {
    pub(crate) fn line(&self) -> &str {
        match self {
            Self::Date { line, .. } | Self::Expires { line, .. } => line,
        }
    }
}

pub(crate) fn is_in_query(query: &Query) -> bool {
    query.has(ACCESS_KEY_ID) || query.has(SIGNATURE) || query.has(EXPIRES)
}

/// `Authorization: OSS <access key id>:<signature>`; `rest` is what follows `OSS `.
pub(crate) fn from_header(head: &Head, rest: &str) -> Result<Signed, OssError> {
    let parts = rest.trim().split_once(':').filter(|(id, signature)| {
        !id.is_empty() && !signature.is_empty() && !rest.trim().contains(' ')
    });
    let Some((id, signature)) = parts else {
        return Err(OssError::InvalidArgument("Authorization header is invalid."));
    };
    let line = head.header("x-oss-date").or(head.header("date"));
    let line = line.ok_or(OssError::AccessDenied(Denied::NoDate))?.to_owned();
    let at = DateTime::parse_from_rfc2822(&line)
        .map_err(|_| OssError::AccessDenied(Denied::NoDate))?
        .to_utc();
    Ok(Signed {
        access_key_id: id.to_owned(),
        token: head.header(TOKEN_HEADER).or(head.query.get("security-token")).map(str::to_owned),
        signature: signature.to_owned(),
        scheme: Scheme::V1(Time::Date { at, line }),
    })
}

/// `?OSSAccessKeyId=…&Expires=…&Signature=…`
pub(crate) fn from_query(head: &Head) -> Result<Signed, OssError> {
    let part = |name| head.query.get(name);
    let (Some(id), Some(expires), Some(signature)) =
        (part(ACCESS_KEY_ID), part(EXPIRES), part(SIGNATURE))
    else {
        return Err(OssError::AccessDenied(Denied::IncompleteQuery));
    };
    let at = expires.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let at = at.ok_or(OssError::AccessDenied(Denied::IncompleteQuery))?;
    Ok(Signed {
        access_key_id: id.to_owned(),
        token: part("security-token").or(head.header(TOKEN_HEADER)).map(str::to_owned),
        signature: signature.to_owned(),
        scheme: Scheme::V1(Time::Expires { at, line: expires.to_owned() }),
    })
}

pub(super) fn text(head: &Head, time: &str) -> Text {
    let line = |name| head.header(name).unwrap_or_default();
    let string_to_sign = format!(
        "{}\n{}\n{}\n{time}\n{}{}",
        head.method,
        line("content-md5"),
        line("content-type"),
        canonical_headers(head),
        canonical_resource(head),
    );
    Text { string_to_sign, canonical_request: None }
}

pub(crate) fn is_valid(secret: &SecretString, text: &str, signature: &str) -> bool {
    let signature = STANDARD.decode(signature).unwrap_or_default();
    let mac = hmac_sha1(secret.expose_secret().as_bytes()).chain_update(text.as_bytes());
    // Compares in constant time.
    mac.verify_slice(&signature).is_ok()
}

fn canonical_headers(head: &Head) -> String {
    let names = head.headers.keys().map(axum::http::HeaderName::as_str);
    let mut names: Vec<&str> = names.filter(|name| name.starts_with("x-oss-")).collect();
    names.sort_unstable();
    let lines =
        names.iter().map(|name| format!("{name}:{}\n", head.header(name).unwrap_or_default()));
    lines.collect()
}

fn canonical_resource(head: &Head) -> String {
    let mut resource = String::from("/");
    if let Some(bucket) = &head.bucket {
        resource.push_str(bucket);
        resource.push('/');
        resource.push_str(head.key.as_deref().unwrap_or_default());
    }
    let mut signed: Vec<_> = head.query.iter().filter(|(name, _)| is_signed(name)).collect();
    signed.sort_unstable();
    for (index, (name, value)) in signed.into_iter().enumerate() {
        resource.push(if index == 0 { '?' } else { '&' });
        resource.push_str(name);
        if !value.is_empty() {
            resource.push('=');
            resource.push_str(value);
        }
    }
    resource
}

/// Go's SDK also signs every query that starts with `x-oss-`; the others sign those in the list.
fn is_signed(name: &str) -> bool {
    SIGNED_SUBRESOURCES.contains(&name) || name.starts_with("x-oss-")
}

/// The signed query parameters: those of Alibaba Cloud's Python SDK, the longest published list.
pub(crate) const SIGNED_SUBRESOURCES: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "group",
    "httpsConfig",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectInfo",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "qosRequester",
    "redundancyTransition",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "requesterQosInfo",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
];
