//! `POST /v1/explain`: what a token would allow, and why, without asking for one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Api;
use super::context::Told;
use super::error::ApiError;
use super::json::{ApiJson, Members};
use super::no_query::NoQuery;
use super::token::json;
use super::token_request::{not_taken, parameters, policy, text};
use super::wire::Success;
use crate::auth::Caller;
use crate::grant::Asked;
use appserver_policy::{Explanation, Request, RequestProblem};

const FIELDS: &str =
    "the parameters are `Grant`, `Parameters`, `Policy`, `Action`, `Resource` and `Conditions`";

/// Whether a token would allow it, and why.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExplainResponse<'a> {
    #[serde(flatten)]
    success: Success<'a>,
    grant: &'a str,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

pub(super) async fn explain(
    State(api): State<Arc<Api>>,
    Told(context): Told,
    caller: Caller,
    NoQuery: NoQuery,
    ApiJson(body): ApiJson,
) -> Result<Response, ApiError> {
    let (asked, request) = read(&body)?;
    let grant = context.rules.grants.decide(&caller, &asked, api.clock.now())?;
    context.note_grant(grant.name());
    let explanation = Explanation::of(grant.policy(), vec![], &request);
    Ok(json(&ExplainResponse {
        success: Success::new(context.id.as_str()),
        grant: grant.name().as_str(),
        explanation: &explanation,
    }))
}

/// `{"Grant": "…", "Parameters": {…}, "Policy": {…}, "Action": "oss:GetObject", "Resource": "acs:…", "Conditions": {…}}`.
fn read(members: &Members) -> Result<(Asked, Request), ApiError> {
    let mut asked = Asked::default();
    let (mut action, mut resource, mut conditions) = (None, None, Default::default());
    for (name, value) in members.iter() {
        match name {
            "Grant" => asked.grant = Some(text(value, "Grant")?),
            "Parameters" => asked.parameters = parameters(value)?,
            "Policy" => asked.policy = Some(policy(value)?),
            "Action" => action = Some(text(value, "Action")?),
            "Resource" => resource = Some(text(value, "Resource")?),
            "Conditions" => conditions = self::conditions(value)?,
            _ => return Err(not_taken(name, FIELDS)),
        }
    }
    let required = |field: Option<String>, problem| field.ok_or_else(|| unfit(problem));
    let action = required(action, RequestProblem::Action)?;
    let resource = required(resource, RequestProblem::Resource)?;
    Ok((asked, Request::new(&action, &resource, conditions).map_err(unfit)?))
}

fn conditions(value: &RawValue) -> Result<BTreeMap<String, String>, ApiError> {
    let members: Members =
        serde_json::from_str(value.get()).map_err(|_| unfit(RequestProblem::Condition))?;
    let read = |(name, value): (&str, &RawValue)| {
        let value = text(value, "Conditions").map_err(|_| unfit(RequestProblem::Condition))?;
        Ok((name.to_owned(), value))
    };
    members.iter().map(read).collect()
}

fn unfit(problem: RequestProblem) -> ApiError {
    let field = match problem {
        RequestProblem::Action | RequestProblem::Copy => "Action",
        RequestProblem::Resource => "Resource",
        RequestProblem::Condition => "Conditions",
    };
    ApiError::invalid(field, problem.to_string())
}
