//! Why a callback failed after the object was stored.

use std::time::Duration;

/// The failure of the last URL. The answer is 203 `CallbackFailed`, and the object stays stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum CallbackFailure {
    /// The server answered with another status than 200; 502 stands for a connection without a valid answer.
    Status(u16),
    Unreachable,
    TimedOut {
        server: String,
        timeout: Duration,
    },
    NoContentLength,
    EmptyBody,
    LongBody,
    NotJson,
    /// The callback's body has the size of the image, which cannot be read.
    UnreadableImage,
}

impl CallbackFailure {
    pub(crate) fn message(&self) -> String {
        let of_length =
            |what: &str| format!("Error status : 400. User server {what} content-length value.");
        match self {
            Self::Status(status) => format!("Error status : {status}."),
            Self::Unreachable => {
                "Error status : -1. OSS can not connect to your callbackUrl, please check it."
                    .to_owned()
            }
            Self::TimedOut { server, timeout } => {
                let millis = timeout.as_millis();
                format!(
                    "Error status : -1 {server} reply timeout, cost:{millis}ms, timeout:{millis}ms."
                )
            }
            Self::NoContentLength => {
                "Error status : 400. User server missing content-length.".to_owned()
            }
            Self::EmptyBody => of_length("return invalid"),
            Self::LongBody => of_length("return too long"),
            Self::NotJson => "Response body is not valid json format.".to_owned(),
            Self::UnreadableImage => "Get image info failed".to_owned(),
        }
    }

    pub(crate) fn ec(&self) -> Option<&'static str> {
        match self {
            Self::NotJson => Some("0007-00000205"),
            Self::Status(_)
            | Self::Unreachable
            | Self::TimedOut { .. }
            | Self::NoContentLength
            | Self::EmptyBody
            | Self::LongBody
            | Self::UnreadableImage => None,
        }
    }
}
