//! The errors of the gateway, and the form in which every refusal is answered.

use axum::http::StatusCode;
use serde_json::Value;

/// A refusal as it is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
    /// The hint of a throttled call.
    pub(crate) time_left_ms: Option<u64>,
    /// `AccessDeniedDetail`: the permission that is missing.
    pub(crate) access_denied: Option<Value>,
}

/// Why the gateway refuses a call, with the HTTP status, code and message that Alibaba Cloud documents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum GatewayError {
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
    /// The key's network policy does not admit the caller's address.
    AccessKeyElsewhere,
    TokenExpired,
    TokenMalformed,
    TokenOfAnotherKey,
    SignatureDoesNotMatch {
        string_to_sign: String,
    },
    NonceUsed,
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

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &str, message: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            time_left_ms: None,
            access_denied: None,
        }
    }
}

impl From<GatewayError> for Refusal {
    fn from(error: GatewayError) -> Self {
        let time_left_ms = if let GatewayError::Throttled { time_left_ms } = error {
            Some(time_left_ms)
        } else {
            None
        };
        Self { time_left_ms, ..Self::new(error.status(), &error.code(), &error.message()) }
    }
}

impl GatewayError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Api | Self::AccessKeyNotFound => StatusCode::NOT_FOUND,
            Self::AccessKeyElsewhere => StatusCode::FORBIDDEN,
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
            | Self::Throttled { .. } => StatusCode::BAD_REQUEST,
            Self::Scripted { status, .. } => *status,
        }
    }

    fn code(&self) -> String {
        let code = match self {
            Self::Missing(parameter) => return format!("Missing{parameter}"),
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
            // Inferred: Alibaba Cloud documents no code for it.
            Self::AccessKeyElsewhere => "InvalidAccessKeyId.NetworkNotAllowed",
            Self::TokenExpired => "InvalidSecurityToken.Expired",
            Self::TokenMalformed => "InvalidSecurityToken.Malformed",
            Self::TokenOfAnotherKey => "InvalidSecurityToken.MismatchWithAccessKey",
            Self::SignatureDoesNotMatch { .. } => "SignatureDoesNotMatch",
            Self::NonceUsed => "SignatureNonceUsed",
            Self::Throttled { .. } => "Throttling.User",
        };
        code.to_owned()
    }

    fn message(&self) -> String {
        let message = match self {
            Self::Missing(parameter) => {
                return format!("{parameter} is mandatory for this action.");
            }
            // Several SDKs cut the message at this colon to compare the string with their own.
            Self::SignatureDoesNotMatch { string_to_sign } => {
                return format!(
                    "Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"
                );
            }
            Self::Scripted { message, .. } => return message.clone(),
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
            Self::AccessKeyElsewhere => {
                "Specified access key is not allowed to be used from this network."
            }
            Self::TokenExpired => "Specified SecurityToken is expired.",
            Self::TokenMalformed => "Specified SecurityToken is malformed.",
            Self::TokenOfAnotherKey => "Specified SecurityToken mismatch with the AccessKey.",
            Self::NonceUsed => "Specified signature nonce was used already.",
            Self::Throttled { .. } => "Request was denied due to user flow control.",
        };
        message.to_owned()
    }
}
