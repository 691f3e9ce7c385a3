//! Shapes that no type of the service has: bodies that are read member by member, and an answer that is written by
//! hand.
#![expect(dead_code, reason = "only their schemas are used")]

use std::collections::BTreeMap;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{PartialSchema, ToSchema};

/// What is asked for; every member may be left out. One that is there counts: `null` is refused.
#[derive(ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TokenRequest {
    /// One of the client's grants. May be left out where it has exactly one.
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

/// What each token of the ticket is asked for, and how long the ticket lives.
#[derive(ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TicketRequest {
    /// One of the client's grants. May be left out where it has exactly one.
    #[schema(nullable = false)]
    grant: Option<String>,
    /// Of the tokens, within the grant's bounds; left out for its default.
    #[schema(nullable = false, minimum = 900, maximum = 43200)]
    duration_seconds: Option<u64>,
    /// Exactly those that the grant declares.
    #[schema(nullable = false)]
    parameters: Option<BTreeMap<String, String>>,
    #[schema(nullable = false)]
    policy: Option<Policy>,
    /// Of the ticket; an hour if left out.
    #[schema(nullable = false, minimum = 60, maximum = 86400)]
    expires_in_seconds: Option<u64>,
}

/// What is to be explained: the members of a token's request, and what the token would be used for.
#[derive(ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ExplainRequest {
    /// One of the client's grants. May be left out where it has exactly one.
    #[schema(nullable = false)]
    grant: Option<String>,
    /// Exactly those that the grant declares.
    #[schema(nullable = false)]
    parameters: Option<BTreeMap<String, String>>,
    #[schema(nullable = false)]
    policy: Option<Policy>,
    /// An action, or an operation of OSS that another action allows.
    #[schema(example = "oss:HeadObject")]
    action: String,
    /// One bucket or object.
    #[schema(example = "acs:oss:*:*:sample-bucket/2015/01/01/grass.jpg")]
    resource: String,
    /// Condition keys of the request, with their values.
    #[schema(nullable = false, example = json!({"oss:Prefix": "2015/"}))]
    conditions: Option<BTreeMap<String, String>>,
}

/// A RAM policy, to have less than the grant gives.
struct Policy;

/// Credentials, in one shape for the OSS SDKs of Android and iOS, `credentials_uri` of every language, ali-oss and
/// the CLI.
#[derive(ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TokenResponse {
    /// The HTTP status once more.
    #[schema(minimum = 200, maximum = 200)]
    status_code: u16,
    #[schema(pattern = "^Success$", example = "Success")]
    code: String,
    #[schema(format = "uuid")]
    request_id: String,
    /// When to come back: well before the end, and spread so that a wave of phones does not return as a wave.
    refresh_after: Time,
    /// The grant that was used.
    #[schema(example = "daily-photos")]
    grant: String,
    #[schema(example = "STS.L4aBSCSJVMuKg5U1")]
    access_key_id: String,
    #[schema(min_length = 1)]
    access_key_secret: String,
    /// STS documents no longest length: reserve none.
    #[schema(min_length = 1)]
    security_token: String,
    /// When the credentials end, as STS said; it may be sooner than asked.
    expiration: Time,
    /// When STS issued them, by STS's clock.
    last_updated: Time,
    assumed_role_user: AssumedRoleUser,
}

/// The role session, as ActionTrail records it.
#[derive(ToSchema)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser {
    #[schema(example = "acs:ram::11223344:role/oss-readonly/client-002")]
    arn: String,
    #[schema(example = "391578752573972854:client-002")]
    assumed_role_id: String,
}

/// A moment in UTC. SDKs of several languages read no other form.
pub(in crate::http) struct Time;

impl ToSchema for Time {}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .pattern(Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"))
            .into()
    }
}

impl ToSchema for Policy {}

impl PartialSchema for Policy {
    fn schema() -> RefOr<Schema> {
        let kind = |kind| ObjectBuilder::new().schema_type(kind).build();
        OneOfBuilder::new()
            .item(kind(Type::Object))
            .item(kind(Type::String))
            .description(Some("A RAM policy, as an object or as a string of JSON: to have less than the grant gives."))
            .into()
    }
}
