//! `[server]`: the public listener.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use super::admin::ListenAddress;
use super::tls::{RawTls, TlsSource};
use crate::config::bounds::{Bounded, Bytes, Connections, Millis, Requests};
use crate::config::field::{Clearable, Field, List};
use crate::config::problems::{Problem, Problems};
use crate::http::{Cors, Origin, PublicUrl};
use crate::server::{ForwardedHeader, ServerSettings, TrustedNetwork, TrustedProxies};

#[derive(Debug, Deserialize)]
pub(crate) struct RawServer {
    /// Default 127.0.0.1:8080. Beyond loopback only with TLS or `behind_proxy`.
    pub(crate) listen: Field<ListenAddress>,
    /// Default false. A proxy in front of this listener terminates TLS.
    behind_proxy: Field<bool>,
    /// Where callers reach it, such as `https://vend.example.com`. Tickets' URLs begin with it.
    pub(crate) public_url: Field<Clearable<PublicUrl>>,
    /// Default 10000. Beyond it an idle connection without an authenticated caller is closed; if there is none, the new one.
    max_connections: Field<Bounded<Connections, 1, 1_000_000>>,
    /// Default 1000, 0 for no limit. The same for each address, or /64 of IPv6; not behind a proxy that hides addresses.
    max_connections_per_address: Field<Bounded<Connections, 0, 1_000_000>>,
    /// Default 512 MiB. The same for the memory that connections are estimated to use.
    max_connection_memory_bytes: Field<Bounded<Bytes, { 1 << 20 }, { 1 << 40 }>>,
    /// Default 4096. Connections that may wait to be accepted.
    listen_backlog: Field<Bounded<Connections, 1, 65_535>>,
    /// Default 128. Requests of one HTTP/2 connection that are processed at once; one beyond it waits.
    max_streams: Field<Bounded<Requests, 1, 10_000>>,
    /// Default 10000. Then the connection is closed.
    header_timeout_ms: Field<Millis<100, 600_000>>,
    /// Default 75000. Then the connection is closed.
    idle_timeout_ms: Field<Millis<100, 3_600_000>>,
    /// Default 5000. The same until a caller has authenticated on the connection.
    unauthenticated_idle_timeout_ms: Field<Millis<100, 3_600_000>>,
    /// Default 15000. Then the answer is 408 or 503.
    request_timeout_ms: Field<Millis<100, 600_000>>,
    /// Default 3000. After SIGTERM, how long `/readyz` says 503 before new connections are refused.
    lame_duck_ms: Field<Millis<0, 600_000>>,
    /// Default 5000. Then connections are closed.
    drain_timeout_ms: Field<Millis<0, 3_600_000>>,
    pub(crate) tls: RawTls,
    /// Networks, default none. Only these may name a caller's address.
    trusted_proxies: Field<List<TrustedNetwork>>,
    /// `none` (default), `x-forwarded-for` or `forwarded`.
    forwarded_header: Field<ForwardedHeader>,
    /// Default false. Connections begin with a PROXY header; one without it is closed.
    proxy_protocol: Field<bool>,
    /// Web origins, default none. Only their pages may read answers.
    cors_origins: Field<List<Origin>>,
}

pub(crate) struct ResolvedServer {
    /// Connections that may wait to be accepted.
    pub(crate) listen_backlog: u32,
    pub(crate) settings: ServerSettings,
    pub(crate) request_timeout: Duration,
    /// From SIGTERM to the first refused connection.
    pub(crate) lame_duck: Duration,
    pub(crate) proxies: TrustedProxies,
    pub(crate) cors: Cors,
    pub(crate) warning: Option<Problem>,
    /// Whether callers' addresses are known: they are not behind a proxy that does not pass them on.
    pub(crate) knows_addresses: bool,
}

/// All but the address, the URL and TLS, which are resolved before.
pub(crate) fn resolve(
    raw: RawServer,
    listen: Option<SocketAddr>,
    tls: Option<&Option<TlsSource>>,
    problems: &mut Problems,
) -> Option<ResolvedServer> {
    let behind_proxy = problems.require(raw.behind_proxy);
    if let (Some(listen), Some(false), Some(None)) = (listen, behind_proxy, tls)
        && !is_loopback(listen.ip())
    {
        problems.add_absence(
            "server.listen",
            "plain HTTP leaves this machine: listen on loopback, name a certificate in `[server.tls]`, or set \
             `server.behind_proxy = true` where a proxy in front of AppServer terminates TLS",
        );
    }
    let max_connections = problems.require(raw.max_connections);
    let max_per_address = problems.require(raw.max_connections_per_address);
    let max_memory = problems.require(raw.max_connection_memory_bytes);
    let listen_backlog = problems.require(raw.listen_backlog);
    let max_streams = problems.require(raw.max_streams);
    let header_timeout = problems.require(raw.header_timeout_ms);
    let idle_timeout = problems.require(raw.idle_timeout_ms);
    let unauthenticated_idle_timeout = problems.require(raw.unauthenticated_idle_timeout_ms);
    let request_timeout = problems.require(raw.request_timeout_ms);
    let lame_duck = problems.require(raw.lame_duck_ms);
    let drain_timeout = problems.require(raw.drain_timeout_ms);
    let proxy_protocol = problems.require(raw.proxy_protocol);
    let header_names_callers =
        raw.forwarded_header.given().is_some_and(|header| *header != ForwardedHeader::None);
    let trusts_none = raw.trusted_proxies.given().is_none_or(|List(trusted)| trusted.is_empty());
    let trusted = (raw.trusted_proxies, raw.forwarded_header);
    let proxies = proxies(trusted, proxy_protocol, problems);
    let origins = problems.require(raw.cors_origins);
    // Behind a proxy without the PROXY protocol, all connections have the proxy's address.
    let knows_peers = !behind_proxy? || proxy_protocol?;
    let max_per_address: usize = max_per_address?.get();
    let settings = ServerSettings {
        max_connections: max_connections?.get(),
        max_connections_per_address: Some(max_per_address).filter(|most| knows_peers && *most > 0),
        max_connection_memory: usize::try_from(max_memory?.get::<u64>()).unwrap_or(usize::MAX),
        max_streams: max_streams?.get(),
        header_timeout: header_timeout?.into(),
        idle_timeout: idle_timeout?.into(),
        unauthenticated_idle_timeout: unauthenticated_idle_timeout?.into(),
        drain_timeout: drain_timeout?.into(),
        proxy_protocol: proxy_protocol?,
        knows_addresses: knows_peers,
    };
    let (proxies, warning) = proxies?;
    let hides_callers = behind_proxy == Some(true) && trusts_none;
    let warning = warning.or_else(|| hides_callers.then(|| Problem {
        path: "server.behind_proxy".to_owned(),
        message: "all callers have the proxy's address, in limits, the log and the audit: list its networks in \
                  `server.trusted_proxies`, and set `server.forwarded_header` or `server.proxy_protocol`"
            .to_owned(),
    }));
    Some(ResolvedServer {
        listen_backlog: listen_backlog?.get(),
        settings,
        request_timeout: request_timeout?.into(),
        lame_duck: lame_duck?.into(),
        proxies,
        cors: origins.map(|List(origins)| Cors::new(origins))?,
        warning,
        knows_addresses: knows_peers || header_names_callers,
    })
}

fn proxies(
    (trusted, header): (Field<List<TrustedNetwork>>, Field<ForwardedHeader>),
    proxy_protocol: Option<bool>,
    problems: &mut Problems,
) -> Option<(TrustedProxies, Option<Problem>)> {
    let trusted = problems.require(trusted);
    let header = problems.require(header);
    let trusts_none = trusted.as_ref().is_some_and(|List(trusted)| trusted.is_empty());
    for (key, set) in [
        ("server.forwarded_header", header.is_some_and(|header| header != ForwardedHeader::None)),
        ("server.proxy_protocol", proxy_protocol == Some(true)),
    ] {
        if set && trusts_none {
            problems.add_absence(
                key,
                "it has no effect without trusted proxies: list the networks of your proxies in `server.trusted_proxies`",
            );
        }
    }
    let (List(trusted), header, proxy_protocol) = (trusted?, header?, proxy_protocol?);
    let mut warning = None;
    if !trusted.is_empty() && header == ForwardedHeader::None && !proxy_protocol {
        warning = Some(Problem {
            path: "server.trusted_proxies".to_owned(),
            message: "nothing is read from them, so all callers have the proxies' addresses: set \
                      `server.forwarded_header` or `server.proxy_protocol`"
                .to_owned(),
        });
    }
    Some((TrustedProxies::new(trusted, header), warning))
}

pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
