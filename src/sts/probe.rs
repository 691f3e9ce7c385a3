//! Probes an endpoint step by step: DNS, connection, TLS and a response.
//!
//! For `appserver doctor`. A call reports less, and fails over from a broken endpoint.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::client::{self, StsSettings, TlsProblem};
use super::endpoint::Endpoint;
use super::response_body::ResponseBody;
use super::sts_clock;
use crate::outbound::{Egress, ProxyAddress, ProxyError};

/// The response of an endpoint to an unsigned request.
#[derive(Debug)]
pub(crate) struct ProbeResult {
    pub(crate) route: ProbeRoute,
    /// The time of its clock.
    pub(crate) shows: Option<DateTime<Utc>>,
    /// Whether Alibaba's gateway answered, and not a proxy or another server.
    pub(crate) is_an_api: bool,
}

/// How the endpoint was reached.
#[derive(Debug)]
pub(crate) enum ProbeRoute {
    /// The first of its addresses that accepted a connection.
    Direct(SocketAddr),
    /// The proxy resolved its name.
    Proxy(ProxyAddress),
}

/// The step that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("its name is not known")]
    Name(#[source] io::Error),
    #[error("it takes no connection")]
    Connection(#[source] io::Error),
    #[error(transparent)]
    Proxy(ProxyError),
    #[error(transparent)]
    Certificates(#[from] TlsProblem),
    #[error("the port speaks no TLS")]
    NotTls(#[source] reqwest::Error),
    #[error("TLS fails")]
    Tls(#[source] reqwest::Error),
    #[error("it breaks off without an answer")]
    Http(#[source] reqwest::Error),
    #[error("{0} takes longer than {1:?}")]
    Slow(&'static str, Duration),
}

/// Sends an unsigned GetCallerIdentity, which STS refuses in its own format.
pub(crate) async fn probe(
    endpoint: &Endpoint,
    settings: &StsSettings,
    egress: &Egress,
) -> Result<ProbeResult, ProbeError> {
    let (connect, attempt) = (settings.connect_timeout, settings.attempt_timeout);
    let url = endpoint.url();
    let route = match egress.proxy_for(url) {
        Some(proxy) => ProbeRoute::Proxy(proxy.clone()),
        None => ProbeRoute::Direct(connected(endpoint, connect).await?),
    };
    let http = client::http(egress, connect, endpoint.is_encrypted())?;
    let mut asked = url.clone();
    asked.set_query(Some("Action=GetCallerIdentity&Format=JSON&Version=2015-04-01"));
    let exchange = async {
        let mut response = http.get(asked).send().await?;
        let shows = sts_clock::date_header(response.headers());
        // A broken body is ignored: the time is known.
        let body = client::read(&mut response).await.unwrap_or_default();
        let is_an_api =
            ResponseBody::parse(&body).is_ok_and(|answer| answer.request_id().is_some());
        Ok(ProbeResult { route, shows, is_an_api })
    };
    let answer = timeout(attempt, exchange).await;
    answer.map_err(|_| ProbeError::Slow("its answer", attempt))?.map_err(|error: reqwest::Error| {
        match egress.proxy_error(error) {
            Ok(error) => ProbeError::Proxy(error),
            // A connection just succeeded, or the proxy made one, so a failure to connect is one of TLS.
            Err(error) if error.is_connect() && endpoint.is_encrypted() => {
                let error = error.without_url();
                if is_not_tls(&error) { ProbeError::NotTls(error) } else { ProbeError::Tls(error) }
            }
            Err(error) => ProbeError::Http(error.without_url()),
        }
    })
}

/// Whether the server answered in another protocol. rustls is below several layers, so that the text is read; a test fails if
/// another version words it differently.
fn is_not_tls(error: &reqwest::Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| cause.to_string().contains("received corrupt message"))
}

/// The first address of the endpoint that accepts a connection.
async fn connected(endpoint: &Endpoint, limit: Duration) -> Result<SocketAddr, ProbeError> {
    let port = endpoint.url().port_or_known_default().expect("both schemes have a port");
    let host = endpoint.host().trim_matches(['[', ']']);
    let addresses = timeout(limit, lookup_host((host, port))).await;
    let addresses: Vec<_> = addresses
        .map_err(|_| ProbeError::Slow("looking up its name", limit))?
        .map_err(ProbeError::Name)?
        .collect();
    let connected = timeout(limit, TcpStream::connect(&*addresses)).await;
    connected
        .map_err(|_| ProbeError::Slow("connecting to it", limit))?
        .and_then(|stream| stream.peer_addr())
        .map_err(ProbeError::Connection)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::sts::scripted::{Reply, Scripted};

    async fn probed(url: &str) -> Result<ProbeResult, ProbeError> {
        let endpoint = Endpoint::try_from(url.to_owned()).unwrap();
        let settings = StsSettings {
            upstream: appserver_domain::UpstreamName::default(),
            endpoints: endpoint.clone().into(),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(5),
            max_attempts: NonZeroU32::MIN,
        };
        probe(&endpoint, &settings, &Egress::default()).await
    }

    #[tokio::test]
    async fn a_probe_reports_the_time_and_whether_sts_answered() {
        for (body, is_an_api) in
            [(r#"{"Code":"MissingAccessKeyId","RequestId":"1-A"}"#, true), ("<html>", false)]
        {
            let server = Scripted::start(move |_, _| {
                let head = "HTTP/1.1 400 X\r\nDate: Wed, 13 Jan 2016 14:02:37 GMT";
                Reply::Answer(head.into(), body.into())
            })
            .await;
            let seen = probed(server.endpoint().url().as_str()).await.unwrap();
            assert_eq!(seen.shows, Some("2016-01-13T14:02:37Z".parse().unwrap()));
            assert_eq!(seen.is_an_api, is_an_api, "{body}");
        }
    }

    #[tokio::test]
    async fn tls_to_a_port_without_tls_is_named() {
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", plain.local_addr().unwrap());
        tokio::spawn(async move {
            // Held open: a reset could overtake the answer.
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = plain.accept().await {
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
                open.push(stream);
            }
        });
        let error = probed(&url).await.unwrap_err();
        assert_eq!(error.to_string(), "the port speaks no TLS");
    }

    #[tokio::test]
    async fn a_probe_error_names_the_failed_step() {
        let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused = probed(&format!("http://{deaf}")).await.unwrap_err();
        assert!(matches!(refused, ProbeError::Connection(_)), "{refused:?}");

        let rude = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = rude.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = rude.accept().await {
                drop(stream);
            }
        });
        let cut = probed(&format!("http://{address}")).await.unwrap_err();
        assert!(matches!(cut, ProbeError::Http(_)), "{cut:?}");
    }
}
