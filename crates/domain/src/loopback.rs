//! Recognises loopback hosts.

use std::net::IpAddr;

/// Whether the host of a URL is this machine. Plain HTTP is allowed to such hosts only.
pub fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_host_is_localhost_or_an_address_in_any_notation() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1", "[::ffff:127.0.0.1]"] {
            assert!(is_loopback(host), "{host}");
        }
        // A resolver may send any other name to the network.
        for host in ["", "foo.localhost", "0.0.0.0", "[::ffff:10.0.0.1]", "127.0.0.1.example.com"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
