//! Obtains credentials from a source that hands out temporary ones, as the server does before it can sign.

use tokio::time::{Instant, timeout_at};

use super::{Finding, sts_errors};
use crate::config::IdentitySource;
use crate::sts::StsClient;
use crate::telemetry::with_causes;
use crate::upstream::{FetchError, Fetcher, RenewedIdentity};
use appserver_domain::SigningCredentials;
use appserver_domain::clock::{Clock, Stamp};

const CHECK: &str = "credentials";

/// Credentials of the source, if it gives some. `sts` calls an endpoint that has answered, if any has.
pub(super) async fn obtain(
    source: &IdentitySource,
    identity: RenewedIdentity,
    sts: Option<StsClient>,
    clock: &Clock,
    deadline: Instant,
    report: &mut impl FnMut(Finding),
) -> Option<SigningCredentials> {
    let Some(sts) = sts else {
        report(Finding::skipped(CHECK, "no endpoint answered"));
        return None;
    };
    let fetcher = match Fetcher::new(identity, clock.clone()) {
        Ok(fetcher) => fetcher,
        Err(problem) => {
            let message = format!("TLS to {source} cannot be set up: {problem}");
            report(Finding::failed(CHECK, message).fix("install the system's CA certificates"));
            return None;
        }
    };
    let (finding, credentials) = match timeout_at(deadline, fetcher.fetch(&sts)).await {
        Ok(Ok(credentials)) => {
            let end = credentials.expiration().map(Stamp::of);
            let end =
                end.as_ref().map_or_else(String::new, |end| format!(", until {}", end.as_str()));
            let message = format!("`{}`{end}, from: {source}", credentials.id());
            (Finding::ok(CHECK, message), Some(credentials))
        }
        Ok(Err(error)) => {
            let told = match &error {
                FetchError::Sts(error) => sts_errors::message(error),
                other => with_causes(other),
            };
            let message = format!("none from {source}: {told}");
            (Finding::failed(CHECK, message).fix(fix(&error)), None)
        }
        Err(_) => (Finding::out_of_time(CHECK), None),
    };
    report(finding);
    credentials
}

fn fix(error: &FetchError) -> &'static str {
    match error {
        FetchError::Unreachable(_) | FetchError::TimedOut => {
            "check that this machine reaches the source: instance metadata answers on ECS only, and from a container only \
             where its network lets requests pass to 100.100.100.200"
        }
        FetchError::NoMetadataToken(_) => {
            "enable version 2 of the metadata (HttpTokens) for the instance; or, where that is not possible, set \
             `sts.identity.ecs_ram_role.imds_v1 = true`"
        }
        FetchError::NoRole => {
            "attach a RAM role to the instance, and compare its name with `sts.identity.ecs_ram_role.role`"
        }
        FetchError::Status(_)
        | FetchError::Body(_)
        | FetchError::NotJson
        | FetchError::Lacks(_)
        | FetchError::Malformed(_)
        | FetchError::Failed(_) => "find out what answers at the address of `sts.identity`",
        FetchError::Unusable(_) => {
            "check the source, and this machine's clock: the credentials are incomplete or have expired"
        }
        FetchError::TokenFile(_) | FetchError::NoToken => {
            "mount the service account's token there; on ACK, enable RRSA for the cluster and the namespace"
        }
        FetchError::Sts(error) => sts_errors::fix(error),
    }
}
