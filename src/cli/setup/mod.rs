//! `appserver setup`: what AppServer needs in an Alibaba Cloud account.

mod json_format;
mod plan;
mod plan_source;

use clap::Subcommand;

use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum SetupCommand {
    /// Print what the account needs, from the configuration alone
    Plan(plan::PlanArgs),
}

pub(super) fn run(command: &SetupCommand) -> Result<(), Failure> {
    match command {
        SetupCommand::Plan(args) => plan::plan(args),
    }
}
