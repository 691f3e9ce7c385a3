//! The errors of OSS: HTTP status, code and message.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};

use super::callback::{CallbackFailure, CallbackProblem};
use super::form_problem::FormProblem;

/// Why a request is refused, with the HTTP status, code and message that Alibaba Cloud documents, where it does.
#[derive(Debug)]
pub(crate) enum OssError {
    /// A policy or ACL denies the request.
    AccessDenied(Denied),
    AccessKeyNotFound,
    AccessKeyInactive,
    TokenExpired,
    TokenInvalid,
    TokenOfAnotherKey,
    SignatureDoesNotMatch(Box<Mismatch>),
    TimeTooSkewed {
        request: DateTime<Utc>,
        server: DateTime<Utc>,
    },
    /// With the problem.
    InvalidArgument(&'static str),
    /// A V4 signature in a URL, with the problem and its EC.
    InvalidUrlSignature(&'static str, &'static str),
    /// A callback that nothing is stored for.
    InvalidCallback(Box<CallbackProblem>),
    /// The object is stored, but its callback failed.
    CallbackFailed(CallbackFailure),
    InvalidObjectName,
    InvalidDigest,
    InvalidPart,
    InvalidPartOrder,
    /// A part other than the last is below 100 KB.
    PartTooSmall,
    InvalidRange,
    /// The body is not the expected XML.
    MalformedXml,
    InvalidForm(FormProblem),
    /// With the problem.
    InvalidBucketPolicy(String),
    IncompleteBody,
    EntityTooLarge,
    /// Over a limit of the emulator; the real OSS has no such error.
    Full(&'static str),
    NoSuchBucket,
    NoSuchCors,
    NoSuchBucketPolicy,
    /// A preflight to a bucket without CORS rules.
    CorsNotEnabled,
    /// A preflight that no CORS rule of the bucket fits.
    CorsNotAllowed,
    /// Data of a new account at a default endpoint.
    PublicEndpointForbidden,
    NoSuchKey,
    NoSuchUpload,
    AlreadyExists,
    /// A condition such as `If-Match`.
    PreconditionFailed,
    NotModified,
    MethodNotAllowed,
    /// A feature of the real OSS that the emulator does not have.
    NotImplemented,
    /// Reading or writing the folder of `--data` failed.
    Storage(std::io::Error),
}

/// Why access is denied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Denied {
    /// A policy denies it, or no policy of a session allows it.
    Policy,
    /// No policy of the user allows it, and the bucket's ACL does not either.
    Acl,
    Anonymous,
    /// The policy of the bucket denies it.
    BucketPolicy,
    /// A V1 URL.
    RequestExpired,
    /// A V4 URL.
    UrlV4Expired,
    NoDate,
    IncompleteQuery,
    /// A V1 signature of a new account.
    SignatureV1,
}

/// The strings that the server computed.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) access_key_id: String,
    pub(crate) signature: String,
    pub(crate) string_to_sign: String,
    /// With V4 only.
    pub(crate) canonical_request: Option<String>,
    pub(crate) ec: &'static str,
}

impl OssError {
    /// HTTP status and code.
    pub(crate) fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::AccessDenied(_) => (StatusCode::FORBIDDEN, "AccessDenied"),
            Self::AccessKeyNotFound | Self::AccessKeyInactive => {
                (StatusCode::FORBIDDEN, "InvalidAccessKeyId")
            }
            Self::TokenExpired => (StatusCode::FORBIDDEN, "SecurityTokenExpired"),
            Self::TokenInvalid => (StatusCode::FORBIDDEN, "InvalidSecurityToken"),
            Self::TokenOfAnotherKey => {
                (StatusCode::FORBIDDEN, "AccessKeyIdAndSecurityTokenNotMatch")
            }
            Self::SignatureDoesNotMatch(_) => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
            Self::TimeTooSkewed { .. } => (StatusCode::FORBIDDEN, "RequestTimeTooSkewed"),
            Self::InvalidArgument(_)
            | Self::InvalidUrlSignature(_, _)
            | Self::InvalidCallback(_) => (StatusCode::BAD_REQUEST, "InvalidArgument"),
            Self::CallbackFailed(_) => {
                (StatusCode::NON_AUTHORITATIVE_INFORMATION, "CallbackFailed")
            }
            Self::InvalidObjectName => (StatusCode::BAD_REQUEST, "InvalidObjectName"),
            Self::InvalidDigest => (StatusCode::BAD_REQUEST, "InvalidDigest"),
            Self::InvalidPart => (StatusCode::BAD_REQUEST, "InvalidPart"),
            Self::InvalidPartOrder => (StatusCode::BAD_REQUEST, "InvalidPartOrder"),
            Self::PartTooSmall => (StatusCode::BAD_REQUEST, "EntityTooSmall"),
            Self::InvalidRange => (StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
            Self::MalformedXml => (StatusCode::BAD_REQUEST, "MalformedXML"),
            Self::InvalidForm(problem) => problem.status_and_code(),
            Self::InvalidBucketPolicy(_) => (StatusCode::BAD_REQUEST, "InvalidPolicyDocument"),
            Self::IncompleteBody => (StatusCode::BAD_REQUEST, "IncompleteBody"),
            Self::EntityTooLarge => (StatusCode::BAD_REQUEST, "EntityTooLarge"),
            Self::Full(_) => (StatusCode::CONFLICT, "EmulatorIsFull"),
            Self::NoSuchBucket => (StatusCode::NOT_FOUND, "NoSuchBucket"),
            Self::NoSuchBucketPolicy => (StatusCode::NOT_FOUND, "NoSuchBucketPolicy"),
            Self::NoSuchCors => (StatusCode::NOT_FOUND, "NoSuchCORSConfiguration"),
            Self::CorsNotEnabled | Self::CorsNotAllowed => {
                (StatusCode::FORBIDDEN, "AccessForbidden")
            }
            Self::PublicEndpointForbidden => (StatusCode::BAD_REQUEST, "PublicEndpointForbidden"),
            Self::NoSuchKey => (StatusCode::NOT_FOUND, "NoSuchKey"),
            Self::NoSuchUpload => (StatusCode::NOT_FOUND, "NoSuchUpload"),
            Self::AlreadyExists => (StatusCode::CONFLICT, "FileAlreadyExists"),
            Self::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "PreconditionFailed"),
            Self::NotModified => (StatusCode::NOT_MODIFIED, "NotModified"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Self::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Self::Storage(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        }
    }

    pub(crate) fn message(&self) -> String {
        let message = match self {
            Self::AccessDenied(denied) => return denied.message(),
            Self::CallbackFailed(failure) => return failure.message(),
            Self::InvalidCallback(problem) => problem.kind.message(),
            Self::AccessKeyNotFound => {
                "The OSS Access Key Id you provided does not exist in our records."
            }
            Self::AccessKeyInactive => "The OSS Access Key Id you provided is disabled.",
            Self::TokenExpired => "The security token you provided has expired.",
            Self::TokenInvalid => "The security token you provided is invalid.",
            Self::TokenOfAnotherKey => {
                "The OSS access key id and security token you provided does not match."
            }
            Self::SignatureDoesNotMatch(_) => {
                "The request signature we calculated does not match the signature you provided. \
                 Check your key and signing method."
            }
            Self::TimeTooSkewed { .. } => {
                "The difference between the request time and the current time is too large."
            }
            Self::InvalidBucketPolicy(problem) => {
                return format!("The bucket policy is invalid: {problem}.");
            }
            Self::InvalidForm(problem) => return problem.message(),
            Self::InvalidArgument(what) | Self::InvalidUrlSignature(what, _) | Self::Full(what) => {
                what
            }
            Self::InvalidObjectName => "The specified object is not valid.",
            Self::InvalidDigest => "The Content-MD5 you specified was invalid.",
            Self::InvalidPart => {
                "One or more of the specified parts could not be found or the specified entity tag might not \
                 have matched the part's entity tag."
            }
            Self::InvalidPartOrder => {
                "The list of parts was not in ascending order. Parts list must specified in order by part number."
            }
            Self::PartTooSmall => {
                "Your proposed upload smaller than the minimum allowed object size."
            }
            Self::InvalidRange => "The requested range cannot be satisfied.",
            Self::MalformedXml => "The XML you provided was not well-formed.",
            Self::IncompleteBody => {
                "You did not provide the number of bytes specified by the Content-Length HTTP header."
            }
            Self::EntityTooLarge => "Your proposed upload exceeds the maximum allowed object size.",
            Self::NoSuchBucket => "The specified bucket does not exist.",
            Self::NoSuchBucketPolicy => "The bucket policy does not exist.",
            Self::NoSuchCors => "The CORS Configuration does not exist.",
            Self::CorsNotEnabled => "CORSResponse: CORS is not enabled for this bucket.",
            Self::CorsNotAllowed => {
                "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, \
                 request method / Access-Control-Request-Method or Access-Control-Requet-Headers are not whitelisted \
                 by the resource's CORS spec."
            }
            Self::PublicEndpointForbidden => {
                "Not allowed using the OSS public endpoint , please use CNAME instead."
            }
            Self::NoSuchKey => "The specified key does not exist.",
            Self::NoSuchUpload => {
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                 aborted or completed."
            }
            Self::AlreadyExists => {
                "The object you specified already exists and can not be overwritten."
            }
            Self::PreconditionFailed => {
                "At least one of the pre-conditions you specified did not hold."
            }
            Self::NotModified => "Not Modified",
            Self::MethodNotAllowed => "The specified method is not allowed against this resource.",
            Self::NotImplemented => "The emulated OSS does not implement this functionality.",
            Self::Storage(_) => "We encountered an internal error, please try again later.",
        };
        message.to_owned()
    }
}

impl Denied {
    fn message(self) -> String {
        let message = match self {
            Self::Policy => "Access denied by authorizer's policy.",
            Self::Acl => "You have no right to access this object.",
            Self::BucketPolicy => "Access denied by bucket policy.",
            Self::Anonymous => "Anonymous user has no right to access this bucket.",
            Self::RequestExpired | Self::UrlV4Expired => "Request has expired.",
            Self::NoDate => "OSS authentication requires a valid Date.",
            Self::IncompleteQuery => {
                "Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters"
            }
            Self::SignatureV1 => {
                "Signature version V1 is refused for this account; sign with version V4."
            }
        };
        message.to_owned()
    }
}

impl From<CallbackProblem> for OssError {
    fn from(problem: CallbackProblem) -> Self {
        Self::InvalidCallback(Box::new(problem))
    }
}

impl From<FormProblem> for OssError {
    fn from(problem: FormProblem) -> Self {
        Self::InvalidForm(problem)
    }
}
