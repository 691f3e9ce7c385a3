//! The rules of a grant's upload forms, as `/v1/whoami` describes them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::grant::Entitlement;
use crate::sign::ContentType;

/// What the grant's forms take; absent where it signs none.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = UploadRules)]
pub(super) struct UploadView<'a> {
    /// What `Name` must be, in words; absent where the caller chooses no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name_pattern: Option<String>,
    max_bytes: u64,
    content_types: Vec<&'a str>,
    /// Whether an upload may replace an object.
    overwrite: bool,
    max_lifetime_seconds: u32,
}

impl<'a> UploadView<'a> {
    pub(super) fn of(entitlement: &'a Entitlement) -> Option<Self> {
        let rules = entitlement.upload.as_ref()?;
        let has_name = entitlement.template.object_key_has_name();
        Some(Self {
            name_pattern: has_name.then(|| rules.name.to_string()),
            max_bytes: rules.max_bytes.get(),
            content_types: rules.content_types.iter().map(ContentType::as_str).collect(),
            overwrite: rules.overwrite,
            max_lifetime_seconds: rules.lifetime.longest_secs(),
        })
    }
}
