//! Why a callback is refused before anything is stored.

/// A problem in the parameters of a callback. Of the messages, only those of the format and of private addresses are documented.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CallbackProblem {
    pub(crate) kind: CallbackProblemKind,
    /// The parameter, or the member of its JSON.
    pub(crate) argument: &'static str,
    /// The decoded text of the argument.
    pub(crate) value: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CallbackProblemKind {
    GivenTwice,
    TooLong,
    NotBase64,
    NotJson,
    NoUrl,
    TooManyUrls,
    InvalidUrl,
    HostUnknown,
    PrivateAddress,
    NoBody,
    InvalidBody,
    UnknownBodyType,
    InvalidVariable,
}

impl CallbackProblemKind {
    /// The problem of this argument.
    pub(super) fn of(self, argument: &'static str, value: impl Into<String>) -> CallbackProblem {
        CallbackProblem { kind: self, argument, value: value.into() }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::GivenTwice => {
                "The callback is given in more than one of header, query string and form; give it in one."
            }
            Self::TooLong => "The callback parameter is longer than 5 KB.",
            Self::NotBase64 => "The callback parameter is not encoded in base64.",
            Self::NotJson => "The callback configuration is not json format.",
            Self::NoUrl => "The callback configuration has no callbackUrl.",
            Self::TooManyUrls => "The callbackUrl has more than 5 URLs.",
            Self::InvalidUrl => {
                "The callbackUrl is not an http or https URL with a host, which may not be an IPv6 address."
            }
            Self::HostUnknown => {
                "The host of the callbackUrl cannot be resolved to an IPv4 address."
            }
            Self::PrivateAddress => "Private address is forbidden to callback.",
            Self::NoBody => "The callback configuration has no callbackBody.",
            Self::InvalidBody => "The callbackBody has an unknown or malformed variable.",
            Self::UnknownBodyType => {
                "The callbackBodyType is neither application/x-www-form-urlencoded nor application/json."
            }
            Self::InvalidVariable => {
                "The names of callback-var begin with x: and are in lower case; the values are texts."
            }
        }
    }

    pub(crate) fn ec(self) -> Option<&'static str> {
        match self {
            Self::HostUnknown => Some("0007-00000007"),
            Self::PrivateAddress => Some("0007-00000008"),
            Self::GivenTwice
            | Self::TooLong
            | Self::NotBase64
            | Self::NotJson
            | Self::NoUrl
            | Self::TooManyUrls
            | Self::InvalidUrl
            | Self::NoBody
            | Self::InvalidBody
            | Self::UnknownBodyType
            | Self::InvalidVariable => None,
        }
    }
}
