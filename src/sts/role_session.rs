//! What an AssumeRole call asks for.

use crate::domain::{ExternalId, RoleArn, SessionDuration, SessionName, SourceIdentity};
use crate::policy::SessionPolicy;

/// Exactly what STS would see of a request: two that are equal may share one token, and nothing else may.
///
/// There is no way to leave the policy out.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct RoleSession {
    pub(crate) role: RoleArn,
    pub(crate) name: SessionName,
    pub(crate) policy: SessionPolicy,
    pub(crate) duration: SessionDuration,
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) source_identity: Option<SourceIdentity>,
}
