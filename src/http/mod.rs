//! The two listeners: routes, wire types, the one error table.

mod admin;
mod audited;
mod authenticate;
mod context;
mod cors;
mod docs;
mod error;
mod explain;
mod failing;
mod fields;
mod in_force;
mod json;
mod no_query;
mod observe;
mod openapi;
#[cfg(feature = "emulator")]
mod pages;
mod public_url;
mod ready;
mod redeem;
mod rules;
mod tickets;
mod token;
mod token_request;
mod traced;
mod whoami;
mod wire;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::routing::{get, post};

pub(crate) use admin::admin_router;
pub(crate) use cors::{Cors, Origin};
pub(crate) use in_force::InForce;
#[cfg(feature = "emulator")]
pub(crate) use pages::WithPages;
pub(crate) use public_url::PublicUrl;
pub(crate) use ready::Readiness;
pub(crate) use rules::Rules;
pub(crate) use tickets::TicketRules;
#[cfg(feature = "bench")]
pub(crate) use wire::token_response;

use crate::audit::Audit;
use crate::sts::StsClient;
use crate::telemetry::{Metrics, Traces};
use crate::vend::Vendor;
use appserver_domain::clock::Clock;
use error::ApiError;
use observe::Observed;

/// What the handlers of the public listener work with.
#[derive(Debug)]
pub(crate) struct Api {
    /// Replaced as a whole when the configuration is loaded again; each request takes those of its first moment.
    pub(crate) rules: ArcSwap<Rules>,
    pub(crate) vendor: Arc<Vendor<StsClient>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) audit: Audit,
    pub(crate) traces: Traces,
    pub(crate) clock: Clock,
}

/// The public listener's routes, behind [`observe`].
pub(crate) fn router(api: Arc<Api>) -> Observed {
    let docs = docs::Docs::made();
    let routes = Router::new()
        .route(context::TOKEN_ROUTE, get(token::get_token).head(no_head).post(token::post_token))
        .route(context::OSS_SDK_ROUTE, get(token::get_token).head(no_head))
        .route(context::TICKETS_ROUTE, post(tickets::make_ticket))
        .route("/v1/whoami", get(whoami::whoami))
        .route("/v1/explain", post(explain::explain))
        .route("/openapi.json", docs.document())
        .route("/docs", docs.page())
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(Arc::clone(&api));
    Observed::new(routes, api)
}

/// axum answers HEAD by GET without its body. A token that nobody reads would still cost a call to STS.
async fn no_head() -> ApiError {
    ApiError::MethodNotAllowed
}
