//! One route and method, before it is written down as OpenAPI has it.

use serde_json::json;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{HttpMethod, Operation as Built, OperationBuilder, Parameter};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, Ref, Required, Response};

use super::answers;

pub(super) struct Operation {
    pub(super) path: &'static str,
    pub(super) method: HttpMethod,
    /// What generated clients call it.
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<RequestBody>,
    pub(super) success: Response,
    /// The statuses of its failures.
    pub(super) failures: Vec<u16>,
    /// The schemes of which one is needed.
    pub(super) credentials: &'static [&'static str],
    /// An example of a call; empty where there is nothing to show.
    pub(super) curl: &'static str,
}

impl Operation {
    /// One that takes nothing and needs no credential.
    pub(super) fn new(method: HttpMethod, path: &'static str, success: Response) -> Self {
        Self {
            path,
            method,
            id: "",
            tag: "",
            summary: "",
            about: "",
            parameters: Vec::new(),
            body: None,
            success,
            failures: vec![400, 500],
            credentials: &[],
            curl: "",
        }
    }

    pub(super) fn built(self) -> (&'static str, HttpMethod, Built) {
        let given = |text: &'static str| (!text.is_empty()).then_some(text);
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(self.tag)
            .summary(Some(self.summary))
            .description(given(self.about))
            .request_body(self.body)
            .response("200", self.success);
        if !self.parameters.is_empty() {
            operation = operation.parameters(Some(self.parameters));
        }
        for status in self.failures {
            operation = operation.response(status.to_string(), answers::failing(status));
        }
        let scheme = |name: &&'static str| SecurityRequirement::new(*name, [""; 0]);
        // The name by which tools know examples of calls.
        let samples = given(self.curl).map(|curl| {
            let samples = json!([{"lang": "Shell", "label": "curl", "source": curl}]);
            ExtensionsBuilder::new().add("x-codeSamples", samples).build()
        });
        let operation = operation
            .response("default", answers::otherwise())
            .securities(Some(self.credentials.iter().map(scheme)))
            .extensions(samples);
        (self.path, self.method, operation.build())
    }
}

/// A body of JSON, which may be left out where all of it may.
pub(super) fn body(schema: &str, required: Required) -> RequestBody {
    RequestBodyBuilder::new()
        .required(Some(required))
        .content("application/json", Content::new(Some(Ref::from_schema_name(schema))))
        .build()
}
