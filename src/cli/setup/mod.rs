//! `appserver setup`: what AppServer needs in an Alibaba Cloud account.

mod account_access;
mod apply;
mod check;
mod cli_format;
mod json_format;
mod plan;
mod plan_source;
mod ros_format;
mod terraform_format;
mod text_format;

use clap::Subcommand;

use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum SetupCommand {
    /// Print what the account needs, from the configuration alone
    Plan(plan::PlanArgs),
    /// Compare the account with the plan; the exit code is 1 if they differ, and 2 if the account cannot be read
    Check(check::CheckArgs),
    /// Make what is missing in the account; nothing that exists is replaced, widened or removed
    Apply(apply::ApplyArgs),
}

pub(super) fn run(command: &SetupCommand) -> Result<(), Failure> {
    match command {
        SetupCommand::Plan(args) => plan::plan(args),
        SetupCommand::Check(args) => check::check(args),
        SetupCommand::Apply(args) => apply::apply(args),
    }
}
