//! Refusals of STS.

use std::fmt;
use std::str::FromStr;

use appserver_domain::Invalid;

/// A refusal of STS: sending the same request again does not change it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason} ({code})")]
pub(crate) struct Refusal {
    reason: Reason,
    code: ErrorCode,
}

/// STS's `Code`, such as `EntityNotExist.Role`. Only values of this form are taken from a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ErrorCode(String);

impl ErrorCode {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ErrorCode {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let admitted = is_plain(text, b'.').then(|| Self(text.to_owned()));
        admitted.ok_or(Invalid("an error code is 1 to 64 letters, digits and dots"))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// STS's name for one request. Only values of this form are taken from a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RequestId(String);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let admitted = is_plain(text, b'-').then(|| Self(text.to_owned()));
        admitted.ok_or(Invalid("a request id is 1 to 64 letters, digits and `-`"))
    }
}

/// Short and plain, so that no policy, token or line break can get into a log.
fn is_plain(text: &str, punctuation: u8) -> bool {
    let admitted = |b: u8| b.is_ascii_alphanumeric() || b == punctuation;
    (1..=64).contains(&text.len()) && text.bytes().all(admitted)
}

/// Why STS refused, as far as operators act differently on it. The texts are for operators.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("the identity may not assume the role, or the role does not trust it")]
    NoPermission,
    #[error("the role does not exist")]
    NoSuchRole,
    #[error("the session policy is malformed or too large")]
    Policy,
    #[error("a parameter is missing or malformed")]
    Parameter,
    #[error("the AccessKey does not exist")]
    KeyUnknown,
    #[error("the AccessKey is disabled")]
    KeyDisabled,
    #[error(
        "this machine's address, as STS sees it (behind a NAT or a proxy, theirs), is outside the AccessKey's network policy"
    )]
    KeyNetwork,
    #[error("STS does not accept the AccessKey")]
    KeyRefused,
    #[error("the AccessKey's secret is wrong")]
    WrongSecret,
    #[error("the security token is missing, wrong or expired")]
    SecurityToken,
    #[error("the OIDC token has expired: its file is not replaced in time")]
    OidcTokenExpired,
    #[error(
        "the OIDC token is not for this service: its audience is not one of the OIDC provider's client ids"
    )]
    OidcAudience,
    #[error(
        "STS does not accept the OIDC token: its issuer, its keys or its form differ from the OIDC provider's"
    )]
    OidcToken,
    #[error("the request was signed in a way that STS does not follow, a bug of this program")]
    SigningBug,
    #[error("the signature is wrong, STS did not say what it should have been over")]
    Signature,
    #[error("an error that is not known here")]
    Unknown,
}

impl Refusal {
    /// A refusal with the reason of its code.
    pub(crate) fn new(reason: Reason, code: ErrorCode) -> Self {
        Self { reason, code }
    }

    /// A refusal that another replica received, if STS would repeat it.
    pub(super) fn repeated(code: &str) -> Option<Self> {
        let code = code.parse().ok()?;
        Reason::about_the_session(&code).map(|reason| Self { reason, code })
    }

    /// The `Code` that STS answered.
    pub(super) fn code(&self) -> &ErrorCode {
        &self.code
    }

    /// The reason.
    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }
}

impl Reason {
    /// The reason of a code that concerns the requested session.
    pub(super) fn about_the_session(code: &ErrorCode) -> Option<Self> {
        Some(match code.as_str() {
            "NoPermission" | "AuthenticationFail.NoPermission" => Self::NoPermission,
            "EntityNotExist.Role" => Self::NoSuchRole,
            "InvalidParameter.PolicyGrammar" | "InvalidParameter.PolicySize" => Self::Policy,
            code if code.starts_with("InvalidParameter") || code.starts_with("Missing") => {
                Self::Parameter
            }
            _ => return None,
        })
    }

    /// Whether STS would refuse the same session again until an operator changes something.
    ///
    /// Refusals of the key or the signature concern every session and are not cached: once they are fixed, every
    /// session must succeed at once.
    pub(super) fn is_about_the_session(self) -> bool {
        match self {
            Self::NoPermission | Self::NoSuchRole | Self::Policy | Self::Parameter => true,
            Self::KeyUnknown
            | Self::KeyDisabled
            | Self::KeyNetwork
            | Self::KeyRefused
            | Self::WrongSecret
            | Self::SigningBug
            | Self::Signature
            | Self::SecurityToken
            | Self::OidcTokenExpired
            | Self::OidcAudience
            | Self::OidcToken
            | Self::Unknown => false,
        }
    }

    /// The metric label of the reason, of a closed set.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NoPermission => "no_permission",
            Self::NoSuchRole => "no_such_role",
            Self::Policy => "bad_policy",
            Self::Parameter => "bad_parameter",
            Self::KeyUnknown => "key_unknown",
            Self::KeyDisabled => "key_disabled",
            Self::KeyNetwork => "key_network",
            Self::KeyRefused => "key_refused",
            Self::WrongSecret => "wrong_secret",
            Self::SigningBug => "signing_bug",
            Self::Signature => "bad_signature",
            Self::SecurityToken => "bad_security_token",
            Self::OidcTokenExpired => "oidc_token_expired",
            Self::OidcAudience => "oidc_audience",
            Self::OidcToken => "oidc_token",
            Self::Unknown => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_codes_and_request_ids_are_kept() {
        for good in ["NoPermission", "InvalidParameter.PolicyGrammar", "Throttling"] {
            assert!(good.parse::<ErrorCode>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "{\"Version\"", "No\nPermission", "é", &"x".repeat(65)] {
            assert!(bad.parse::<ErrorCode>().is_err(), "{bad}");
            assert!(bad.parse::<RequestId>().is_err(), "{bad}");
        }
        assert!("6894B13B-6D71-4EF5-88FA-F32781734A7F".parse::<RequestId>().is_ok());
    }
}
