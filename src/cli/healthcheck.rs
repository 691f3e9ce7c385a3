//! `appserver healthcheck`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use super::{ConfigFiles, EXIT_UNAVAILABLE, Failure, block_on};
use crate::config;
use crate::telemetry::with_causes;

#[derive(Debug, Args)]
pub(super) struct HealthcheckArgs {
    #[command(flatten)]
    config: ConfigFiles,
    /// Ask whether it can vend (/readyz), not only whether it lives (/healthz)
    #[arg(long)]
    ready: bool,
}

pub(super) fn healthcheck(args: &HealthcheckArgs) -> Result<(), Failure> {
    let listen = config::admin_listen(&args.config.files, &config::environment())?;
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let url = format!("http://{}{path}", reachable(listen));
    let asked = block_on(async {
        let client = reqwest::Client::builder()
            .no_proxy()
            // Without TLS there is nothing to verify; a container may have no certificates.
            .tls_certs_only([])
            .timeout(Duration::from_secs(3))
            .build()?;
        client.get(&url).send().await?.error_for_status()
    });
    asked
        .map(|_| ())
        .map_err(|error| Failure::new(EXIT_UNAVAILABLE, format!("{url}: {}", with_causes(&error))))
}

/// Where a listener on every address is found from the inside.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}
