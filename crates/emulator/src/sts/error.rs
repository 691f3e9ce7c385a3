//! The errors of STS: HTTP status, code and message.

use axum::http::StatusCode;

use super::oidc_token::OidcProblem;

/// Why a call is refused, with the HTTP status, code and message that Alibaba Cloud documents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum StsError {
    /// A mandatory parameter is absent or empty.
    Missing(&'static str),
    Method,
    Api,
    Version,
    ContentType,
    TooLarge,
    TimestampFormat,
    TimestampExpired,
    IncompleteSignature,
    AccessKeyNotFound,
    AccessKeyInactive,
    TokenExpired,
    TokenMalformed,
    TokenOfAnotherKey,
    SignatureDoesNotMatch {
        string_to_sign: String,
    },
    NonceUsed,
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
    Throttled {
        time_left_ms: u64,
    },
    /// A scripted error.
    Scripted {
        status: StatusCode,
        code: String,
        message: String,
    },
}

impl StsError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Api | Self::AccessKeyNotFound | Self::RoleNotFound => StatusCode::NOT_FOUND,
            Self::NotAuthorized | Self::RootAccount | Self::NotTrusted => StatusCode::FORBIDDEN,
            Self::Oidc(_) => StatusCode::UNAUTHORIZED,
            Self::Missing(_)
            | Self::Version
            | Self::ContentType
            | Self::TimestampFormat
            | Self::TimestampExpired
            | Self::IncompleteSignature
            | Self::AccessKeyInactive
            | Self::TokenExpired
            | Self::TokenMalformed
            | Self::TokenOfAnotherKey
            | Self::SignatureDoesNotMatch { .. }
            | Self::NonceUsed
            | Self::WronglyFormed(_)
            | Self::DurationSeconds
            | Self::PolicySize
            | Self::PolicyGrammar
            | Self::Throttled { .. } => StatusCode::BAD_REQUEST,
            Self::Scripted { status, .. } => *status,
        }
    }

    pub(crate) fn code(&self) -> String {
        let code = match self {
            Self::Missing(parameter) => return format!("Missing{parameter}"),
            Self::WronglyFormed(parameter) => return format!("InvalidParameter.{parameter}"),
            Self::Scripted { code, .. } => return code.clone(),
            Self::Method => "UnsupportedHTTPMethod",
            Self::Api => "InvalidApi.NotFound",
            Self::Version => "InvalidVersion",
            Self::ContentType => "InvalidParameter.ContentType",
            Self::TooLarge => "RequestEntityTooLarge",
            Self::TimestampFormat => "InvalidTimeStamp.Format",
            Self::TimestampExpired => "InvalidTimeStamp.Expired",
            Self::IncompleteSignature => "IncompleteSignature",
            Self::AccessKeyNotFound => "InvalidAccessKeyId.NotFound",
            Self::AccessKeyInactive => "InvalidAccessKeyId.Inactive",
            Self::TokenExpired => "InvalidSecurityToken.Expired",
            Self::TokenMalformed => "InvalidSecurityToken.Malformed",
            Self::TokenOfAnotherKey => "InvalidSecurityToken.MismatchWithAccessKey",
            Self::SignatureDoesNotMatch { .. } => "SignatureDoesNotMatch",
            Self::NonceUsed => "SignatureNonceUsed",
            Self::DurationSeconds => "InvalidParameter.DurationSeconds",
            Self::PolicySize => "InvalidParameter.PolicySize",
            Self::PolicyGrammar => "InvalidParameter.PolicyGrammar",
            Self::NotAuthorized | Self::RootAccount | Self::NotTrusted => "NoPermission",
            Self::RoleNotFound => "EntityNotExist.Role",
            Self::Oidc(problem) => oidc_code(problem),
            Self::Throttled { .. } => "Throttling.User",
        };
        code.to_owned()
    }

    pub(crate) fn message(&self) -> String {
        let message = match self {
            Self::Missing(parameter) => {
                return format!("{parameter} is mandatory for this action.");
            }
            Self::WronglyFormed(parameter) => {
                return format!("The parameter {parameter} is wrongly formed.");
            }
            // Several SDKs cut the message at this colon to compare the string with their own.
            Self::SignatureDoesNotMatch { string_to_sign } => {
                return format!(
                    "Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"
                );
            }
            Self::Scripted { message, .. } => return message.clone(),
            Self::Oidc(problem) => return problem.to_string(),
            Self::Method => "This http method is not supported.",
            Self::Api => "Specified api is not found, please check your url and method.",
            Self::Version => "Specified parameter Version is not valid.",
            Self::ContentType => {
                "The ContentType request header must be either \"application/json\" or \
                 \"application/x-www-form-urlencoded\"."
            }
            Self::TooLarge => "The request must be smaller than 10 MB.",
            Self::TimestampFormat => "Specified time stamp or date value is not well formatted.",
            Self::TimestampExpired => "Specified time stamp or date value is expired.",
            Self::IncompleteSignature => {
                "The request signature does not conform to Aliyun standards."
            }
            Self::AccessKeyNotFound => "Specified access key is not found.",
            Self::AccessKeyInactive => "Specified access key is disabled.",
            Self::TokenExpired => "Specified SecurityToken is expired.",
            Self::TokenMalformed => "Specified SecurityToken is malformed.",
            Self::TokenOfAnotherKey => "Specified SecurityToken mismatch with the AccessKey.",
            Self::NonceUsed => "Specified signature nonce was used already.",
            Self::DurationSeconds => "The Min/Max value of DurationSeconds is 15min/1hr.",
            Self::PolicySize => "The size of Policy must be smaller than 2048 bytes.",
            Self::PolicyGrammar => "The parameter Policy has not passed grammar check.",
            Self::NotAuthorized => {
                "You are not authorized to do this action. You should be authorized by RAM."
            }
            Self::RootAccount => "Roles may not be assumed by root accounts.",
            Self::NotTrusted => {
                "No permission perform sts:AssumeRole on this Role. Maybe you are not authorized to perform \
                 sts:AssumeRole or the specified role does not trust you"
            }
            Self::RoleNotFound => "The specified Role not exists.",
            Self::Throttled { .. } => "Request was denied due to user flow control.",
        };
        message.to_owned()
    }
}

impl From<OidcProblem> for StsError {
    fn from(problem: OidcProblem) -> Self {
        Self::Oidc(problem)
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
