//! `appserver plan-capacity`.

mod json_format;
mod text_format;

use clap::Args;

use super::failure::{EXIT_CONFIG, Failure};
use super::output::say;
use crate::capacity::{CapacityPlan, Fleet, GrantMix, ImpossibleFleet};

/// A fleet of phones, and the quota. docs/performance.md says what the model takes from them.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct PlanCapacityArgs {
    /// Users who are active in a day
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    users: u64,
    /// Grants of each kind that a session uses, such as `user=2,shared=1,upload=1`: a token for each user, one token for all
    /// of them, and grants that sign uploads
    #[arg(long, value_name = "KIND=N,…", default_value = "user=1")]
    grants: GrantMix,
    /// The life of a token
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(900..=43_200))]
    token_secs: u32,
    /// The quota of STS in calls a second; AppServer spends nine tenths of it
    #[arg(long, value_name = "CALLS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    quota: u32,
    /// How often a user opens the app in a day
    #[arg(long, value_name = "N", default_value_t = 4.0, value_parser = |text: &str| within(text, 0.01, 1440.0))]
    sessions_per_day: f64,
    /// How long the app is then in use, on average
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = |text: &str| within(text, 0.0, 1440.0))]
    session_minutes: f64,
    /// The busiest hour's part of a day's sessions; 4.2 is an even day
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = |text: &str| within(text, 4.2, 50.0))]
    peak_hour_percent: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn plan_capacity(args: &PlanCapacityArgs) -> Result<(), Failure> {
    let fleet = fleet(args).map_err(|impossible| Failure::new(EXIT_CONFIG, impossible))?;
    let plan = CapacityPlan::new(&fleet, args.quota);
    if args.json {
        say(json_format::json(&plan))
    } else {
        say(text_format::text(&plan, args.quota))
    }
}

fn fleet(args: &PlanCapacityArgs) -> Result<Fleet, ImpossibleFleet> {
    let sessions = (args.sessions_per_day, args.session_minutes);
    Fleet::new(args.users, args.grants, args.token_secs, sessions, args.peak_hour_percent)
}

/// A number of the command line.
fn within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("it is a number from {least} to {most}"))
}

#[cfg(test)]
mod tests;
