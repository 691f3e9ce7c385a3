//! Recognises loopback hosts.

use std::net::IpAddr;

/// Whether the host of a URL is this machine. Plain HTTP is allowed to such hosts only.
pub fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}
