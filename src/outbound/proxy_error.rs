//! Why the proxy made no connection, told apart from errors of the target behind it.

use std::error::Error;

use super::proxy::ProxyAddress;

/// Why there is no connection through the proxy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    /// It does not accept connections, does not answer in time or breaks off before it answers.
    #[error("the proxy {proxy} cannot be reached, or makes no connection in time")]
    Unreachable { proxy: ProxyAddress, source: reqwest::Error },
    /// HTTP status 407.
    #[error("the proxy {proxy} asks for another user or password (`proxy_user_file`)")]
    Authentication { proxy: ProxyAddress },
    /// Another status than 200, or no HTTP.
    #[error("the proxy {proxy} refuses to connect to this host")]
    Refused { proxy: ProxyAddress },
}

/// Every label of a proxy's error in metrics and logs.
pub(crate) const PROXY_ERROR_KINDS: [&str; 3] =
    ["proxy_unreachable", "proxy_auth", "proxy_refused"];

impl ProxyError {
    /// The label of the error in metrics and logs.
    pub(crate) fn kind(&self) -> &'static str {
        let [unreachable, auth, refused] = PROXY_ERROR_KINDS;
        match self {
            Self::Unreachable { .. } => unreachable,
            Self::Authentication { .. } => auth,
            Self::Refused { .. } => refused,
        }
    }

    /// What the operator should do.
    pub(crate) fn fix(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check the address in `egress.proxy` (or in the target's own table where it has one, such as \
                 `egress.sts.proxy`), and whether the proxy accepts connections from here; a target that is reached without \
                 it belongs in `no_proxy` of that table, such as `egress.no_proxy`"
            }
            Self::Authentication { .. } => {
                "write the proxy's `user:password` into a mounted file, name it in `egress.proxy_user_file` (or in the \
                 target's own table where that names the proxy, such as `egress.sts.proxy_user_file`) and restart"
            }
            Self::Refused { .. } => {
                "let the proxy connect to this host and port (its log has the reason), or name the host in `egress.no_proxy` \
                 (or in the target's own table where it has `no_proxy`) if it is reached directly"
            }
        }
    }

    /// The error of a request through the proxy, if the proxy caused it; otherwise the unchanged error.
    pub(super) fn of(error: reqwest::Error, proxy: &ProxyAddress) -> Result<Self, reqwest::Error> {
        let proxy = proxy.clone();
        match tunnel_failure(&error) {
            Some(TunnelFailure::Authentication) => Ok(Self::Authentication { proxy }),
            Some(TunnelFailure::Refused) => Ok(Self::Refused { proxy }),
            Some(TunnelFailure::Unreachable) => {
                Ok(Self::Unreachable { proxy, source: error.without_url() })
            }
            // Connection, CONNECT and TLS have one time limit. Whichever took too long, it was behind the proxy.
            None if error.is_connect() && error.is_timeout() => {
                Ok(Self::Unreachable { proxy, source: error.without_url() })
            }
            None => Err(error),
        }
    }
}

enum TunnelFailure {
    Unreachable,
    Authentication,
    Refused,
}

/// The failure of CONNECT among the causes. hyper-util does not export the type of this error, so that its text is read;
/// `tests/it/egress.rs` fails if another version words it differently.
fn tunnel_failure(error: &reqwest::Error) -> Option<TunnelFailure> {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let mut texts = causes.map(ToString::to_string);
    let text = texts.find_map(|text| Some(text.strip_prefix("tunnel error: ")?.to_owned()))?;
    Some(match text.as_str() {
        "proxy authorization required" => TunnelFailure::Authentication,
        "failed to create underlying connection"
        | "io error establishing tunnel"
        | "unexpected end of file" => TunnelFailure::Unreachable,
        _ => TunnelFailure::Refused,
    })
}
