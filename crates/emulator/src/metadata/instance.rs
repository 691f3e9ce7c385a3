//! The emulated instance.

use serde::Deserialize;

/// The instance whose metadata is served.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Instance {
    /// Such as `acs:ram::11223344:role/appserver-instance`. The role need not exist yet; without it the instance has no role.
    #[serde(default)]
    pub(crate) role_arn: Option<String>,
    #[serde(default)]
    pub(crate) http_tokens: HttpTokens,
}

/// Whether requests need a metadata token; ECS calls the option `HttpTokens`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HttpTokens {
    /// Versions 1 and 2.
    #[default]
    Optional,
    /// Version 2 only.
    Required,
    /// Version 1 only, as before there were metadata tokens.
    Unsupported,
}
