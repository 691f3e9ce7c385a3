//! Outgoing HTTP: the only place that builds clients. Also reads response bodies up to a limit, and signs bodies.

mod body_signature;
mod egress;
mod no_proxy;
mod proxy;
mod proxy_error;
mod secure_url;

use reqwest::{Client, ClientBuilder, Response};

pub(crate) use body_signature::{BODY_SIGNATURE, body_signature};
pub(crate) use egress::{Egress, EgressByTarget, certificates};
pub(crate) use no_proxy::NoProxyEntry;
pub(crate) use proxy::{Proxy, ProxyAddress, authorization};
pub(crate) use proxy_error::{PROXY_ERROR_KINDS, ProxyError};
pub(crate) use secure_url::SecureUrl;

/// A builder of clients that send a request to the host of its URL and to no other, and send it once: it ignores
/// `HTTP_PROXY`, follows no redirect and does not retry by itself, since requests carry signatures, keys or nonces.
///
/// For targets that a proxy must never see, such as this machine and instance metadata; [`Egress::client`] is for all
/// others.
///
/// `verifies_tls` is whether any URL is `https`. Without one the system's certificates are neither needed nor loaded; a
/// container may have none.
pub(crate) fn client(verifies_tls: bool) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("AppServer/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    if verifies_tls { builder } else { builder.tls_certs_only([]) }
}

/// Why a response body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
}

/// The whole body if it has at most `limit` bytes, whatever length it declares: nothing beyond the limit is kept.
pub(crate) async fn read_body(response: &mut Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLong(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
