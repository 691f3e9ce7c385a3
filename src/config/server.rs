//! `[server]`, resolved.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use super::field::{Field, List};
use super::problems::{Problem, Problems};
use super::raw::RawServer;
use super::resolve::number;
use super::tls::TlsSource;
use crate::http::Cors;
use crate::server::{ForwardedHeader, Proxies, ServerSettings, TrustedNetwork};

/// The public listener.
pub(super) struct ResolvedServer {
    /// Connections that may wait to be accepted.
    pub(super) listen_backlog: u32,
    pub(super) settings: ServerSettings,
    pub(super) request_timeout: Duration,
    /// How long it lingers once it is to stop.
    pub(super) lame_duck: Duration,
    pub(super) proxies: Proxies,
    pub(super) cors: Cors,
    pub(super) advice: Option<Problem>,
    /// Whether a request's address is its caller's: that of its connection, unless a proxy made that and tells nobody.
    pub(super) knows_addresses: bool,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ListenAddress(pub(super) SocketAddr);

impl TryFrom<String> for ListenAddress {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self).map_err(|_| {
            "it must be an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`"
        })
    }
}

/// All but the address and TLS, which are looked at first.
pub(super) fn resolve(
    raw: RawServer,
    listen: Option<SocketAddr>,
    tls: Option<&Option<TlsSource>>,
    problems: &mut Problems,
) -> Option<ResolvedServer> {
    let behind_proxy = problems.require("server.behind_proxy", raw.behind_proxy);
    if let (Some(listen), Some(false), Some(None)) = (listen, behind_proxy, tls)
        && !is_loopback(listen.ip())
    {
        problems.add_absence(
            "server.listen",
            "plain HTTP leaves this machine: listen on loopback, name a certificate in `[server.tls]`, or set \
             `server.behind_proxy = true` where someone else ends TLS in front of AppServer",
        );
    }
    let max_connections = number(
        problems,
        "server.max_connections",
        raw.max_connections,
        1,
        1_000_000,
        "connections",
    );
    let max_per_address = number(
        problems,
        "server.max_connections_per_address",
        raw.max_connections_per_address,
        0,
        1_000_000,
        "connections",
    );
    let max_memory = number(
        problems,
        "server.max_connection_memory_bytes",
        raw.max_connection_memory_bytes,
        1 << 20,
        1 << 40,
        "bytes",
    );
    let listen_backlog =
        number(problems, "server.listen_backlog", raw.listen_backlog, 1, 65_535, "connections");
    let max_streams =
        number(problems, "server.max_streams", raw.max_streams, 1, 10_000, "requests");
    let mut millis = |key: &str, field, least, most| {
        number(problems, key, field, least, most, "milliseconds").map(Duration::from_millis)
    };
    let header_timeout = millis("server.header_timeout_ms", raw.header_timeout_ms, 100, 600_000);
    let idle_timeout = millis("server.idle_timeout_ms", raw.idle_timeout_ms, 100, 3_600_000);
    let unauthenticated_idle_timeout = millis(
        "server.unauthenticated_idle_timeout_ms",
        raw.unauthenticated_idle_timeout_ms,
        100,
        3_600_000,
    );
    let request_timeout = millis("server.request_timeout_ms", raw.request_timeout_ms, 100, 600_000);
    let lame_duck = millis("server.lame_duck_ms", raw.lame_duck_ms, 0, 600_000);
    let drain_timeout = millis("server.drain_timeout_ms", raw.drain_timeout_ms, 0, 3_600_000);
    let proxy_protocol = problems.require("server.proxy_protocol", raw.proxy_protocol);
    let is_told =
        matches!(&raw.forwarded_header, Field::Given(header) if *header != ForwardedHeader::None);
    let believed = (raw.trusted_proxies, raw.forwarded_header);
    let proxies = proxies(believed, proxy_protocol, problems);
    let origins = problems.require("server.cors_origins", raw.cors_origins);
    // Behind a proxy that does not say whose each connection is, all have its address.
    let knows_addresses = !behind_proxy? || proxy_protocol?;
    let settings = ServerSettings {
        max_connections: max_connections?,
        max_connections_per_address: max_per_address
            .map(|most| Some(most).filter(|most| knows_addresses && *most > 0))?,
        max_connection_memory: usize::try_from(max_memory?).unwrap_or(usize::MAX),
        max_streams: max_streams?,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
        unauthenticated_idle_timeout: unauthenticated_idle_timeout?,
        drain_timeout: drain_timeout?,
        proxy_protocol: proxy_protocol?,
        knows_addresses,
    };
    let (proxies, advice) = proxies?;
    Some(ResolvedServer {
        listen_backlog: listen_backlog?,
        settings,
        request_timeout: request_timeout?,
        lame_duck: lame_duck?,
        proxies,
        cors: origins.map(|List(origins)| Cors::new(origins))?,
        advice,
        knows_addresses: knows_addresses || is_told,
    })
}

fn proxies(
    (trusted, header): (Field<List<TrustedNetwork>>, Field<ForwardedHeader>),
    proxy_protocol: Option<bool>,
    problems: &mut Problems,
) -> Option<(Proxies, Option<Problem>)> {
    let trusted = problems.require("server.trusted_proxies", trusted);
    let header = problems.require("server.forwarded_header", header);
    let nobody = trusted.as_ref().is_some_and(|List(trusted)| trusted.is_empty());
    for (key, set) in [
        ("server.forwarded_header", header.is_some_and(|header| header != ForwardedHeader::None)),
        ("server.proxy_protocol", proxy_protocol == Some(true)),
    ] {
        if set && nobody {
            problems.add_absence(
                key,
                "nobody is believed: name the networks that your proxies call from in `server.trusted_proxies`",
            );
        }
    }
    let (List(trusted), header, proxy_protocol) = (trusted?, header?, proxy_protocol?);
    let mut advice = None;
    if !trusted.is_empty() && header == ForwardedHeader::None && !proxy_protocol {
        advice = Some(Problem {
            path: "server.trusted_proxies".to_owned(),
            message: "they are trusted with nothing, and all callers have their addresses: set \
                      `server.forwarded_header` or `server.proxy_protocol`"
                .to_owned(),
        });
    }
    Some((Proxies::new(trusted, header), advice))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
