//! The STS of the load run: it answers at once, or after a fixed delay, and takes less CPU than any vendor that calls it.
//!
//! It verifies nothing, which the emulator does. The AccessKey `testid` belongs to one account, all others to another. `GET /calls` is the number of calls of AssumeRole.
#![expect(clippy::print_stdout, reason = "the load run reads the address")]
#![expect(clippy::disallowed_methods, reason = "tokens end an hour after the real time")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{SecondsFormat, TimeDelta, Utc};
use clap::Parser;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

#[derive(Debug, Parser)]
struct Args {
    /// How long a call of AssumeRole takes, in milliseconds
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
}

struct Sts {
    delay: Duration,
    calls: AtomicU64,
    /// As long as those of STS.
    security_token: String,
}

#[tokio::main]
async fn main() {
    let Args { delay_ms } = Args::parse();
    let sts = Sts {
        delay: Duration::from_millis(delay_ms),
        calls: AtomicU64::new(0),
        security_token: "CAIS".repeat(150),
    };
    let router = Router::new()
        .route("/", post(call))
        .route("/calls", get(async |State(sts): State<Arc<Sts>>| sts.calls().to_string()))
        .with_state(Arc::new(sts));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has free ports");
    println!("listening on {}", listener.local_addr().expect("it is bound"));
    axum::serve(listener, router).await.expect("it serves until it is ended");
}

impl Sts {
    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// The parameters are in the form, or, of Alibaba's own clients, in the query.
async fn call(State(sts): State<Arc<Sts>>, RawQuery(query): RawQuery, form: String) -> Response {
    let parameter = |name: &str| {
        let mut pairs = form.split('&').chain(query.iter().flat_map(|query| query.split('&')));
        let pair = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let value = percent_decode_str(pair.unwrap_or_default()).decode_utf8();
        value.expect("parameters are UTF-8").into_owned()
    };
    let body = if parameter("Action") == "GetCallerIdentity" {
        let account = if parameter("AccessKeyId") == "testid" { "11223344" } else { "55667788" };
        format!(
            r#"{{"AccountId":"{account}","Arn":"acs:ram::{account}:user/load","IdentityType":"RAMUser"}}"#
        )
    } else {
        let call = sts.calls.fetch_add(1, Ordering::Relaxed);
        if !sts.delay.is_zero() {
            tokio::time::sleep(sts.delay).await;
        }
        let (role, name) = (parameter("RoleArn"), parameter("RoleSessionName"));
        let expiration = Utc::now() + TimeDelta::hours(1);
        let expiration = expiration.to_rfc3339_opts(SecondsFormat::Secs, true);
        format!(
            r#"{{"RequestId":"6894B13B-6D71-4EF5-88FA-{call:012}","AssumedRoleUser":{{"Arn":"{role}/{name}","AssumedRoleId":"391578752573972854:{name}"}},"Credentials":{{"AccessKeyId":"STS.{call:024}","AccessKeySecret":"wyLTSmsyPGP1ohvvw8xYgB29dlGI8KMiH2pKCNZ9","SecurityToken":"{}","Expiration":"{expiration}"}}}}"#,
            sts.security_token
        )
    };
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
