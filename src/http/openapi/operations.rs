//! Each route and method: what it takes and what it answers.

use serde_json::json;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation as Built, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
    ParameterStyle,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, Ref, Required, Response, Schema};

use super::answers;
use crate::http::context::OSS_SDK_ROUTE;

/// One of them, before it is written down.
pub(super) struct Operation {
    path: &'static str,
    method: HttpMethod,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    about: &'static str,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    success: Response,
    /// The statuses of its failures.
    failures: &'static [u16],
    is_for_callers: bool,
    curl: &'static str,
}

/// Whoever calls and whatever for.
const CALLERS: [u16; 6] = [400, 401, 403, 429, 500, 503];

pub(super) fn all() -> Vec<Operation> {
    let answer = |schema: &str, about| answers::success(about, Ref::from_schema_name(schema));
    let token = || answer("TokenResponse", "A token.");
    let of_callers = |path, method, id, tag, summary, success| Operation {
        path,
        method,
        id,
        tag,
        summary,
        about: "",
        parameters: Vec::new(),
        body: None,
        success,
        failures: &CALLERS,
        is_for_callers: true,
        curl: "",
    };
    let token_query = Operation {
        parameters: query(),
        failures: &[400, 401, 403, 429, 500, 502, 503],
        curl: "curl -u \"$CLIENT:$SECRET\" \"$APPSERVER/v1/token?DurationSeconds=1800&Parameters.album=2015\"",
        ..of_callers("/v1/token", HttpMethod::Get, "getToken", "Tokens", "A token", token())
    };
    vec![
        Operation {
            about: "The parameters are all optional. `Parameters.NAME` stands for each parameter that the grant declares.",
            ..token_query
        },
        Operation {
            about: "The same with a JSON body, of at most 16 KiB; without one, what the client has by default.",
            body: Some(body("TokenRequest", false)),
            failures: &[400, 401, 403, 408, 413, 415, 429, 500, 502, 503],
            curl: "curl -u \"$CLIENT:$SECRET\" -H 'Content-Type: application/json' \\\n  -d '{\"DurationSeconds\": 1800, \
                   \"Parameters\": {\"album\": \"2015\"}}' \"$APPSERVER/v1/token\"",
            ..of_callers(
                "/v1/token",
                HttpMethod::Post,
                "postToken",
                "Tokens",
                "A token, asked for in JSON",
                token(),
            )
        },
        Operation {
            about: "For Android's stock `OSSAuthCredentialsProvider`, which cannot read the body of a 4xx: HTTP is always \
                    200, and the real status is `StatusCode`.",
            parameters: query(),
            failures: &[],
            curl: "curl -u \"$CLIENT:$SECRET\" \"$APPSERVER/v1/oss-sdk/token\"",
            ..of_callers(
                OSS_SDK_ROUTE,
                HttpMethod::Get,
                "getTokenForOssSdks",
                "Tokens",
                "A token, whatever happens with HTTP 200",
                answers::success(
                    "A token, or what is wrong.",
                    OneOfBuilder::new()
                        .item(Ref::from_schema_name("TokenResponse"))
                        .item(answers::error()),
                ),
            )
        },
        Operation {
            about: "Its grants, each with its bounds and the parameters that it wants.",
            curl: "curl -u \"$CLIENT:$SECRET\" \"$APPSERVER/v1/whoami\"",
            ..of_callers(
                "/v1/whoami",
                HttpMethod::Get,
                "whoami",
                "Looking",
                "The caller as the service sees it",
                answer("WhoamiResponse", "The caller."),
            )
        },
        Operation {
            about: "Says whether a token would allow an action on a resource, by which statement of its session policy and \
                    why.",
            body: Some(body("ExplainRequest", true)),
            failures: &[400, 401, 403, 408, 413, 415, 429, 500, 503],
            curl: "curl -u \"$CLIENT:$SECRET\" -H 'Content-Type: application/json' \\\n  -d '{\"Action\": \"oss:GetObject\", \
                   \"Resource\": \"acs:oss:*:*:sample-bucket/2015/01/01/grass.jpg\"}' \"$APPSERVER/v1/explain\"",
            ..of_callers(
                "/v1/explain",
                HttpMethod::Post,
                "explain",
                "Looking",
                "What a token would allow, and why",
                answer("ExplainResponse", "The verdict."),
            )
        },
        contract("/openapi.json", "openapi", "This document", "application/json", Type::Object),
        contract(
            "/docs",
            "docs",
            "The same as a page, to be read",
            "text/html; charset=utf-8",
            Type::String,
        ),
    ]
}

fn contract(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    media_type: &str,
    kind: Type,
) -> Operation {
    Operation {
        path,
        method: HttpMethod::Get,
        id,
        tag: "Contract",
        summary,
        about: "",
        parameters: Vec::new(),
        body: None,
        success: answers::plain("It.", media_type, kind),
        failures: &[400, 500],
        is_for_callers: false,
        curl: "",
    }
}

impl Operation {
    /// As OpenAPI has it, with where it belongs.
    pub(super) fn built(self) -> (&'static str, HttpMethod, Built) {
        let text = |text: &'static str| (!text.is_empty()).then_some(text);
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(self.tag)
            .summary(Some(self.summary))
            .description(text(self.about))
            .request_body(self.body)
            .response("200", self.success);
        if !self.parameters.is_empty() {
            operation = operation.parameters(Some(self.parameters));
        }
        for status in self.failures {
            operation = operation.response(status.to_string(), answers::failing(*status));
        }
        let none = || [""; 0];
        let securities = if self.is_for_callers {
            vec![
                SecurityRequirement::new("Basic", none()),
                SecurityRequirement::new("Bearer", none()),
            ]
        } else {
            Vec::new()
        };
        let operation =
            operation.response("default", answers::otherwise()).securities(Some(securities));
        // The name by which tools know examples of calls.
        let samples = text(self.curl).map(|curl| {
            let samples = json!([{"lang": "Shell", "label": "curl", "source": curl}]);
            ExtensionsBuilder::new().add("x-codeSamples", samples).build()
        });
        (self.path, self.method, operation.extensions(samples).build())
    }
}

fn body(schema: &str, required: bool) -> RequestBody {
    let required = if required { Required::True } else { Required::False };
    RequestBodyBuilder::new()
        .required(Some(required))
        .content("application/json", Content::new(Some(Ref::from_schema_name(schema))))
        .build()
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
    let seconds =
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(900)).maximum(Some(43_200));
    // Each member of an exploded object is a parameter of the query by itself.
    let parameters = ObjectBuilder::new()
        .property_names(Some(text().pattern(Some(r"^Parameters\.[A-Za-z0-9_-]{1,32}$"))))
        .additional_properties(Some(text()));
    vec![
        parameter(
            "Grant",
            "One of the client's grants. May be left out where it has exactly one.",
            text().into(),
        )
        .build(),
        parameter(
            "DurationSeconds",
            "Within the grant's bounds; left out for its default.",
            seconds.into(),
        )
        .build(),
        parameter(
            "Policy",
            "A RAM policy as JSON: to have less than the grant gives.",
            text().into(),
        )
        .build(),
        parameter(
            "Parameters",
            "`Parameters.NAME=value` for each parameter that the grant declares.",
            parameters.into(),
        )
        .style(Some(ParameterStyle::Form))
        .explode(Some(true))
        .build(),
    ]
}
