//! `appserver setup check`.

use clap::Args;
use serde::Serialize;

use super::account_access::{Account, AccountAccess, failed};
use crate::cli::failure::{EXIT_DRIFT, Failure};
use crate::cli::output::{note, say, say_line};
use crate::cli::runtime::block_on;
use crate::setup::difference::Drift;
use crate::setup::drift::drift;
use crate::setup::state::AccountState;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    access: AccountAccess,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Report<'a> {
    as_planned: bool,
    differences: &'a [Drift],
}

pub(super) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let account = args.access.open()?;
    let found = block_on(account.answer(async {
        account.check_administrator().await?;
        let state = AccountState::read(&account.ram, &account.plan).await.map_err(failed)?;
        Ok::<_, Failure>(drift(&account.plan, &state, &account.needs))
    }))?;
    if args.json {
        let report = Report { as_planned: found.is_empty(), differences: &found };
        say(serde_json::to_string(&report).expect("a report is plain JSON"))?;
    } else {
        print(&account, &found)?;
    }
    outcome(&found)
}

/// One line for each difference, and what to do about it.
pub(super) fn print(account: &Account, found: &[Drift]) -> Result<(), Failure> {
    for Drift { kind, subject, message, fix, .. } in found {
        say_line(format_args!("{}  {subject}: {message}", kind.as_str()))?;
        say_line(format_args!("    fix: {fix}"))?;
    }
    for role in &account.plan.foreign_roles {
        note(format_args!("{} is of another account and is not looked at", role.arn));
    }
    if found.is_empty() {
        say("The account is as planned.")?;
    }
    Ok(())
}

pub(super) fn outcome(found: &[Drift]) -> Result<(), Failure> {
    match found.len() {
        0 => Ok(()),
        1 => Err(Failure::new(EXIT_DRIFT, "1 difference from the plan")),
        count => Err(Failure::new(EXIT_DRIFT, format!("{count} differences from the plan"))),
    }
}
