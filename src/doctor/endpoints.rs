//! Each endpoint of STS by itself, so that a fallback that is broken is known before it is needed.

use chrono::TimeDelta;
use tokio::time::{Instant, timeout_at};

use super::Finding;
use crate::sts::{Endpoint, NoAnswer, ProbeResult, StsSettings, probe};
use crate::telemetry::with_causes;
use appserver_domain::clock::Clock;

const CHECK: &str = "endpoint";

/// An endpoint that answered.
pub(super) struct Seen {
    pub(super) endpoint: Endpoint,
    pub(super) host: String,
    /// By how much its clock is ahead of ours, if it showed the time.
    pub(super) ahead: Option<TimeDelta>,
}

pub(super) async fn examine(
    settings: &StsSettings,
    clock: &Clock,
    deadline: Instant,
    tell: &mut impl FnMut(Finding),
) -> Vec<Seen> {
    let mut seen = Vec::new();
    for endpoint in settings.endpoints.iter() {
        let host = endpoint.host().to_owned();
        let found = match timeout_at(deadline, probe(endpoint, settings)).await {
            Ok(Ok(ProbeResult { address, shows, is_an_api })) => {
                let ahead = shows.map(|theirs| theirs - clock.now());
                seen.push(Seen { endpoint: endpoint.clone(), host: host.clone(), ahead });
                let how = if endpoint.is_encrypted() { "by TLS" } else { "without TLS" };
                let answers = format!("{address} answers {how}");
                match is_an_api {
                    true => Finding::ok(CHECK, answers),
                    false => Finding::warning(CHECK, format!("{answers}, but not as STS does"))
                        .mend("see who answers there: a proxy in between, or another service"),
                }
            }
            Ok(Err(problem)) => {
                let mend = mend(&problem);
                Finding::failed(CHECK, with_causes(&problem)).mend(mend)
            }
            Err(_) => Finding::failed(CHECK, "there was no time left to try it")
                .mend("try again with a longer --timeout"),
        };
        tell(found.of(host));
    }
    seen
}

fn mend(problem: &NoAnswer) -> &'static str {
    match problem {
        NoAnswer::Name(_) => {
            "see `sts.endpoints`, `sts.region` and this machine's resolver; sts-vpc.… is known inside its region's \
             VPC only"
        }
        NoAnswer::Connection(_) => {
            "let this machine out to it, port 443 mostly; HTTP_PROXY and the like are not heeded"
        }
        NoAnswer::Certificates(_) => {
            "install the system's certificates (ca-certificates), or name them with SSL_CERT_FILE"
        }
        NoAnswer::Tls(_) => {
            "if a proxy in between ends TLS, its certificate is not trusted; otherwise see the system's certificates"
        }
        NoAnswer::Http(_) => "see who closes the connection: a firewall or a proxy in between",
        NoAnswer::Slow(..) => {
            "see the way there; if it is that long, raise `sts.connect_timeout_ms` or `sts.attempt_timeout_ms`"
        }
    }
}
