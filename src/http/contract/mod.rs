//! The contract, as OpenAPI 3.1: the shapes are those of the wire types, the codes those of the error table.
//!
//! Each handler's attribute says what its route takes and answers. `tests/it/openapi.rs` compares all of it with the
//! running server. A new kind of credential gets a scheme here.

pub(super) mod codes;
pub(super) mod docs;
pub(super) mod responses;
pub(super) mod schemas;

use utoipa::OpenApi as _;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Info, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Tag};

use super::error_response::ErrorResponse;
use super::v1::explain::{ExplainRequest, ExplainResponse};
use super::v1::tickets::{TicketRequest, TicketResponse};
use super::v1::token_request::TokenRequest;
use super::v1::token_response::TokenResponse;
use super::v1::uploads::{UploadRequest, UploadResponse};
use super::v1::urls::{UrlRequest, UrlResponse};
use super::v1::whoami::WhoamiResponse;

const ABOUT: &str = "AppServer hands apps temporary, narrowed Alibaba Cloud credentials. Names are PascalCase, as in \
                     Alibaba's own APIs. All times are UTC, exactly `YYYY-MM-DDTHH:MM:SSZ`. Every answer of the API is a \
                     JSON object with `Cache-Control: no-store` and an `X-Request-Id`, which is its `RequestId`. Further \
                     members may be added to answers, so ignore unknown members. An unknown path is answered 404, and a \
                     method that a route does not allow 405, both in the shape of every error.";

pub(super) const TOKENS: &str = "Tokens";
pub(super) const UPLOADS: &str = "Uploads";
pub(super) const INSPECTION: &str = "Inspection";
pub(super) const CONTRACT: &str = "Contract";

const TAGS: [(&str, &str); 4] = [
    (TOKENS, "What the service is for."),
    (UPLOADS, "What is signed in a caller's place, and what OSS reports of it."),
    (
        INSPECTION,
        "The grants, limits and permissions of the caller. No request of these vends a token.",
    ),
    (CONTRACT, "This document. No credential is needed."),
];

/// The document of these operations, each of a path and method.
pub(super) fn document(
    operations: impl IntoIterator<Item = (&'static str, HttpMethod, Operation)>,
) -> OpenApi {
    let add = |paths: PathsBuilder, (path, method, mut operation): (&str, _, Operation)| {
        responses::complete(&mut operation);
        paths.path(path, PathItem::new(method, operation))
    };
    let paths = operations.into_iter().fold(PathsBuilder::new(), add);
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

/// The schemas, with those that they refer to.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(
    TokenRequest,
    TokenResponse,
    TicketRequest,
    TicketResponse,
    UploadRequest,
    UploadResponse,
    UrlRequest,
    UrlResponse,
    ExplainRequest,
    ExplainResponse,
    WhoamiResponse,
    ErrorResponse
)))]
struct Shapes;

fn components() -> Components {
    let mut components = Shapes::openapi().components.unwrap_or_default();
    components.responses = responses::failures().collect();
    components.headers = responses::headers().collect();
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
    let about = "A client certificate, where the service requests them.".to_owned();
    let certificate =
        SecurityScheme::MutualTls { description: Some(about), deprecated: None, extensions: None };
    components.add_security_scheme("Certificate", certificate);
    components
}
