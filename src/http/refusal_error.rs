//! What a caller sees of a refusal by its grants.

use axum::http::StatusCode;

use super::error::ApiError;
use super::public_error::Public;
use super::signed_thing::{SignedThing, listed};
use crate::grant::Refusal;
use crate::sign::SigningProblem;
use appserver_policy::{PolicyRefusal, UploadKeyProblem, ValueProblem};

pub(super) fn refused(refusal: &Refusal) -> Public {
    match refusal {
        Refusal::NotGranted => Public::new(
            StatusCode::FORBIDDEN,
            "Forbidden.Grant",
            "The client may not use this grant; `GET /v1/whoami` lists those it may use.",
        ),
        Refusal::UploadsOnly { others } => Public::new(
            StatusCode::FORBIDDEN,
            "Forbidden.Grant",
            format!(
                "The grant vends no token; it signs uploads: `POST /v1/uploads`.{}",
                if others.is_empty() {
                    String::new()
                } else {
                    format!(" For a token name one that vends them ({}).", listed(others))
                }
            ),
        ),
        Refusal::LoginEndsSoon => Public::new(
            StatusCode::FORBIDDEN,
            "Forbidden.Grant",
            "The login ends too soon: credentials end with it and last 900 seconds at least. Renew the login first.",
        ),
        Refusal::LoginEnds => Public::new(
            StatusCode::FORBIDDEN,
            "Forbidden.Grant",
            "The login ends, and what is signed ends with it. Renew the login first.",
        ),
        Refusal::NameRequired(_) => Public::parameter("Grant", refusal.to_string()),
        Refusal::Duration { .. } => Public::parameter("DurationSeconds", refusal.to_string()),
        Refusal::Value(problem) => value(problem),
        Refusal::Policy(refusal @ PolicyRefusal::TooComplex { .. }) => {
            Public::parameter("Policy", format!("this policy is too complex: {refusal}"))
        }
        Refusal::Policy(refusal) => Public::new(
            StatusCode::FORBIDDEN,
            "Forbidden.Policy",
            format!("The policy is not within the grant: {refusal}."),
        ),
    }
}

fn value(problem: &ValueProblem) -> Public {
    match problem {
        ValueProblem::MissingParameter { name, .. }
        | ValueProblem::RefusedParameter { name, .. } => {
            Public::parameter(format!("Parameters.{name}"), problem.to_string())
        }
        ValueProblem::UnknownParameter { .. } => {
            Public::parameter("Parameters", problem.to_string())
        }
        // No other request with the same credential would succeed.
        ValueProblem::MissingSubject
        | ValueProblem::MissingIssuer
        | ValueProblem::RefusedSubject { .. }
        | ValueProblem::MissingClaim(_)
        | ValueProblem::RefusedClaim { .. } => Public::new(
            StatusCode::FORBIDDEN,
            "Forbidden.Grant",
            format!("This credential does not fit the grant: {problem}."),
        ),
    }
}

impl From<SigningProblem> for ApiError {
    fn from(problem: SigningProblem) -> Self {
        let field = match &problem {
            SigningProblem::Name(_) => "Name",
            SigningProblem::ContentTypeMissing(_) | SigningProblem::ContentType(_) => "ContentType",
            SigningProblem::Empty => "Bytes",
            SigningProblem::TooLarge { max_bytes } => {
                return Self::FileTooLarge { max_bytes: *max_bytes };
            }
            SigningProblem::Lifetime { .. } => "ExpiresInSeconds",
        };
        Self::invalid(field, problem.to_string())
    }
}

impl From<UploadKeyProblem> for ApiError {
    fn from(problem: UploadKeyProblem) -> Self {
        match problem {
            UploadKeyProblem::NoUploads => Self::NotSigned(SignedThing::Uploads, Vec::new()),
            UploadKeyProblem::NameMissing
            | UploadKeyProblem::NameUnused
            | UploadKeyProblem::Name(_) => Self::invalid("Name", problem.to_string()),
        }
    }
}
