//! The contract, as OpenAPI 3.1: the shapes are those of the wire types, the codes those of the error table.
//!
//! What no type says (which route takes and answers what) is in `operations`. `tests/it/openapi.rs` holds all of it
//! against the running server. A new route gets an entry in `operations`; a new kind of credential a scheme here.

mod answers;
mod codes;
mod operation;
mod operations;
mod shapes;

use utoipa::OpenApi as _;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Info, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Tag};

pub(super) use codes::ErrorCode;
pub(super) use shapes::Time;

use super::explain::{ExplainRequest, ExplainResponse};
use super::tickets::{TicketRequest, TicketResponse};
use super::token_request::TokenRequest;
use super::whoami::WhoamiResponse;
use super::wire::ErrorResponse;
use shapes::TokenResponse;

const ABOUT: &str = "AppServer hands apps temporary, narrowed Alibaba Cloud credentials. Names are PascalCase, as in \
                     Alibaba's own APIs. All times are UTC, exactly `YYYY-MM-DDTHH:MM:SSZ`. Every answer of the API is a \
                     JSON object with `Cache-Control: no-store` and an `X-Request-Id`, which is its `RequestId`. Further \
                     members may be added to answers, so pass over what you do not know. What is no route is answered \
                     404, and a method that a route does not take 405, both in the shape of every error.";

const TAGS: [(&str, &str); 3] = [
    ("Tokens", "What the service is for."),
    ("Looking", "What a caller may have, without having it. None of it costs a token."),
    ("Contract", "This document. No credential is needed."),
];

/// The whole document.
pub(super) fn document() -> OpenApi {
    let paths = operations::all().into_iter().fold(PathsBuilder::new(), |paths, operation| {
        let (path, method, operation) = operation.built();
        paths.path(path, PathItem::new(method, operation))
    });
    OpenApiBuilder::new()
        .info(info())
        .tags(Some(TAGS.map(|(name, about)| {
            let mut tag = Tag::new(name);
            tag.description = Some(about.to_owned());
            tag
        })))
        .paths(paths)
        .components(Some(components()))
        .build()
}

fn info() -> Info {
    InfoBuilder::new()
        .title("AppServer")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build()
}

/// The shapes, with all that they are made of.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(
    TokenRequest,
    TokenResponse,
    TicketRequest,
    TicketResponse,
    ExplainRequest,
    ExplainResponse,
    WhoamiResponse,
    ErrorResponse
)))]
struct Shapes;

fn components() -> Components {
    let mut components = Shapes::openapi().components.unwrap_or_default();
    components.responses = answers::failures().collect();
    components.headers = answers::headers().collect();
    let schemes = [
        ("Basic", HttpAuthScheme::Basic, None, "The client's id and its secret."),
        (
            "Bearer",
            HttpAuthScheme::Bearer,
            Some("JWT"),
            "A user's token, of an identity provider that the operator has named.",
        ),
    ];
    for (name, scheme, format, about) in schemes {
        let mut http = HttpBuilder::new().scheme(scheme).description(Some(about)).build();
        http.bearer_format = format.map(str::to_owned);
        components.add_security_scheme(name, SecurityScheme::Http(http));
    }
    let ticket = ApiKeyValue::with_description(
        "Ticket",
        "A ticket, in place of a header: see `POST /v1/tickets`.",
    );
    components.add_security_scheme("Ticket", SecurityScheme::ApiKey(ApiKey::Query(ticket)));
    let about = "A client certificate, where the service asks for them.".to_owned();
    let certificate =
        SecurityScheme::MutualTls { description: Some(about), deprecated: None, extensions: None };
    components.add_security_scheme("Certificate", certificate);
    components
}
