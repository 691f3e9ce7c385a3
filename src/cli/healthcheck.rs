//! `appserver healthcheck`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use super::config_files::ConfigFiles;
use super::failure::{EXIT_UNAVAILABLE, Failure};
use super::runtime::block_on;
use crate::config;
use crate::outbound;
use crate::telemetry::with_causes;

#[derive(Debug, Args)]
pub(super) struct HealthcheckArgs {
    #[command(flatten)]
    config: ConfigFiles,
    /// Ask whether it can vend (/readyz), not only whether it is alive (/healthz)
    #[arg(long)]
    ready: bool,
}

pub(super) fn healthcheck(args: &HealthcheckArgs) -> Result<(), Failure> {
    let listen = config::admin_listen(&args.config.files, &config::environment())?;
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let url = format!("http://{}{path}", reachable(listen));
    let asked = block_on(async {
        let client = outbound::client(false).timeout(Duration::from_secs(3)).build()?;
        client.get(&url).send().await?.error_for_status()
    });
    asked.map(|_| ()).map_err(|error| {
        let cause = with_causes(&error);
        let fix = if error.is_status() { "GET it to see the problem" } else {
            "`admin.listen` must be the address on which the service was started: give the same --config and variables"
        };
        Failure::new(EXIT_UNAVAILABLE, format!("admin.listen = \"{listen}\": {url}: {cause}; {fix}"))
    })
}

/// The loopback address of a listener on all addresses.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}
