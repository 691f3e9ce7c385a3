//! `GET /v1/whoami`: the authenticated caller.

use std::sync::Arc;

use axum::Extension;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::no_query::NoQuery;
use super::oss_view::OssView;
use super::success::{Success, json};
use super::upload_view::UploadView;
use crate::auth::Caller;
use crate::grant::Entitlement;
use crate::http::contract::responses::{CallFailures, curl};
use crate::http::middleware::context::RequestContext;
use crate::limit::{ClientLimits, Limit, Per};
use crate::sign::UrlMethod;
use appserver_domain::{GrantName, ValueName};
use appserver_policy::ValueRule;

pub(crate) const PATH: &str = "/v1/whoami";

/// The authenticated caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WhoamiResponse<'a> {
    #[serde(flatten)]
    success: Success<'a>,
    client: &'a str,
    /// What the service calls the user's issuer, where the credential proves a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    issuer: Option<&'a str>,
    /// The user, where the credential proves one: one of its issuer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    subject: Option<&'a str>,
    #[schema(pattern = "^(ClientSecret|Jwt|ClientCertificate)$")]
    authenticated_by: &'static str,
    grants: Vec<GrantView<'a>>,
    /// The grant of requests that name none, where the operator sets one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    default_grant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    limit: Option<LimitView>,
    /// The user's limit, where the credential proves one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    subject_limit: Option<LimitView>,
}

/// A limit of requests; absent where there is none.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Limit)]
struct LimitView {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    requests_per_second: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    requests_per_minute: Option<u32>,
    burst: u32,
    /// In `shadow`, requests beyond the limit are counted and answered.
    #[schema(pattern = "^(enforce|shadow)$")]
    mode: &'static str,
}

/// A grant that the client may use.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Grant)]
struct GrantView<'a> {
    name: &'a str,
    min_duration_seconds: u32,
    default_duration_seconds: u32,
    max_duration_seconds: u32,
    /// Whether the credential must prove a user.
    needs_subject: bool,
    parameters: Vec<ParameterView<'a>>,
    /// Whether it answers requests of tokens and tickets; a grant for uploads may not.
    vends_tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    upload: Option<UploadView<'a>>,
    /// The methods of the URLs that it signs; absent where it signs none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(min_items = 1)]
    signed_urls: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    oss: Option<OssView<'a>>,
}

/// A parameter that a request must name.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Parameter)]
struct ParameterView<'a> {
    name: &'a str,
    /// What a value must be, in words.
    rule: String,
}

#[utoipa::path(
    get,
    path = PATH,
    operation_id = "whoami",
    summary = "The authenticated caller",
    description = "Its grants, each with its bounds and the parameters that it requires.",
    responses((status = 200, description = "The caller.", body = WhoamiResponse), CallFailures),
    security(("Basic" = []), ("Bearer" = []), ("Certificate" = [])),
    extensions(("x-codeSamples" = json!(curl(r#"curl -u "$CLIENT:$SECRET" "$APPSERVER/v1/whoami""#)))),
)]
pub(crate) async fn whoami(
    Extension(context): Extension<Arc<RequestContext>>,
    caller: Caller,
    NoQuery: NoQuery,
) -> Response {
    let rules = &context.rules;
    let ClientLimits { whole, subject } = rules.limits.of(caller.client());
    json(&WhoamiResponse {
        success: Success::new(context.id.as_str()),
        client: caller.client().as_str(),
        issuer: caller.issuer().map(appserver_domain::IssuerName::as_str),
        subject: caller.subject().map(appserver_domain::Subject::as_str),
        authenticated_by: caller.method().as_str(),
        grants: rules.grants.of(caller.client()).map(GrantView::from).collect(),
        default_grant: rules.grants.defaults.get(caller.client()).map(GrantName::as_str),
        limit: whole.map(LimitView::from),
        subject_limit: subject.filter(|_| caller.subject().is_some()).map(LimitView::from),
    })
}

impl From<Limit> for LimitView {
    fn from(Limit { terms, mode }: Limit) -> Self {
        let (per_second, per_minute) = match terms.per {
            Per::Second => (Some(terms.requests.get()), None),
            Per::Minute => (None, Some(terms.requests.get())),
        };
        Self {
            requests_per_second: per_second,
            requests_per_minute: per_minute,
            burst: terms.burst.get(),
            mode: mode.as_str(),
        }
    }
}

impl<'a> From<&'a Entitlement> for GrantView<'a> {
    fn from(entitlement: &'a Entitlement) -> Self {
        let durations = entitlement.durations;
        let parameters = entitlement.template.rules().params.iter();
        let view = |(name, rule): (&'a ValueName, &ValueRule)| ParameterView {
            name: name.as_str(),
            rule: rule.to_string(),
        };
        Self {
            name: entitlement.name.as_str(),
            min_duration_seconds: durations.shortest().as_secs(),
            default_duration_seconds: durations.default().as_secs(),
            max_duration_seconds: durations.longest().as_secs(),
            needs_subject: entitlement.template.uses().needs_user(),
            parameters: parameters.map(view).collect(),
            vends_tokens: entitlement.vends_tokens(),
            upload: UploadView::of(entitlement),
            signed_urls: entitlement.signed_urls.iter().map(UrlMethod::as_str).collect(),
            oss: entitlement.oss.as_ref().map(OssView::from),
        }
    }
}
