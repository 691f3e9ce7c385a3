//! Shapes that no type of the service has: an answer that is written by hand.
#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

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
