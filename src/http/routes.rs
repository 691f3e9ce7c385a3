//! The route table of the public listener, and the router that is built of it.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::routing::{get, post};
use utoipa::Path;
use utoipa::openapi::path::{HttpMethod, Operation};

use super::api::Api;
use super::contract;
use super::contract::docs::{self, Docs};
use super::error::ApiError;
use super::middleware::observer::RequestObserver;
use super::route::{Route, RouteKind};
use super::v1::no_query::NoQuery;
use super::v1::{explain, oss_callback, tickets, token, uploads, urls, whoami};

/// Every route. The router, the request context, metrics, the audit and the contract read this table.
pub(super) static ROUTES: [Route; 10] = [
    Route {
        path: token::PATH,
        tag: contract::TOKENS,
        allow: "GET, POST",
        kind: RouteKind::Token,
        handlers: || get(token::get_token).head(no_head).post(token::post_token),
        operations: || {
            vec![operation::<token::__path_get_token>(), operation::<token::__path_post_token>()]
        },
    },
    Route {
        path: token::OSS_SDK_PATH,
        tag: contract::TOKENS,
        allow: "GET",
        kind: RouteKind::OssSdkToken,
        handlers: || get(token::get_oss_sdk_token).head(no_head),
        operations: || vec![operation::<token::__path_get_oss_sdk_token>()],
    },
    Route {
        path: tickets::PATH,
        tag: contract::TOKENS,
        allow: "POST",
        kind: RouteKind::Ticket,
        handlers: || post(tickets::make_ticket),
        operations: || vec![operation::<tickets::__path_make_ticket>()],
    },
    Route {
        path: uploads::PATH,
        tag: contract::UPLOADS,
        allow: "POST",
        kind: RouteKind::Upload,
        handlers: || post(uploads::sign_upload),
        operations: || vec![operation::<uploads::__path_sign_upload>()],
    },
    Route {
        path: urls::PATH,
        tag: contract::UPLOADS,
        allow: "POST",
        kind: RouteKind::Url,
        handlers: || post(urls::sign_url),
        operations: || vec![operation::<urls::__path_sign_url>()],
    },
    Route {
        path: oss_callback::PATH,
        tag: contract::UPLOADS,
        allow: "POST",
        kind: RouteKind::Callback,
        handlers: || post(oss_callback::report_upload),
        operations: || vec![operation::<oss_callback::__path_report_upload>()],
    },
    Route {
        path: whoami::PATH,
        tag: contract::INSPECTION,
        allow: "GET, HEAD",
        kind: RouteKind::Other,
        handlers: || get(whoami::whoami),
        operations: || vec![operation::<whoami::__path_whoami>()],
    },
    Route {
        path: explain::PATH,
        tag: contract::INSPECTION,
        allow: "POST",
        kind: RouteKind::Other,
        handlers: || post(explain::explain),
        operations: || vec![operation::<explain::__path_explain>()],
    },
    Route {
        path: docs::DOCUMENT_PATH,
        tag: contract::CONTRACT,
        allow: "GET, HEAD",
        kind: RouteKind::Other,
        handlers: || get(async |_: NoQuery| DOCS.document()),
        operations: || vec![operation::<docs::__path_openapi>()],
    },
    Route {
        path: docs::PAGE_PATH,
        tag: contract::CONTRACT,
        allow: "GET, HEAD",
        kind: RouteKind::Other,
        handlers: || get(async |_: NoQuery| DOCS.page()),
        operations: || vec![operation::<docs::__path_docs>()],
    },
];

/// The route by which requests of all other paths are counted and logged.
static UNMATCHED: Route = Route {
    path: "unmatched",
    tag: "",
    allow: "",
    kind: RouteKind::Unmatched,
    handlers: || get(async || ApiError::NotFound),
    operations: Vec::new,
};

/// What describes all routes. It takes a third of a start and is asked for seldom, so the first request makes it.
static DOCS: LazyLock<Docs> = LazyLock::new(|| {
    let operations = ROUTES.iter().flat_map(|route| {
        let methods = (route.operations)().into_iter();
        methods.map(|(method, mut operation)| {
            operation.tags = Some(vec![route.tag.to_owned()]);
            (route.path, method, operation)
        })
    });
    Docs::new(&contract::document(operations))
});

/// The route of a path: one of a closed set, also for unknown paths.
pub(super) fn find(path: &str) -> &'static Route {
    ROUTES.iter().find(|route| route.path == path).unwrap_or(&UNMATCHED)
}

/// The public listener's routes, behind the request observer.
pub(crate) fn router(api: Arc<Api>) -> RequestObserver {
    let table = ROUTES
        .iter()
        .fold(Router::new(), |router, route| router.route(route.path, (route.handlers)()));
    let router = table
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(Arc::clone(&api));
    RequestObserver::new(router, find, api)
}

/// axum answers HEAD by GET without its body. A token that the caller does not receive would still cost a call to STS.
async fn no_head() -> ApiError {
    ApiError::MethodNotAllowed
}

/// The OpenAPI description from a handler's attribute.
fn operation<P: Path>() -> (HttpMethod, Operation) {
    let method = P::methods().into_iter().next();
    (method.expect("an attribute names one method"), P::operation())
}
