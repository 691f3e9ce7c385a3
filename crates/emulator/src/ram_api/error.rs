//! The errors of RAM: HTTP status, code and message, spelled as the service spells them.

use axum::http::StatusCode;
use serde_json::Value;

use crate::gateway::{GatewayError, Refusal};
use crate::ram::StateFileProblem;

/// Why RAM refuses a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RamError {
    /// Such as a missing parameter.
    Gateway(GatewayError),
    /// A parameter has characters that it must not have.
    InvalidChars(&'static str),
    /// A parameter is too long.
    Length(&'static str),
    /// A parameter is none of the possible values.
    Incorrect(&'static str),
    /// A parameter is not of its form.
    Format(&'static str),
    MalformedPolicy(String),
    /// With `AccessDeniedDetail`.
    NoPermission(Value),
    NotFound(Missing),
    Exists(Existing),
    LimitExceeded(Limit),
    DeleteConflict(Conflict),
    /// The changed state cannot be written to its file.
    Storage(String),
}

/// What does not exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Missing {
    User,
    Role,
    Policy,
    PolicyVersion,
    AccessKey,
    UserPolicy,
    RolePolicy,
    OidcProvider,
}

/// What exists already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Existing {
    User,
    Role,
    Policy,
    UserPolicy,
    RolePolicy,
    OidcProvider,
}

/// A count that has reached its limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Limit {
    Users,
    Roles,
    Policies,
    PolicyVersions,
    AccessKeys,
    UserPolicies,
    RolePolicies,
    OidcProviders,
}

/// What prevents a deletion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Conflict {
    UserAccessKey,
    UserPolicy,
    RolePolicy,
    PolicyUser,
    PolicyRole,
    PolicyVersion,
    PolicyDefaultVersion,
}

impl From<GatewayError> for RamError {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(error)
    }
}

impl From<StateFileProblem> for RamError {
    fn from(problem: StateFileProblem) -> Self {
        Self::Storage(problem.to_string())
    }
}

impl From<RamError> for Refusal {
    fn from(error: RamError) -> Self {
        let invalid = |rule: &str, message: String| {
            Self::new(StatusCode::BAD_REQUEST, &format!("InvalidParameter.{rule}"), &message)
        };
        match error {
            RamError::Gateway(error) => error.into(),
            RamError::InvalidChars(name) => invalid(
                &format!("{name}.InvalidChars"),
                format!("The parameter - \"{name}\" contains invalid chars."),
            ),
            RamError::Length(name) => invalid(
                &format!("{name}.Length"),
                format!("The parameter - \"{name}\" beyond the length limit."),
            ),
            RamError::Incorrect(name) => {
                invalid(name, format!("The parameter - \"{name}\" is incorrect."))
            }
            RamError::Format(name) => invalid(
                &format!("{name}.Format"),
                format!("The format of the parameter - \"{name}\" is incorrect."),
            ),
            RamError::MalformedPolicy(details) => {
                Self::new(StatusCode::BAD_REQUEST, "MalformedPolicyDocument", &details)
            }
            RamError::NoPermission(detail) => {
                let message = "You are not authorized to do this action.";
                let refusal = Self::new(StatusCode::FORBIDDEN, "NoPermission", message);
                Self { access_denied: Some(detail), ..refusal }
            }
            RamError::NotFound(missing) => {
                let (entity, message) = missing.entity_and_message();
                Self::new(StatusCode::NOT_FOUND, &format!("EntityNotExist.{entity}"), message)
            }
            RamError::Exists(existing) => {
                let (entity, message) = existing.entity_and_message();
                Self::new(StatusCode::CONFLICT, &format!("EntityAlreadyExists.{entity}"), message)
            }
            RamError::LimitExceeded(limit) => {
                let (entity, message) = limit.entity_and_message();
                Self::new(StatusCode::CONFLICT, &format!("LimitExceeded.{entity}"), message)
            }
            RamError::Storage(problem) => {
                tracing::error!(error.message = problem, "the emulated RAM cannot keep a change");
                let message = "An internal error occurred.";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
            }
            RamError::DeleteConflict(conflict) => {
                let (entity, message) = conflict.entity_and_message();
                Self::new(StatusCode::CONFLICT, &format!("DeleteConflict.{entity}"), message)
            }
        }
    }
}

impl Missing {
    fn entity_and_message(self) -> (&'static str, &'static str) {
        match self {
            Self::User => ("User", "The user does not exist."),
            Self::Role => ("Role", "The role does not exist."),
            Self::Policy => ("Policy", "The policy does not exist."),
            Self::PolicyVersion => ("Policy.Version", "The policy version does not exist."),
            Self::AccessKey => ("User.AccessKey", "The user access key does not exist."),
            Self::UserPolicy => ("User.Policy", "The indicate policy of the user does not exist."),
            Self::RolePolicy => ("Role.Policy", "The indicate policy of the role does not exist."),
            // Inferred.
            Self::OidcProvider => ("OIDCProvider", "The OIDC provider does not exist."),
        }
    }
}

impl Existing {
    fn entity_and_message(self) -> (&'static str, &'static str) {
        match self {
            Self::User => ("User", "The user does already EXIST."),
            Self::Role => ("Role", "The role does already EXIST."),
            // The service says "group".
            Self::Policy => ("Policy", "The group does already EXIST."),
            Self::UserPolicy => ("User.Policy", "The user has already been attached this policy."),
            // Inferred, as the next.
            Self::RolePolicy => ("Role.Policy", "The role has already been attached this policy."),
            Self::OidcProvider => ("OIDCProvider", "The OIDC provider does already EXIST."),
        }
    }
}

impl Limit {
    fn entity_and_message(self) -> (&'static str, &'static str) {
        match self {
            Self::Users => ("User", "The count of users beyond the current limits."),
            Self::Roles => ("Role", "The count of roles beyond the current limits."),
            Self::Policies => ("Policy", "The count of policy beyond the current limits."),
            Self::PolicyVersions => {
                ("Policy.Version", "The count of policy version beyond the current limits.")
            }
            Self::AccessKeys => (
                "User.AccessKey",
                "The access key count of the user access keys beyond the current limits.",
            ),
            Self::UserPolicies => (
                "User.Policy",
                "The policy count of the user attached policies beyond the current limits.",
            ),
            Self::RolePolicies => (
                "Role.Policy",
                "The count of policies attached to the role beyond the current limits.",
            ),
            // Inferred.
            Self::OidcProviders => {
                ("OIDCProvider", "The count of OIDC providers beyond the current limits.")
            }
        }
    }
}

impl Conflict {
    /// The messages about policies are inferred.
    fn entity_and_message(self) -> (&'static str, &'static str) {
        match self {
            Self::UserAccessKey => {
                ("User.AccessKey", "The user CAN NOT has any access key while deleting the user.")
            }
            Self::UserPolicy => {
                ("User.Policy", "The user CAN NOT has any attached policy while deleting the user.")
            }
            Self::RolePolicy => {
                ("Role.Policy", "The role CAN NOT has any attached policy while deleting the role.")
            }
            Self::PolicyUser => (
                "Policy.User",
                "The policy CAN NOT be attached to any user while deleting the policy.",
            ),
            Self::PolicyRole => (
                "Policy.Role",
                "The policy CAN NOT be attached to any role while deleting the policy.",
            ),
            Self::PolicyVersion => (
                "Policy.Version",
                "The policy CAN NOT has any version except the default version while deleting the policy.",
            ),
            Self::PolicyDefaultVersion => {
                ("Policy.Version.Default", "The default version of the policy CAN NOT be deleted.")
            }
        }
    }
}
