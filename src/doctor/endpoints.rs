//! Tests each STS endpoint by itself, so that a broken fallback is found before it is needed, and this machine's clock against theirs.

use chrono::TimeDelta;
use tokio::time::{Instant, timeout_at};

use super::Finding;
use crate::outbound::Egress;
use crate::sts::{Endpoint, ProbeError, ProbeResult, ProbeRoute, StsSettings, probe};
use crate::telemetry::with_causes;
use appserver_domain::clock::Clock;

const CHECK: &str = "endpoint";
const CLOCK: &str = "clock";
/// The `Date` header has whole seconds and is as old as the way back is long.
const UNMEASURABLE: TimeDelta = TimeDelta::seconds(5);
const WARNED: TimeDelta = TimeDelta::minutes(1);
/// The difference that STS accepts, either way.
const ACCEPTED: TimeDelta = TimeDelta::minutes(15);

/// An endpoint that answered.
pub(super) struct Reached {
    pub(super) endpoint: Endpoint,
    pub(super) host: String,
    /// How far its clock is ahead of ours, if it sent the time.
    pub(super) ahead: Option<TimeDelta>,
}

pub(super) async fn check(
    settings: &StsSettings,
    egress: &Egress,
    clock: &Clock,
    deadline: Instant,
    report: &mut impl FnMut(Finding),
) -> Vec<Reached> {
    let mut reached = Vec::new();
    for endpoint in settings.endpoints.iter() {
        let host = endpoint.authority().to_owned();
        let found = match timeout_at(deadline, probe(endpoint, settings, egress)).await {
            Ok(Ok(ProbeResult { route, shows, is_an_api })) => {
                let ahead = shows.map(|theirs| theirs - clock.now());
                reached.push(Reached { endpoint: endpoint.clone(), host: host.clone(), ahead });
                let how = if endpoint.is_encrypted() { "by TLS" } else { "without TLS" };
                let answers = match route {
                    ProbeRoute::Direct(address) => format!("{address} answers {how}"),
                    ProbeRoute::Proxy(proxy) => {
                        format!("it answers {how} through the proxy {proxy}")
                    }
                };
                if is_an_api {
                    Finding::ok(CHECK, answers)
                } else {
                    Finding::warning(CHECK, format!("{answers}, but not as STS does"))
                        .fix("find out which server answers there: a proxy, or another service")
                }
            }
            Ok(Err(problem)) => {
                let fix = fix(&problem);
                Finding::failed(CHECK, with_causes(&problem)).fix(fix)
            }
            Err(_) => Finding::out_of_time(CHECK),
        };
        report(found.of(host));
    }
    reached
}

fn fix(problem: &ProbeError) -> &'static str {
    match problem {
        ProbeError::Name(_) => {
            "check `sts.endpoints`, `sts.region` and this machine's resolver; sts-vpc.… resolves inside its region's VPC \
             only"
        }
        ProbeError::Connection(_) => {
            "allow outgoing connections to it, usually port 443, or name a proxy in `egress.proxy`; HTTPS_PROXY and similar \
             variables are not read"
        }
        ProbeError::Proxy(error) => error.fix(),
        ProbeError::Certificates(_) => {
            "install the system's certificates (ca-certificates), or name them with SSL_CERT_FILE"
        }
        ProbeError::NotTls(_) => {
            "the port is one of plain HTTP: correct the port in `sts.endpoints`; plain HTTP is for loopback only, with `http://`"
        }
        ProbeError::Tls(_) => {
            "if something on the way terminates TLS, its certificate authority is not trusted: name it in `egress.ca_file`; \
             otherwise check the system's certificates"
        }
        ProbeError::Http(_) => "find out what closes the connection: a firewall or a proxy",
        ProbeError::Slow(..) => {
            "check the network path; if it is that slow, raise `sts.connect_timeout_ms` or `sts.attempt_timeout_ms`"
        }
    }
}

/// Compares this machine's clock with the endpoint whose clock differs most; those of Alibaba Cloud agree.
pub(super) fn clock_findings(reached: &[Reached]) -> Vec<Finding> {
    if reached.is_empty() {
        return vec![Finding::skipped(CLOCK, "no endpoint answered")];
    }
    let differences = reached.iter().filter_map(|endpoint| endpoint.ahead);
    let Some(ahead) = differences.max_by_key(TimeDelta::abs) else {
        let no_date = Finding::warning(CLOCK, "no endpoint sent a `Date` header");
        return vec![no_date.fix("find out which server answers there: STS always sends it")];
    };
    let size = ahead.abs();
    if size <= UNMEASURABLE {
        return vec![Finding::ok(CLOCK, "this machine and STS agree")];
    }
    let direction = if ahead > TimeDelta::zero() { "behind" } else { "ahead of" };
    let message = format!("this machine is {} {direction} STS", rounded(size));
    let fix = "synchronize it by NTP (chronyd, systemd-timesyncd); users' tokens and presigned URLs depend on it too";
    vec![if size > ACCEPTED {
        Finding::failed(CLOCK, format!("{message}, which accepts 15 minutes at most")).fix(fix)
    } else if size > WARNED {
        Finding::warning(CLOCK, message).fix(fix)
    } else {
        Finding::ok(CLOCK, message)
    }]
}

fn rounded(size: TimeDelta) -> String {
    let secs = size.num_seconds();
    match secs {
        ..120 => format!("{secs} seconds"),
        120..7200 => format!("{} minutes", (secs + 30) / 60),
        7200..172_800 => format!("{} hours", (secs + 1800) / 3600),
        _ => format!("{} days", (secs + 43_200) / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sts::Endpoint;

    fn found(aheads: &[Option<i64>]) -> String {
        let reached = aheads.iter().map(|ahead| Reached {
            endpoint: Endpoint::default(),
            host: String::new(),
            ahead: ahead.map(TimeDelta::seconds),
        });
        let found = clock_findings(&reached.collect::<Vec<_>>()).remove(0);
        format!("{:?}: {}", found.outcome, found.message)
    }

    #[test]
    fn a_clock_difference_is_rated_by_what_sts_accepts() {
        for (aheads, expected) in [
            (&[][..], "Skipped: no endpoint answered"),
            (&[None], "Warning: no endpoint sent a `Date` header"),
            (&[Some(-5)], "Ok: this machine and STS agree"),
            (&[Some(60), None], "Ok: this machine is 60 seconds behind STS"),
            (&[Some(-61)], "Warning: this machine is 61 seconds ahead of STS"),
            (&[Some(0), Some(900)], "Warning: this machine is 15 minutes behind STS"),
            (
                &[Some(901)],
                "Failed: this machine is 15 minutes behind STS, which accepts 15 minutes at most",
            ),
            (
                &[Some(-1_000_000_000)],
                "Failed: this machine is 11574 days ahead of STS, which accepts 15 minutes at most",
            ),
        ] {
            assert_eq!(found(aheads), expected);
        }
    }
}
