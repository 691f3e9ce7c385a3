//! `POST /v1/explain`: what a token would allow, and why, without vending one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::json_body::ApiJson;
use super::no_query::NoQuery;
use super::success::{Success, json};
use super::token_request::Policy;
use crate::auth::Caller;
use crate::grant::TokenParams;
use crate::http::api::Api;
use crate::http::contract::responses::{BodyFailures, CallFailures, curl};
use crate::http::error::ApiError;
use crate::http::middleware::context::RequestContext;
use appserver_domain::GrantName;
use appserver_policy::{Explanation, Request, RequestProblem, StatementVerdict};

pub(crate) const PATH: &str = "/v1/explain";

/// What is to be explained: the members of a token's request, and what the token would be used for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ExplainRequest {
    /// One of the client's grants. May be left out where it has a default or exactly one.
    #[schema(nullable = false)]
    grant: Option<String>,
    /// Exactly those that the grant declares.
    #[schema(nullable = false)]
    parameters: Option<BTreeMap<String, String>>,
    #[schema(nullable = false)]
    policy: Option<Policy>,
    /// An action, or an operation of OSS that another action allows.
    #[schema(example = "oss:HeadObject")]
    action: String,
    /// One bucket or object.
    #[schema(example = "acs:oss:*:*:sample-bucket/2015/01/01/grass.jpg")]
    resource: String,
    /// Condition keys of the request, with their values.
    #[schema(nullable = false, example = json!({"oss:Prefix": "2015/"}))]
    conditions: Option<Conditions>,
}

/// Condition keys of a request, with their values.
#[derive(Debug, Default, ToSchema)]
pub(crate) struct Conditions(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A condition key is not a valid parameter name, so the error names the field that contains it.
        let conditions = BTreeMap::deserialize(deserializer).map(Self);
        conditions.map_err(|_| D::Error::custom(RequestProblem::Condition))
    }
}

/// Whether a token would allow it, and why.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExplainResponse<'a> {
    #[serde(flatten)]
    success: Success<'a>,
    grant: &'a str,
    /// Whether the request is allowed.
    allowed: bool,
    /// The decision by RAM's rules: a denial outweighs an allowance, and what no statement allows is denied implicitly.
    #[schema(pattern = "^(Allowed|ExplicitlyDenied|ImplicitlyDenied)$")]
    verdict: &'static str,
    /// The statement that decides, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    decided_by: Option<String>,
    /// The operation of OSS that the request names, where another action allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    operation: Option<String>,
    /// The action of the request.
    action: String,
    /// The resource of the request.
    resource: String,
    /// What the decision covers, and what it leaves out.
    scope: &'static str,
    /// What of the request is not known here, or does not go together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// Each statement of the policy, in its order.
    statements: Vec<StatementResult>,
    /// The session policy, byte for byte.
    #[schema(value_type = Object)]
    policy: Box<RawValue>,
}

/// One statement's part in the verdict.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Statement)]
pub(crate) struct StatementResult {
    /// Where the statement is: `Statement[0]`.
    statement: String,
    /// Its effect.
    #[schema(pattern = "^(Allow|Deny)$")]
    effect: &'static str,
    /// Whether the statement applies to the request.
    applies: bool,
    /// Why it applies or does not.
    because: String,
}

impl<'a> ExplainResponse<'a> {
    fn new(request_id: &'a str, grant: &'a GrantName, explanation: Explanation) -> Self {
        Self {
            success: Success::new(request_id),
            grant: grant.as_str(),
            allowed: explanation.allowed,
            verdict: explanation.verdict,
            decided_by: explanation.decided_by,
            operation: explanation.operation,
            action: explanation.action,
            resource: explanation.resource,
            scope: explanation.scope,
            notes: explanation.notes,
            statements: explanation.statements.into_iter().map(From::from).collect(),
            policy: explanation.policy,
        }
    }
}

impl From<StatementVerdict> for StatementResult {
    fn from(StatementVerdict { statement, effect, applies, because }: StatementVerdict) -> Self {
        Self { statement, effect, applies, because }
    }
}

#[utoipa::path(
    post,
    path = PATH,
    operation_id = "explain",
    summary = "What a token would allow, and why",
    description = "Names the statement of the session policy that decides, if one does.",
    request_body = ExplainRequest,
    responses(
        (status = 200, description = "The verdict.", body = ExplainResponse),
        CallFailures,
        BodyFailures,
    ),
    security(("Basic" = []), ("Bearer" = []), ("Certificate" = [])),
    extensions(("x-codeSamples" = json!(curl(
        r#"curl -u "$CLIENT:$SECRET" -H 'Content-Type: application/json' \
  -d '{"Action": "oss:GetObject", "Resource": "acs:oss:*:*:sample-bucket/2015/01/01/grass.jpg"}' \
  "$APPSERVER/v1/explain""#
    )))),
)]
pub(crate) async fn explain(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    caller: Caller,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<ExplainRequest>,
) -> Result<Response, ApiError> {
    let ExplainRequest { grant, parameters, policy, action, resource, conditions } = request;
    let Conditions(conditions) = conditions.unwrap_or_default();
    let request = Request::new(&action, &resource, conditions).map_err(invalid)?;
    let params = TokenParams {
        grant,
        duration_secs: None,
        parameters: parameters.unwrap_or_default(),
        policy: policy.map(Policy::into_inner),
    };
    let grant = context.rules.grants.explained(&caller, &params, api.clock.now())?;
    context.note_grant(grant.name());
    let explanation = Explanation::of(grant.policy(), vec![], &request);
    Ok(json(&ExplainResponse::new(context.id.as_str(), grant.name(), explanation)))
}

fn invalid(problem: RequestProblem) -> ApiError {
    let field = match problem {
        RequestProblem::Action | RequestProblem::Copy => "Action",
        RequestProblem::Resource => "Resource",
        RequestProblem::Condition => "Conditions",
    };
    ApiError::invalid(field, problem.to_string())
}
