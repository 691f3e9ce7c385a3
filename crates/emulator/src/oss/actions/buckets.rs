//! Information about buckets.

use axum::body::Body;
use axum::http::Response;
use serde::Serialize;

use crate::oss::error::{Denied, OssError};
use crate::oss::request_context::RequestContext;
use crate::oss::response::{document, xml_date};
use crate::oss::state::Oss;
use crate::oss::store::Bucket;
use crate::ram::Principal;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Owner<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    display_name: &'a str,
}

impl<'a> Owner<'a> {
    pub(crate) fn of(bucket: &'a Bucket) -> Self {
        Self { id: &bucket.account, display_name: &bucket.account }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListAllMyBucketsResult<'a> {
    owner: Account<'a>,
    prefix: &'a str,
    marker: &'a str,
    max_keys: &'a str,
    is_truncated: bool,
    buckets: Buckets<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Account<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    display_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Buckets<'a> {
    bucket: Vec<Listed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    name: &'a str,
    creation_date: String,
    location: String,
    region: &'a str,
    storage_class: &'static str,
    extranet_endpoint: String,
    intranet_endpoint: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BucketInfo<'a> {
    bucket: Info<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Info<'a> {
    #[serde(flatten)]
    listed: Listed<'a>,
    owner: Owner<'a>,
    access_control_list: Grant,
    data_redundancy_type: &'static str,
    versioning: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Grant {
    grant: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AccessControlPolicy<'a> {
    owner: Owner<'a>,
    access_control_list: Grant,
}

impl<'a> AccessControlPolicy<'a> {
    pub(crate) fn new(bucket: &'a Bucket, grant: &'static str) -> Self {
        Self { owner: Owner::of(bucket), access_control_list: Grant { grant } }
    }
}

/// All buckets of the signer's account on one page: there are few.
pub(super) fn list(
    oss: &Oss,
    context: &mut RequestContext<'_>,
) -> Result<Response<Body>, OssError> {
    let principal = context.signer.as_ref().map(|signer| &signer.principal);
    let account = match principal {
        None => return Err(OssError::AccessDenied(Denied::Anonymous)),
        Some(Principal::Root(account)) => account.clone(),
        Some(Principal::User(user)) => user.account.clone(),
        Some(Principal::Session(session)) => {
            let ram = oss.identities.ram.load();
            let role = ram.role_of(session);
            role.map(|role| role.account.clone()).unwrap_or_default()
        }
    };
    context.require_list_access(&oss.identities, &account)?;
    let prefix = context.head.query.get("prefix").unwrap_or_default();
    let own = oss.store.buckets().filter(|bucket| bucket.account == account);
    let bucket = own.filter(|bucket| bucket.name.starts_with(prefix)).map(listed).collect();
    let result = ListAllMyBucketsResult {
        owner: Account { id: &account, display_name: &account },
        prefix,
        marker: "",
        max_keys: "",
        is_truncated: false,
        buckets: Buckets { bucket },
    };
    Ok(document("ListAllMyBucketsResult", &result))
}

pub(super) fn info(bucket: &Bucket) -> Response<Body> {
    let info = Info {
        listed: listed(bucket),
        owner: Owner::of(bucket),
        access_control_list: Grant { grant: bucket.acl.as_str() },
        data_redundancy_type: "LRS",
        versioning: "",
    };
    document("BucketInfo", &BucketInfo { bucket: info })
}

pub(super) fn location(bucket: &Bucket) -> Response<Body> {
    document("LocationConstraint", &bucket.location())
}

pub(super) fn acl(bucket: &Bucket) -> Response<Body> {
    document("AccessControlPolicy", &AccessControlPolicy::new(bucket, bucket.acl.as_str()))
}

fn listed(bucket: &Bucket) -> Listed<'_> {
    let location = bucket.location();
    Listed {
        name: &bucket.name,
        creation_date: xml_date(bucket.created),
        region: &bucket.region,
        storage_class: "Standard",
        extranet_endpoint: format!("{location}.aliyuncs.com"),
        intranet_endpoint: format!("{location}-internal.aliyuncs.com"),
        location,
    }
}
