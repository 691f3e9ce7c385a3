//! Why a form of PostObject is refused.

use axum::http::StatusCode;

/// A problem of a form or of its policy. Where Alibaba Cloud documents no message, it says what is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum FormProblem {
    Malformed,
    NoKey,
    /// No file, or more than one.
    NotOneFile,
    FieldTooLong,
    /// A signed form needs a policy, a signature and an AccessKey.
    NoPolicy,
    NoSignature,
    EmptySignature,
    NoAccessKey,
    UnknownVersion,
    MalformedCredential,
    /// `x-oss-date` is malformed, or not on the day of the credential.
    MalformedDate,
    /// `x-oss-date` is more than 15 minutes ahead, or seven days ago.
    DateOutOfRange,
    PolicyNotBase64,
    /// With the JSON parser's message.
    PolicyNotJson(String),
    NoConditions,
    NoExpiration,
    NoExpirationAndConditions,
    ExpirationNotText,
    EmptyExpiration,
    MalformedExpiration,
    /// A condition that is neither an object nor a list.
    ConditionKind,
    /// An object with another number of properties than one.
    SimpleCondition,
    /// A list with an unknown operator, or whose field has no `$`.
    ConditionForm,
    /// A value of the wrong type.
    ConditionType,
    RangeOrder,
    RangeLeast,
    RangeMost,
    /// The policy of a V4 form has no condition for this field.
    Unbound(&'static str),
    Expired,
    /// The condition, as a list.
    ConditionFailed(String),
    FileTooLarge,
    FileTooSmall,
}

impl FormProblem {
    /// HTTP status and code.
    pub(crate) fn status_and_code(&self) -> (StatusCode, &'static str) {
        let code = match self {
            Self::Malformed => "MalformedPOSTRequest",
            Self::NotOneFile => "IncorrectNumberOfFilesInPOSTRequest",
            Self::FieldTooLong => "FieldItemTooLong",
            Self::NoKey
            | Self::NoPolicy
            | Self::NoSignature
            | Self::EmptySignature
            | Self::NoAccessKey
            | Self::UnknownVersion
            | Self::MalformedCredential
            | Self::MalformedDate => "InvalidArgument",
            Self::PolicyNotBase64
            | Self::PolicyNotJson(_)
            | Self::NoConditions
            | Self::NoExpiration
            | Self::NoExpirationAndConditions
            | Self::ExpirationNotText
            | Self::EmptyExpiration
            | Self::MalformedExpiration
            | Self::ConditionKind
            | Self::SimpleCondition
            | Self::ConditionForm
            | Self::ConditionType
            | Self::RangeOrder
            | Self::RangeLeast
            | Self::RangeMost
            | Self::Unbound(_) => "InvalidPolicyDocument",
            Self::FileTooLarge => "EntityTooLarge",
            Self::FileTooSmall => "EntityTooSmall",
            Self::DateOutOfRange | Self::Expired | Self::ConditionFailed(_) => {
                return (StatusCode::FORBIDDEN, "AccessDenied");
            }
        };
        (StatusCode::BAD_REQUEST, code)
    }

    pub(crate) fn message(&self) -> String {
        let message = match self {
            Self::ConditionFailed(condition) => {
                return format!(
                    "Invalid according to Policy: Policy Condition failed: {condition}"
                );
            }
            Self::PolicyNotJson(problem) => {
                return format!("Invalid Policy: Invalid JSON: {problem}");
            }
            Self::Unbound(field) => {
                return format!(
                    "Invalid Policy: the conditions of a form of version 4 must include '{field}'."
                );
            }
            Self::Malformed => {
                "The body of your POST request is not well-formed multipart/form-data"
            }
            Self::NoKey => {
                "The bucket POST must contain the specified 'key'. If it is specified, please check the order of \
                 the fields"
            }
            Self::NotOneFile => "POST requires exactly one file upload per request.",
            Self::FieldTooLong => {
                "A field of the form is too long: names have at most 8 KB, values 2 MB and all fields 4 MB."
            }
            Self::NoPolicy => "A signed form needs the field policy.",
            Self::NoSignature | Self::EmptySignature => {
                "A signed form needs the field x-oss-signature (or Signature, in version 1)."
            }
            Self::NoAccessKey => {
                "A signed form needs the field x-oss-credential (or OSSAccessKeyId, in version 1)."
            }
            Self::UnknownVersion => "x-oss-signature-version of the form must be OSS4-HMAC-SHA256.",
            Self::MalformedCredential => {
                "x-oss-credential of the form is not <AccessKeyId>/<yyyymmdd>/<region>/oss/aliyun_v4_request."
            }
            Self::MalformedDate => {
                "x-oss-date of the form is not <yyyymmdd>T<hhmmss>Z on the day of x-oss-credential."
            }
            Self::DateOutOfRange => {
                "x-oss-date of the form is more than 15 minutes ahead or 7 days ago."
            }
            Self::FileTooLarge => "Your proposed upload exceeds the maximum allowed size",
            Self::FileTooSmall => "Your proposed upload is smaller than the minimum allowed size",
            Self::Expired => "Invalid according to Policy: Policy expired.",
            Self::PolicyNotBase64 => "Invalid Policy: it is not encoded in base64.",
            Self::NoConditions => "Invalid Policy: the 'conditions' are missing.",
            Self::NoExpiration => "Invalid Policy: the 'expiration' is missing.",
            Self::NoExpirationAndConditions => {
                "Invalid Policy: the 'expiration' and the 'conditions' are missing."
            }
            Self::ExpirationNotText => "Invalid Policy: the 'expiration' is not a string.",
            Self::EmptyExpiration => "Invalid Policy: the 'expiration' is empty.",
            Self::MalformedExpiration => {
                "Invalid Policy: the 'expiration' is not a time such as 2023-12-03T13:00:00.000Z."
            }
            Self::ConditionKind => "Invalid Policy: a condition is neither an object nor a list.",
            Self::SimpleCondition => {
                "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property \
                 specified."
            }
            Self::ConditionForm => {
                "Invalid Policy: a condition is not [\"eq\", \"starts-with\", \"in\" or \"not-in\", \"$<field>\", \
                 <value>] or [\"content-length-range\", <min>, <max>]."
            }
            Self::ConditionType => {
                "Invalid Policy: the value of a condition is of the wrong type: \"in\" and \"not-in\" need a list of \
                 strings, the others a string."
            }
            Self::RangeOrder => {
                "Invalid Policy: the maximum of content-length-range is below its minimum."
            }
            Self::RangeLeast => {
                "Invalid Policy: the minimum of content-length-range is not an integer from 0 on."
            }
            Self::RangeMost => {
                "Invalid Policy: the maximum of content-length-range is not an integer from 0 on."
            }
        };
        message.to_owned()
    }

    pub(crate) fn ec(&self) -> Option<&'static str> {
        match self {
            Self::UnknownVersion => Some("0002-00000701"),
            Self::NoPolicy => Some("0002-00000702"),
            Self::NoSignature => Some("0002-00000703"),
            Self::EmptySignature => Some("0002-00000704"),
            Self::NoAccessKey => Some("0002-00000706"),
            Self::MalformedDate | Self::DateOutOfRange => Some("0002-00000709"),
            Self::MalformedCredential => Some("0002-00000710"),
            Self::FileTooLarge => Some("0006-00000003"),
            Self::FileTooSmall => Some("0006-00000004"),
            Self::PolicyNotBase64 | Self::PolicyNotJson(_) => Some("0006-00000201"),
            Self::NoConditions => Some("0006-00000207"),
            Self::NoExpiration => Some("0006-00000208"),
            Self::NoExpirationAndConditions => Some("0006-00000209"),
            Self::ExpirationNotText => Some("0006-00000210"),
            Self::EmptyExpiration => Some("0006-00000211"),
            Self::Expired => Some("0006-00000213"),
            Self::RangeOrder => Some("0006-00000219"),
            Self::RangeLeast => Some("0006-00000220"),
            Self::RangeMost => Some("0006-00000221"),
            Self::ConditionKind => Some("0006-00000222"),
            Self::ConditionType => Some("0006-00000224"),
            Self::ConditionFailed(_) => Some("0006-00000227"),
            // Their ECs are not known.
            Self::Malformed
            | Self::NoKey
            | Self::NotOneFile
            | Self::FieldTooLong
            | Self::MalformedExpiration
            | Self::SimpleCondition
            | Self::ConditionForm
            | Self::Unbound(_) => None,
        }
    }
}
