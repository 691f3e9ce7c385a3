//! `appserver doctor`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::config_files::ConfigFiles;
use super::failure::{EXIT_UNAVAILABLE, Failure};
use super::output::{Colour, say, say_line, say_verdict};
use super::runtime::block_on;
use crate::config::{Secrets, SecretsToo};
use crate::doctor::{Finding, Input, Outcome, run_checks};
use appserver_domain::clock::Clock;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    config: ConfigFiles,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
    /// Seconds for all checks, 1 to 600; throttling is waited out within them
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Report<'a> {
    healthy: bool,
    findings: &'a [Finding],
}

pub(super) fn doctor(args: &DoctorArgs) -> Result<(), Failure> {
    let settings = args.config.load_for_check(SecretsToo::Yes)?;
    let secrets = settings.read_secrets()?;
    let mut warnings = settings.rollout_warnings(SecretsToo::Yes);
    warnings.extend(secrets.warning(Clock::system().now()));
    let Secrets { identities, egress, store, .. } = secrets;
    let (mut findings, mut printed) = (Vec::new(), Ok(()));
    block_on(async {
        let deadline = Instant::now() + Duration::from_secs(args.timeout);
        let clock = Clock::system();
        let input = Input { settings, warnings, identities, egress, store, clock, deadline };
        let report = |finding: Finding| {
            if !args.json && printed.is_ok() {
                printed = print(&finding);
            }
            findings.push(finding);
        };
        run_checks(input, report).await;
    });
    printed?;
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    let (failed, warnings) = (count(Outcome::Failed), count(Outcome::Warning));
    if args.json {
        let report = Report { healthy: failed == 0, findings: &findings };
        say(serde_json::to_string(&report).expect("a report is plain JSON"))?;
    } else if failed == 0 {
        match warnings {
            0 => say("\nAll is well.")?,
            1 => say("\nAll works, with 1 warning.")?,
            _ => say(format_args!("\nAll works, with {warnings} warnings."))?,
        }
    }
    match failed {
        0 => Ok(()),
        1 => Err(Failure::new(EXIT_UNAVAILABLE, "1 check failed")),
        _ => Err(Failure::new(EXIT_UNAVAILABLE, format!("{failed} checks failed"))),
    }
}

fn print(finding: &Finding) -> Result<(), Failure> {
    let Finding { check, outcome, upstream, subject, message, fix } = finding;
    let (word, colour) = match outcome {
        Outcome::Ok => ("ok", Colour::Green),
        Outcome::Warning => ("warning", Colour::Yellow),
        Outcome::Failed => ("failed", Colour::Red),
        Outcome::Skipped => ("skipped", Colour::Dim),
    };
    let upstream =
        upstream.as_ref().map_or_else(String::new, |name| format!(" of the upstream `{name}`"));
    let subject = subject.as_ref().map_or_else(String::new, |subject| format!(" {subject}"));
    let rest = format!("  {check}{upstream}{subject}: {message}");
    say_verdict(colour, &format!("{word:7}"), rest)?;
    match fix {
        Some(fix) => say_line(format_args!("         fix: {fix}")),
        None => Ok(()),
    }
}
