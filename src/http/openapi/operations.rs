//! Each route and method: what it takes and what it answers.

use utoipa::openapi::path::{HttpMethod, Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{Ref, Required, Response, Schema};

use super::answers;
use super::operation::{Operation, body};
use crate::http::context::{OSS_SDK_ROUTE, TICKETS_ROUTE};

/// The failures of whoever calls and whatever for; of who sends a body besides; and of a call to STS.
const CALLING: &[u16] = &[400, 401, 403, 429, 500, 503];
const SENDING: &[u16] = &[408, 413, 415];
const VENDING: &[u16] = &[502];

const CREDENTIALS: &[&str] = &["Basic", "Bearer", "Certificate"];
/// A ticket is good for these routes alone.
const OR_A_TICKET: &[&str] = &["Basic", "Bearer", "Certificate", "Ticket"];

pub(super) fn all() -> Vec<Operation> {
    vec![
        get_token(),
        post_token(),
        oss_sdk_token(),
        make_ticket(),
        whoami(),
        explain(),
        openapi(),
        docs(),
    ]
}

fn get_token() -> Operation {
    Operation {
        id: "getToken",
        tag: "Tokens",
        summary: "A token",
        about: "What is not said is taken by default.",
        parameters: query(),
        failures: [CALLING, VENDING].concat(),
        credentials: OR_A_TICKET,
        curl: r#"curl -u "$CLIENT:$SECRET" "$APPSERVER/v1/token?DurationSeconds=1800&Parameters.album=2015""#,
        ..Operation::new(HttpMethod::Get, "/v1/token", answer("A token.", "TokenResponse"))
    }
}

fn post_token() -> Operation {
    Operation {
        id: "postToken",
        tag: "Tokens",
        summary: "A token, asked for in JSON",
        about: "A body has at most 16 KiB. Without one, all is taken by default.",
        body: Some(body("TokenRequest", Required::False)),
        failures: [CALLING, SENDING, VENDING].concat(),
        credentials: CREDENTIALS,
        curl: r#"curl -u "$CLIENT:$SECRET" -H 'Content-Type: application/json' \
  -d '{"DurationSeconds": 1800, "Parameters": {"album": "2015"}}' "$APPSERVER/v1/token""#,
        ..Operation::new(HttpMethod::Post, "/v1/token", answer("A token.", "TokenResponse"))
    }
}

fn oss_sdk_token() -> Operation {
    let either = OneOfBuilder::new().item(Ref::from_schema_name("TokenResponse"));
    let either = answers::success("A token, or what is wrong.", either.item(answers::error()));
    Operation {
        id: "getTokenForOssSdks",
        tag: "Tokens",
        summary: "A token, always with HTTP 200",
        about: "For Android's stock `OSSAuthCredentialsProvider`, which cannot read the body of a 4xx: the real status is \
                `StatusCode`.",
        parameters: query(),
        failures: Vec::new(),
        credentials: OR_A_TICKET,
        curl: r#"curl -u "$CLIENT:$SECRET" "$APPSERVER/v1/oss-sdk/token""#,
        ..Operation::new(HttpMethod::Get, OSS_SDK_ROUTE, either)
    }
}

fn make_ticket() -> Operation {
    Operation {
        id: "makeTicket",
        tag: "Tokens",
        summary: "A URL that vends one grant",
        about: "For SDKs that can only get a URL. Whoever has the URL has the tokens: it is a secret, until `ExpiresAt`.",
        body: Some(body("TicketRequest", Required::False)),
        failures: [CALLING, SENDING, &[404]].concat(),
        credentials: CREDENTIALS,
        curl: r#"curl -u "$CLIENT:$SECRET" -H 'Content-Type: application/json' \
  -d '{"Parameters": {"album": "2015"}, "ExpiresInSeconds": 3600}' "$APPSERVER/v1/tickets""#,
        ..Operation::new(HttpMethod::Post, TICKETS_ROUTE, answer("A ticket.", "TicketResponse"))
    }
}

fn whoami() -> Operation {
    Operation {
        id: "whoami",
        tag: "Looking",
        summary: "The caller as the service sees it",
        about: "Its grants, each with its bounds and the parameters that it wants.",
        failures: CALLING.to_vec(),
        credentials: CREDENTIALS,
        curl: r#"curl -u "$CLIENT:$SECRET" "$APPSERVER/v1/whoami""#,
        ..Operation::new(HttpMethod::Get, "/v1/whoami", answer("The caller.", "WhoamiResponse"))
    }
}

fn explain() -> Operation {
    Operation {
        id: "explain",
        tag: "Looking",
        summary: "What a token would allow, and why",
        about: "Names the statement of the session policy that decides, if one does.",
        body: Some(body("ExplainRequest", Required::True)),
        failures: [CALLING, SENDING].concat(),
        credentials: CREDENTIALS,
        curl: r#"curl -u "$CLIENT:$SECRET" -H 'Content-Type: application/json' \
  -d '{"Action": "oss:GetObject", "Resource": "acs:oss:*:*:sample-bucket/2015/01/01/grass.jpg"}' \
  "$APPSERVER/v1/explain""#,
        ..Operation::new(HttpMethod::Post, "/v1/explain", answer("The verdict.", "ExplainResponse"))
    }
}

fn openapi() -> Operation {
    let document = answers::plain("OpenAPI 3.1.", "application/json", Type::Object);
    Operation {
        id: "openapi",
        tag: "Contract",
        summary: "This document",
        ..Operation::new(HttpMethod::Get, "/openapi.json", document)
    }
}

fn docs() -> Operation {
    let page = answers::plain("HTML.", "text/html; charset=utf-8", Type::String);
    Operation {
        id: "docs",
        tag: "Contract",
        summary: "The same as a page, to be read",
        ..Operation::new(HttpMethod::Get, "/docs", page)
    }
}

fn answer(about: &str, schema: &str) -> Response {
    answers::success(about, Ref::from_schema_name(schema))
}

/// The members of a token's request, in a query.
fn query() -> Vec<Parameter> {
    let parameter = |name: &str, about: &str, schema: Schema| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(schema))
    };
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let grant = "One of the client's grants. May be left out where it has exactly one.";
    let seconds = ObjectBuilder::new().schema_type(Type::Integer);
    let seconds = seconds.minimum(Some(900)).maximum(Some(43_200));
    let duration = "Within the grant's bounds; left out for its default.";
    let policy = "A RAM policy as JSON: to have less than the grant gives.";
    // Each member of an exploded object is a parameter of the query by itself.
    let names = text().pattern(Some(r"^Parameters\.[A-Za-z0-9_-]{1,32}$"));
    let values =
        ObjectBuilder::new().property_names(Some(names)).additional_properties(Some(text()));
    let parameters = "`Parameters.NAME=value` for each parameter that the grant declares.";
    vec![
        parameter("Grant", grant, text().into()).build(),
        parameter("DurationSeconds", duration, seconds.into()).build(),
        parameter("Policy", policy, text().into()).build(),
        parameter("Parameters", parameters, values.into())
            .style(Some(ParameterStyle::Form))
            .explode(Some(true))
            .build(),
    ]
}
