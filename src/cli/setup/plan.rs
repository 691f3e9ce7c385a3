//! `appserver setup plan`.

use clap::{Args, ValueEnum};

use super::json_format;
use super::plan_source::PlanSource;
use crate::cli::failure::Failure;
use crate::cli::output::say;

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    source: PlanSource,
    /// How the plan is written
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// The plan as data
    Json,
}

pub(super) fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let plan = args.source.plan()?;
    say(match args.format {
        Format::Json => json_format::json(&plan),
    })
}
