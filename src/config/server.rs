//! `[server]`, resolved.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::problems::Problems;
use super::raw::RawServer;
use super::resolve::number;
use crate::http::ServerSettings;

/// The public listener: its address, its bounds, its requests' time-out, and how long it lingers.
pub(super) fn resolve(
    raw: RawServer,
    problems: &mut Problems,
) -> Option<(SocketAddr, ServerSettings, Duration, Duration)> {
    let listen = problems.require("server.listen", raw.listen);
    let behind_proxy = problems.require("server.behind_proxy", raw.behind_proxy);
    if let (Some(listen), Some(false)) = (listen, behind_proxy)
        && !is_loopback(listen.ip())
    {
        problems.add(
            "server.listen",
            "plain HTTP leaves this machine: listen on loopback, or set `server.behind_proxy = true` where \
             someone else ends TLS in front of AppServer",
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
    let mut millis = |key: &str, field, least, most| {
        number(problems, key, field, least, most, "milliseconds").map(Duration::from_millis)
    };
    let header_timeout = millis("server.header_timeout_ms", raw.header_timeout_ms, 100, 600_000);
    let idle_timeout = millis("server.idle_timeout_ms", raw.idle_timeout_ms, 100, 3_600_000);
    let request_timeout = millis("server.request_timeout_ms", raw.request_timeout_ms, 100, 600_000);
    let lame_duck = millis("server.lame_duck_ms", raw.lame_duck_ms, 0, 600_000);
    let drain_timeout = millis("server.drain_timeout_ms", raw.drain_timeout_ms, 0, 3_600_000);
    let settings = ServerSettings {
        max_connections: max_connections?,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
        drain_timeout: drain_timeout?,
    };
    Some((listen?, settings, request_timeout?, lame_duck?))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
