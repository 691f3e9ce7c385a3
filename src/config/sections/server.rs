//! `[server]`, resolved.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use super::admin::ListenAddress;
use super::tls::{RawTls, TlsSource};
use crate::config::bounds::number;
use crate::config::field::{Field, List};
use crate::config::problems::{Problem, Problems};
use crate::http::{Cors, Origin};
use crate::server::{ForwardedHeader, ServerSettings, TrustedNetwork, TrustedProxies};

/// The public listener.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawServer {
    /// Default 127.0.0.1:8080. Beyond loopback only with TLS or `behind_proxy`.
    pub(crate) listen: Field<ListenAddress>,
    /// Default false. Says that someone else ends TLS in front of this listener.
    pub(crate) behind_proxy: Field<bool>,
    /// Where callers reach it, such as `https://vend.example.com`. Tickets' URLs begin with it.
    pub(crate) public_url: Field<String>,
    /// Default 10000. For one beyond it an idle one without an authenticated caller is closed; without one it is refused.
    pub(crate) max_connections: Field<usize>,
    /// Default 1000, 0 for no bound. The same for each address, or /64 of IPv6; not behind a proxy that hides it.
    pub(crate) max_connections_per_address: Field<usize>,
    /// Bytes, default 512 MiB. The same for what connections are reckoned to take.
    pub(crate) max_connection_memory_bytes: Field<u64>,
    /// Default 4096. Connections beyond it that wait to be accepted are not seen, and their callers try again.
    pub(crate) listen_backlog: Field<u32>,
    /// Default 128, of one HTTP/2 connection. A request beyond it waits.
    pub(crate) max_streams: Field<u32>,
    /// Milliseconds, default 10000. Then the connection is closed.
    pub(crate) header_timeout_ms: Field<u64>,
    /// Milliseconds, default 75000. Then the connection is closed.
    pub(crate) idle_timeout_ms: Field<u64>,
    /// Milliseconds, default 5000. The same while nobody has authenticated on the connection.
    pub(crate) unauthenticated_idle_timeout_ms: Field<u64>,
    /// Milliseconds, default 15000. Then the answer is 408 or 503.
    pub(crate) request_timeout_ms: Field<u64>,
    /// Milliseconds, default 3000. How long SIGTERM only turns `/readyz` before new connections are refused.
    pub(crate) lame_duck_ms: Field<u64>,
    /// Milliseconds, default 5000. Then connections are cut.
    pub(crate) drain_timeout_ms: Field<u64>,
    pub(crate) tls: RawTls,
    /// Networks, default none. Nobody else's word for a caller's address is taken.
    pub(crate) trusted_proxies: Field<List<TrustedNetwork>>,
    /// `none` (default), `x-forwarded-for` or `forwarded`.
    pub(crate) forwarded_header: Field<ForwardedHeader>,
    /// Default false. Connections begin with a PROXY header; then one without it is closed.
    pub(crate) proxy_protocol: Field<bool>,
    /// Web origins, default none. Pages from elsewhere cannot read answers.
    pub(crate) cors_origins: Field<List<Origin>>,
}

/// The public listener.
pub(crate) struct ResolvedServer {
    /// Connections that may wait to be accepted.
    pub(crate) listen_backlog: u32,
    pub(crate) settings: ServerSettings,
    pub(crate) request_timeout: Duration,
    /// How long it lingers once it is to stop.
    pub(crate) lame_duck: Duration,
    pub(crate) proxies: TrustedProxies,
    pub(crate) cors: Cors,
    pub(crate) warnings: Option<Problem>,
    /// Whether a request's address is its caller's: that of its connection, unless a proxy made that and tells nobody.
    pub(crate) knows_addresses: bool,
}

/// All but the address and TLS, which are looked at first.
pub(crate) fn resolve(
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
    let (proxies, warnings) = proxies?;
    Some(ResolvedServer {
        listen_backlog: listen_backlog?,
        settings,
        request_timeout: request_timeout?,
        lame_duck: lame_duck?,
        proxies,
        cors: origins.map(|List(origins)| Cors::new(origins))?,
        warnings,
        knows_addresses: knows_addresses || is_told,
    })
}

fn proxies(
    (trusted, header): (Field<List<TrustedNetwork>>, Field<ForwardedHeader>),
    proxy_protocol: Option<bool>,
    problems: &mut Problems,
) -> Option<(TrustedProxies, Option<Problem>)> {
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
                "it has no effect without trusted proxies: list the networks of your proxies in `server.trusted_proxies`",
            );
        }
    }
    let (List(trusted), header, proxy_protocol) = (trusted?, header?, proxy_protocol?);
    let mut warnings = None;
    if !trusted.is_empty() && header == ForwardedHeader::None && !proxy_protocol {
        warnings = Some(Problem {
            path: "server.trusted_proxies".to_owned(),
            message: "they are trusted with nothing, and all callers have their addresses: set \
                      `server.forwarded_header` or `server.proxy_protocol`"
                .to_owned(),
        });
    }
    Some((TrustedProxies::new(trusted, header), warnings))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
