//! The stage between what a grant allows and what is obtained for it: the decision hook may refuse or shorten it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use tokio::time::timeout_at;

use crate::auth::Caller;
use crate::decision::{
    DecisionError, DecisionHook, HookDecision, HookKind, HookObject, HookRequest,
};
use crate::http::error::ApiError;
use crate::http::middleware::context::RequestContext;
use appserver_domain::{GrantName, IssuerName, Subject};

/// What a grant allows.
pub(super) struct AllowedRequest<'a> {
    pub(super) kind: HookKind,
    pub(super) grant: &'a GrantName,
    pub(super) parameters: &'a BTreeMap<String, String>,
    pub(super) duration_secs: u32,
    pub(super) object: Option<HookObject<'a>>,
}

/// The duration in seconds that remains; all of it where no hook decides about the grant.
pub(super) async fn decide(
    context: &RequestContext,
    caller: &Caller,
    allowed: AllowedRequest<'_>,
) -> Result<u32, ApiError> {
    match &context.rules.decision {
        // Boxed, so that its future does not enlarge that of requests without a hook.
        Some(hook) if hook.decides(allowed.grant) => {
            Box::pin(ask(hook, context, caller, allowed)).await
        }
        _ => Ok(allowed.duration_secs),
    }
}

async fn ask(
    hook: &Arc<DecisionHook>,
    context: &RequestContext,
    caller: &Caller,
    allowed: AllowedRequest<'_>,
) -> Result<u32, ApiError> {
    let AllowedRequest { kind, grant, parameters, duration_secs, object } = allowed;
    let address = context.address_text();
    let request = HookRequest {
        kind,
        client: caller.client().as_str(),
        issuer: caller.issuer().map(IssuerName::as_str),
        subject: caller.subject().map(Subject::as_str),
        authenticated_by: caller.method().as_str(),
        grant: grant.as_str(),
        parameters,
        duration_seconds: duration_secs,
        address: &address,
        headers: headers(context)?,
        object,
    };
    let decision = timeout_at(context.deadline, hook.decide(&request, context.id.as_str())).await;
    match decision.unwrap_or(Err(DecisionError::TimedOut)) {
        Ok(HookDecision::Allowed(secs)) => Ok(secs),
        Ok(HookDecision::Refused(reason)) => Err(ApiError::DecisionRefused(reason)),
        Err(error) => Err(ApiError::Decision(error)),
    }
}

/// The listed headers of the request. Several of one name are one list, as HTTP has it.
fn headers(context: &RequestContext) -> Result<BTreeMap<String, String>, ApiError> {
    let mut headers = BTreeMap::new();
    for (name, value) in &context.decision_headers {
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| {
            ApiError::Malformed(format!("the header `{name}` is not text in UTF-8").into())
        })?;
        match headers.entry(name.as_str().to_owned()) {
            Entry::Vacant(vacant) => drop(vacant.insert(value.to_owned())),
            Entry::Occupied(mut values) => *values.get_mut() += &format!(", {value}"),
        }
    }
    Ok(headers)
}
