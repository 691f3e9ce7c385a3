//! Why a server does not start.

use std::io;
use std::net::SocketAddr;

use crate::config::Problems;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use or not available on this machine.
    #[error("cannot listen on {address} ({key})")]
    Listen {
        /// The configuration's key for the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The AccessKey or another secret cannot be read.
    #[error(transparent)]
    Secrets(#[from] Problems),
    /// The store cannot be used, and a retry would not help.
    #[error("the store cannot be used")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system's CA certificates cannot be loaded, so STS cannot be authenticated.
    #[error("TLS to STS cannot be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same for the source of the credentials that sign.
    #[error("TLS to the source of credentials cannot be set up (`sts.identity`)")]
    IdentityTls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same for the issuers of JWTs.
    #[error("TLS to the issuers cannot be set up")]
    IssuersTls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same for OSS and the backends of uploads.
    #[error("TLS for callbacks of uploads cannot be set up")]
    UploadsTls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same for the decision hook.
    #[error("TLS to the decision hook cannot be set up")]
    DecisionTls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same for the collector of traces.
    #[error("TLS to the trace collector cannot be set up")]
    Tracing(#[source] Box<dyn std::error::Error + Send + Sync>),
}
