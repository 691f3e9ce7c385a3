//! `appserver plan-capacity`.

mod json_format;
mod numbers;
mod text_format;

use clap::Args;

use super::failure::{EXIT_USAGE, Failure};
use super::output::say;
use crate::capacity::{CapacityPlan, Fleet, GrantMix, ImpossibleFleet};

/// A fleet of phones, and the quota. docs/performance.md says what the model takes from them.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct PlanCapacityArgs {
    /// Users who are active in a day, 1 to 10000000000
    #[arg(long, value_name = "N", value_parser = numbers::users)]
    users: u64,
    /// Grants of each kind that a session uses, such as `user=2,shared=1,upload=1`: a token for each user, one token for all
    /// of them, and grants that sign uploads; up to 1000 of each
    #[arg(long, value_name = "KIND=N,…", default_value = "user=1")]
    grants: GrantMix,
    /// The life of a token, 900 to 43200
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = numbers::token_secs)]
    token_secs: u32,
    /// The quota of STS in calls a second, 1 to 11112, of which AppServer spends nine tenths
    #[arg(long, value_name = "CALLS", default_value_t = 100, value_parser = numbers::quota)]
    quota: u32,
    /// What refreshes ahead may take of the budget, 0 to 50: `vend.budget.refresh_percent`
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = numbers::refresh_percent)]
    refresh_percent: u32,
    /// How often a user opens the app in a day, 0.01 to 1440
    #[arg(long, value_name = "N", default_value_t = 4.0, value_parser = numbers::sessions_per_day)]
    sessions_per_day: f64,
    /// How long the app is then in use on average, 0 to 1440; all sessions together fit into a day
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = numbers::session_minutes)]
    session_minutes: f64,
    /// The busiest hour's part of a day's sessions, 4.2 (an even day) to 50. More at once is a wave of new callers, of whom
    /// N take (N - burst) / budget seconds
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = numbers::peak_hour_percent)]
    peak_hour_percent: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn plan_capacity(args: &PlanCapacityArgs) -> Result<(), Failure> {
    let fleet = fleet(args).map_err(|impossible| Failure::new(EXIT_USAGE, impossible))?;
    let plan = CapacityPlan::new(&fleet, args.quota);
    if args.json { say(json_format::json(&plan)) } else { say(text_format::text(&plan)) }
}

fn fleet(args: &PlanCapacityArgs) -> Result<Fleet, ImpossibleFleet> {
    let sessions = (args.sessions_per_day, args.session_minutes);
    let fleet =
        Fleet::new(args.users, args.grants, args.token_secs, sessions, args.peak_hour_percent)?;
    Ok(fleet.with_refresh_percent(args.refresh_percent))
}

#[cfg(test)]
mod tests;
