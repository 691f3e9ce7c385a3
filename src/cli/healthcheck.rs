//! `appserver healthcheck`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::config_files::ConfigFiles;
use super::failure::{EXIT_UNAVAILABLE, Failure};
use super::runtime::block_on;
use crate::config;
use crate::outbound;
use crate::telemetry::with_causes;

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 4096;

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
    let failed = |why: String| {
        Failure::new(EXIT_UNAVAILABLE, format!("admin.listen = \"{listen}\": {url}: {why}"))
    };
    let answer = block_on(async {
        let client = outbound::client(false).timeout(Duration::from_secs(3)).build()?;
        let mut response = client.get(&url).send().await?;
        let body = outbound::read_body(&mut response, LONGEST_ANSWER).await.unwrap_or_default();
        Ok((response.status(), body))
    });
    let (status, body) = answer.map_err(|error: reqwest::Error| {
        failed(format!(
            "{}; `admin.listen` must be the address on which the service was started: give the same --config and variables",
            with_causes(&error)
        ))
    })?;
    if status.is_success() {
        return Ok(());
    }
    Err(failed(match serde_json::from_slice(&body) {
        Ok(NotReady { reason }) => {
            format!("HTTP status {}: {}", status.as_u16(), printable(&reason))
        }
        Err(_) => {
            format!("HTTP status {}; another service may listen at this address", status.as_u16())
        }
    }))
}

/// The answer of `/readyz` while the service is not ready.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NotReady {
    reason: String,
}

/// Another service may have answered: its text must not control the terminal.
fn printable(reason: &str) -> String {
    reason.escape_debug().collect()
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
