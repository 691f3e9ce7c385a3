//! The errors of STS's actions: HTTP status, code and message.

use axum::http::StatusCode;

use super::oidc_token::OidcProblem;
use crate::gateway::{GatewayError, Refusal};

/// Why an action refuses a call, with the HTTP status, code and message that Alibaba Cloud documents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum StsError {
    /// Such as a missing parameter.
    Gateway(GatewayError),
    WronglyFormed(&'static str),
    DurationSeconds,
    PolicySize,
    PolicyGrammar,
    /// The caller's own policies do not allow it.
    NotAuthorized,
    RootAccount,
    /// The role's trust policy does not allow it.
    NotTrusted,
    RoleNotFound,
    Oidc(OidcProblem),
}

impl From<GatewayError> for StsError {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(error)
    }
}

impl From<OidcProblem> for StsError {
    fn from(problem: OidcProblem) -> Self {
        Self::Oidc(problem)
    }
}

impl From<StsError> for Refusal {
    fn from(error: StsError) -> Self {
        match error {
            StsError::Gateway(error) => error.into(),
            StsError::WronglyFormed(parameter) => Self::new(
                StatusCode::BAD_REQUEST,
                &format!("InvalidParameter.{parameter}"),
                &format!("The parameter {parameter} is wrongly formed."),
            ),
            StsError::DurationSeconds => Self::new(
                StatusCode::BAD_REQUEST,
                "InvalidParameter.DurationSeconds",
                "The Min/Max value of DurationSeconds is 15min/1hr.",
            ),
            StsError::PolicySize => Self::new(
                StatusCode::BAD_REQUEST,
                "InvalidParameter.PolicySize",
                "The size of Policy must be smaller than 2048 bytes.",
            ),
            StsError::PolicyGrammar => Self::new(
                StatusCode::BAD_REQUEST,
                "InvalidParameter.PolicyGrammar",
                "The parameter Policy has not passed grammar check.",
            ),
            StsError::NotAuthorized => Self::new(
                StatusCode::FORBIDDEN,
                "NoPermission",
                "You are not authorized to do this action. You should be authorized by RAM.",
            ),
            StsError::RootAccount => Self::new(
                StatusCode::FORBIDDEN,
                "NoPermission",
                "Roles may not be assumed by root accounts.",
            ),
            StsError::NotTrusted => Self::new(
                StatusCode::FORBIDDEN,
                "NoPermission",
                "No permission perform sts:AssumeRole on this Role. Maybe you are not authorized to perform \
                 sts:AssumeRole or the specified role does not trust you",
            ),
            StsError::RoleNotFound => Self::new(
                StatusCode::NOT_FOUND,
                "EntityNotExist.Role",
                "The specified Role not exists.",
            ),
            StsError::Oidc(problem) => {
                Self::new(StatusCode::UNAUTHORIZED, oidc_code(&problem), &problem.to_string())
            }
        }
    }
}

fn oidc_code(problem: &OidcProblem) -> &'static str {
    match problem {
        OidcProblem::UnknownProvider | OidcProblem::NotTrusted => "AuthenticationFail.NoPermission",
        OidcProblem::NoToken
        | OidcProblem::Parts
        | OidcProblem::Encoding
        | OidcProblem::Algorithm(_)
        | OidcProblem::Content => "AuthenticationFail.OIDCToken.Invalid",
        OidcProblem::Signature => "AuthenticationFail.OIDCToken.InvalidSignature",
        OidcProblem::Expired => "AuthenticationFail.OIDCToken.Expired",
        OidcProblem::Audience => "AuthenticationFail.OIDCToken.AudienceNotMatch",
        OidcProblem::NoKeys => "AuthenticationFail.OIDCToken.HttpsUrlInvalid",
    }
}
