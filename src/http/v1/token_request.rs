//! The request of a token, read from a JSON body or from a query into the same [`TokenRequest`].

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::fields::JSON_TEXT;
use crate::grant::TokenParams;
use appserver_policy::RequestedPolicy;

/// The request of a token; every member may be left out. One that is there counts: `null` is refused.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// One of the client's grants. May be left out where it has a default or exactly one.
    #[schema(nullable = false, example = "one-album")]
    grant: Option<String>,
    /// Within the grant's bounds; left out for its default.
    #[schema(nullable = false, minimum = 900, maximum = 43200)]
    duration_seconds: Option<u64>,
    /// Exactly those that the grant declares.
    #[schema(nullable = false, example = json!({"album": "2015"}))]
    parameters: Option<BTreeMap<String, String>>,
    #[schema(nullable = false)]
    policy: Option<Policy>,
}

impl From<TokenRequest> for TokenParams {
    fn from(request: TokenRequest) -> Self {
        Self {
            grant: request.grant,
            duration_secs: request.duration_seconds,
            parameters: request.parameters.unwrap_or_default(),
            policy: request.policy.map(Policy::into_inner),
        }
    }
}

/// The fields of a [`TokenRequest`] as parameters of a query.
pub(crate) struct TokenQuery;

impl IntoParams for TokenQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, about: &str, schema: Schema| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(about))
                .schema(Some(schema))
        };
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let grant =
            "One of the client's grants. May be left out where it has a default or exactly one.";
        let seconds = ObjectBuilder::new().schema_type(Type::Integer);
        let seconds = seconds.minimum(Some(900)).maximum(Some(43_200));
        let duration = "Within the grant's bounds; left out for its default.";
        let policy = "A RAM policy as JSON, for a token that allows less than the grant.";
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
}

/// A RAM policy of the caller's own: as an object, or as a string, as in AssumeRole.
#[derive(Debug)]
pub(crate) struct Policy(RequestedPolicy);

impl Policy {
    pub(crate) fn into_inner(self) -> RequestedPolicy {
        self.0
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PolicyVisitor;

        impl Visitor<'_> for PolicyVisitor {
            type Value = Policy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a RAM policy, as an object or as a string")
            }

            fn visit_str<E: Error>(self, json: &str) -> Result<Policy, E> {
                RequestedPolicy::parse(json).map(Policy).map_err(E::custom)
            }
        }

        deserializer.deserialize_newtype_struct(JSON_TEXT, PolicyVisitor)
    }
}

impl ToSchema for Policy {}

impl PartialSchema for Policy {
    fn schema() -> RefOr<Schema> {
        let kind = |kind| ObjectBuilder::new().schema_type(kind).build();
        OneOfBuilder::new()
            .item(kind(Type::Object))
            .item(kind(Type::String))
            .description(Some("A RAM policy, as an object or as a string of JSON, for a token that allows less than the grant."))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::ApiError;
    use crate::http::v1::fields::{from_json, from_query};

    fn body(json: &str) -> Result<TokenParams, ApiError> {
        from_json::<TokenRequest>(json.as_bytes()).map(TokenParams::from)
    }

    fn query(pairs: &[(&str, &str)]) -> Result<TokenParams, ApiError> {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        from_query::<TokenRequest>(&pairs).map(TokenParams::from)
    }

    const POLICY: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject",
        "Resource":"acs:oss:*:*:sample-bucket/albums/2015/a.jpg"}]}"#;

    #[test]
    fn a_body_and_a_query_are_read_alike() {
        let with = |policy: &str| {
            body(&format!(
                r#"{{"Grant":"one-album","DurationSeconds":1800,"Parameters":{{"album":"2015"}},"Policy":{policy}}}"#
            ))
        };
        let by_query = query(&[
            ("Grant", "one-album"),
            ("DurationSeconds", "1800"),
            ("Parameters.album", "2015"),
            ("Policy", POLICY),
        ]);
        let params = with(POLICY).unwrap();
        assert_eq!(params, by_query.unwrap());
        assert_eq!(params, with(&serde_json::to_string(POLICY).unwrap()).unwrap());
        let parameters = BTreeMap::from([("album".to_owned(), "2015".to_owned())]);
        let policy = Some(RequestedPolicy::parse(POLICY).unwrap());
        assert_eq!(
            params,
            TokenParams {
                grant: Some("one-album".into()),
                duration_secs: Some(1800),
                parameters,
                policy
            }
        );
    }

    /// Read as absent, a `null` would widen: the whole grant for a policy, the longest life for a duration.
    #[test]
    fn null_is_never_absence() {
        let refusal = |json: &str| body(json).unwrap_err().public();
        for name in ["Grant", "DurationSeconds", "Parameters", "Policy"] {
            let refused = refusal(&format!(r#"{{"{name}": null}}"#));
            assert_eq!(refused.code(), format!("InvalidParameter.{name}"));
            let way_out = "and never `null`: leave the member out";
            assert!(refused.message.contains(way_out), "{}", refused.message);
        }
        let codes = [
            r#"{"Parameters":{"album":null}}"#,
            r#"{"Colour":null}"#,
            r#"{"Policy":"null"}"#,
            r#"{"Policy":{"Version":"1","Statement":null}}"#,
        ]
        .map(|json| refusal(json).code().into_owned());
        let expected = ["Parameters.album", "Colour", "Policy", "Policy"]
            .map(|name| format!("InvalidParameter.{name}"));
        assert_eq!(codes, expected);
        for name in ["Grant", "DurationSeconds", "Policy", "Parameters"] {
            // Only a grant may have this name.
            assert_eq!(query(&[(name, "null")]).is_ok(), name == "Grant", "{name}");
        }
    }

    #[test]
    fn an_error_names_the_field_or_the_shape_that_is_wrong() {
        let refusals = [
            body(r#"{"Grant":7}"#),
            body(r#"{"DurationSeconds":"1800"}"#),
            body(r#"{"DurationSeconds":1800.5}"#),
            body(r#"{"DurationSeconds":-1}"#),
            body(r#"{"Parameters":["album"]}"#),
            body(r#"{"Parameters":{"album":2015}}"#),
            body(r#"{"Parameters":{"album":"a","album":"b"}}"#),
            body(r#"{"grant":"one-album"}"#),
            body(r#"{"Grant":"a","Grant":"b"}"#),
            body(r#"{"Policy":{"Version":"1"}}"#),
            body(r#"{"Policy":""}"#),
            body(r#"{"Policy":[]}"#),
            query(&[("Policy", "")]),
            query(&[("Policy", POLICY), ("Policy", POLICY)]),
            body(r#"{"a b":1}"#),
            query(&[("DurationSeconds", "")]),
            query(&[("DurationSeconds", "+1800")]),
            query(&[("DurationSeconds", "01800")]),
            query(&[("Grant", "a"), ("Grant", "b")]),
            query(&[("album", "2015")]),
            query(&[("Parameters.album", "a"), ("Parameters.album", "b")]),
            query(&[("Parameters", "{}")]),
            query(&[("Grant.name", "a")]),
        ]
        .map(|refused| refused.unwrap_err().public().code().into_owned());
        let expected = [
            "InvalidParameter.Grant",
            "InvalidParameter.DurationSeconds",
            "InvalidParameter.DurationSeconds",
            "InvalidParameter.DurationSeconds",
            "InvalidParameter.Parameters",
            "InvalidParameter.Parameters.album",
            "InvalidParameter.Parameters",
            "InvalidParameter.grant",
            "MalformedRequest",
            "InvalidParameter.Policy",
            "InvalidParameter.Policy",
            "InvalidParameter.Policy",
            "InvalidParameter.Policy",
            "MalformedRequest",
            "MalformedRequest",
            "InvalidParameter.DurationSeconds",
            "InvalidParameter.DurationSeconds",
            "InvalidParameter.DurationSeconds",
            "MalformedRequest",
            "InvalidParameter.album",
            "MalformedRequest",
            "InvalidParameter.Parameters",
            "MalformedRequest",
        ];
        assert_eq!(refusals, expected);
    }

    #[test]
    fn no_error_repeats_a_value() {
        for json in [
            r#"{"Grant":["canary"]}"#,
            r#"{"Grant":{"canary":1}}"#,
            r#"{"DurationSeconds":"canary"}"#,
            r#"{"Parameters":"canary"}"#,
            r#"{"Parameters":{"canary value":1}}"#,
            r#"{"Parameters":{"album":["canary"]}}"#,
            r#"{"Policy":"canary"}"#,
            r#"{"Policy":["canary"]}"#,
            r#"{"canary value":1}"#,
            r#"["canary"]"#,
            r#"{"Grant":"canary","Grant":"canary"}"#,
            r#"{"Grant":canary}"#,
        ] {
            let error = body(json).unwrap_err();
            let public = error.public();
            assert!(!public.message.contains("canary"), "{json}: {}", public.message);
            assert!(!error.to_string().contains("canary"), "{json}: {error}");
        }
    }
}
