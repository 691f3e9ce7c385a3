//! Fetches an issuer's keys. Time-outs and size limits bound the cost of a broken issuer.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use tokio::time::timeout;

use super::SignatureAlgorithm;
use super::address::KeyAddress;
use super::configured_keys::{ConfiguredKeys, JwksEndpoint};
use super::issuer::Issuer;
use super::json::from_object;
use super::jwks::{Jwks, KeyProblem, without_mark};
use crate::outbound::{self, BodyError, Egress, ProxyError};

/// For DNS, connection and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For one fetch as a whole, discovery included.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest response body that is read. Key sets have 1 to 20 KB.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Fetches the keys of one issuer for its configured algorithms.
#[derive(Debug)]
pub(super) struct Fetcher {
    http: reqwest::Client,
    egress: Egress,
    from: JwksEndpoint,
    /// `iss`, which a discovery document must repeat exactly.
    issuer: String,
    algorithms: Vec<SignatureAlgorithm>,
}

/// The TLS client cannot be set up, as in a container without CA certificates.
#[derive(Debug, thiserror::Error)]
#[error("the system's certificates cannot be used to verify the issuers of tokens")]
pub(crate) struct IssuerTlsError(#[source] reqwest::Error);

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchProblem {
    #[error(transparent)]
    Tls(#[from] IssuerTlsError),
    #[error(transparent)]
    Proxy(ProxyError),
    #[error("the issuer cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error(
        "TLS with the issuer failed: its certificate is not trusted, or its TLS version is not supported"
    )]
    Handshake(#[source] reqwest::Error),
    #[error("the issuer did not answer within {} seconds", FETCH_TIMEOUT.as_secs())]
    TimedOut,
    #[error(
        "the issuer answered with HTTP status {0}; it must be 200, and redirects are not followed"
    )]
    Status(u16),
    #[error("the issuer's answer is longer than {LONGEST_ANSWER} bytes")]
    TooLong,
    #[error("the discovery document is not one of OpenID Connect Discovery 1.0")]
    NoDescription(#[source] serde_json::Error),
    #[error("the discovery document's `issuer` is not exactly the configured issuer")]
    OtherIssuer,
    #[error("keys must not be fetched from the discovery document's `jwks_uri`")]
    KeysElsewhere,
    #[error("the issuer's keys cannot be used")]
    Jwks(#[source] KeyProblem),
}

impl FetchProblem {
    /// The label of the problem in metrics and logs.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Tls(_) | Self::Handshake(_) => "tls",
            Self::Proxy(error) => error.kind(),
            Self::Unreachable(_) => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Status(_) => "status",
            Self::TooLong => "too_long",
            Self::NoDescription(_) => "no_description",
            Self::OtherIssuer => "other_issuer",
            Self::KeysElsewhere => "keys_elsewhere",
            Self::Jwks(_) => "unusable_keys",
        }
    }
}

impl Issuer {
    /// Fetches the issuer's keys once, if they are fetched at all; for `appserver doctor`.
    pub(crate) async fn fetched_keys(&self, egress: &Egress) -> Result<Option<Jwks>, FetchProblem> {
        let ConfiguredKeys::Fetched(from, _) = &self.keys else { return Ok(None) };
        let (issuer, algorithms) = (self.name.clone(), self.algorithms.clone());
        let fetcher = Fetcher::new(from.clone(), issuer, algorithms, egress.clone())?;
        Ok(Some(fetcher.fetch().await?))
    }
}

impl Fetcher {
    pub(super) fn new(
        from: JwksEndpoint,
        issuer: String,
        algorithms: Vec<SignatureAlgorithm>,
        egress: Egress,
    ) -> Result<Self, IssuerTlsError> {
        let http = egress
            .client(from.address().is_encrypted())
            .connect_timeout(CONNECT_TIMEOUT)
            // The next fetch is minutes away; servers close idle connections sooner.
            .pool_max_idle_per_host(0);
        let http = http.build().map_err(IssuerTlsError)?;
        Ok(Self { http, egress, from, issuer, algorithms })
    }

    pub(super) fn address(&self) -> &KeyAddress {
        self.from.address()
    }

    /// Fetches the issuer's present keys.
    pub(super) async fn fetch(&self) -> Result<Jwks, FetchProblem> {
        timeout(FETCH_TIMEOUT, self.key_set()).await.unwrap_or(Err(FetchProblem::TimedOut))
    }

    async fn key_set(&self) -> Result<Jwks, FetchProblem> {
        let json = match &self.from {
            JwksEndpoint::KeySet(address) => self.get(address).await?,
            JwksEndpoint::Discovery(address) => {
                let description = self.get(address).await?;
                self.get(&named_by(&description, &self.issuer, address)?).await?
            }
        };
        Jwks::from_jwks(&json, &self.algorithms).map_err(FetchProblem::Jwks)
    }

    async fn get(&self, address: &KeyAddress) -> Result<Vec<u8>, FetchProblem> {
        let request = self.http.get(address.url().clone());
        let request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
        let response = request.send().await.map_err(|error| {
            self.egress.proxy_error(error).map_or_else(unreachable, FetchProblem::Proxy)
        })?;
        match response.status().as_u16() {
            200 => read(response).await,
            other => Err(FetchProblem::Status(other)),
        }
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, FetchProblem> {
    outbound::read_body(&mut response, LONGEST_ANSWER).await.map_err(|error| match error {
        BodyError::TooLong(_) => FetchProblem::TooLong,
        BodyError::Broken(error) => unreachable(error),
    })
}

/// The `jwks_uri` of the discovery document, if the document is the issuer's own (OpenID Connect Discovery 1.0
/// §4.3).
pub(super) fn named_by(
    json: &[u8],
    issuer: &str,
    address: &KeyAddress,
) -> Result<KeyAddress, FetchProblem> {
    #[derive(Deserialize)]
    struct Description {
        issuer: String,
        jwks_uri: String,
    }
    let description: Description =
        from_object(without_mark(json)).map_err(FetchProblem::NoDescription)?;
    if description.issuer != issuer {
        return Err(FetchProblem::OtherIssuer);
    }
    address.named_by_this(&description.jwks_uri).ok_or(FetchProblem::KeysElsewhere)
}

/// Without the URL: its query may contain secrets.
fn unreachable(error: reqwest::Error) -> FetchProblem {
    let error = error.without_url();
    if error.source().is_some_and(is_of_tls) {
        FetchProblem::Handshake(error)
    } else {
        FetchProblem::Unreachable(error)
    }
}

/// Whether a TLS error is among the causes.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // `io::Error::source` skips the error that it wraps.
    let cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(carried) => Some(carried as &(dyn Error + 'static)),
        None => error.source(),
    };
    cause.is_some_and(is_of_tls)
}
