//! What never leaves this machine.

use std::net::IpAddr;

/// Whether the host of a URL is this machine: plain HTTP is admitted there, and nowhere else.
pub fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}
