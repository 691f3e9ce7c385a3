//! `appserver setup apply`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::account_access::{Account, AccountAccess, failed};
use super::check::{outcome, print};
use super::text_format::text;
use crate::cli::failure::{EXIT_CONFIG, EXIT_DRIFT, EXIT_NOT_EXAMINED, Failure};
use crate::cli::output::{note, say, say_line, written};
use crate::cli::runtime::block_on;
use crate::setup::apply::{Applier, ApplyError};
use crate::setup::difference::{Drift, DriftKind};
use crate::setup::drift::drift;
use crate::setup::key_files::{DirectoryLock, FoundKey, KeyFileError, KeyFiles};
use crate::setup::key_situation::KeySituation;
use crate::setup::plan::PlannedIdentity;
use crate::setup::state::AccountState;
use crate::setup::steps::{Step, steps};
use crate::telemetry::with_causes;
use appserver_domain::clock::Clock;

/// How often, and how far apart, an account is looked at until what was made is visible: RAM is eventually consistent.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    access: AccountAccess,
    /// The directory of a new AccessKey's two files, `access-key-id` and `access-key-secret`; made if it does not exist
    #[arg(long, value_name = "DIR")]
    key_dir: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn apply(args: &ApplyArgs) -> Result<(), Failure> {
    let account = args.access.open()?;
    let keyless = match &account.plan.identity {
        PlannedIdentity::User(_) => None,
        PlannedIdentity::InstanceRole(_) => Some("ecs-ram-role"),
        PlannedIdentity::OidcRole { .. } => Some("oidc"),
    };
    if let (Some(source), Some(_)) = (keyless, &args.key_dir) {
        let message = format!(
            "--key-dir is for the files of an AccessKey, and with `sts.identity.source = \"{source}\"` there is none: leave \
             it out"
        );
        return Err(Failure::new(EXIT_CONFIG, message));
    }
    let files = args.key_dir.clone().map(KeyFiles::at);
    // Held to the end of the run.
    let lock = files.as_ref().map(KeyFiles::lock).transpose().map_err(unusable)?.flatten();
    let found = match &files {
        Some(files) => files.found().map_err(unusable)?,
        None => FoundKey::default(),
    };
    block_on(run(args, &account, files.as_ref(), &found, lock))
}

/// Makes the directory of a new key and locks it, before the account is changed.
fn prepare(
    files: &KeyFiles,
    lock: Option<DirectoryLock>,
) -> Result<Option<DirectoryLock>, Failure> {
    let prepared = || {
        let lock = match lock {
            None => {
                files.make()?;
                files.lock()?
            }
            held => held,
        };
        files.probe()?;
        Ok(lock)
    };
    prepared().map_err(unusable)
}

/// The files cannot be used.
#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn unusable(error: KeyFileError) -> Failure {
    let code = match error {
        KeyFileError::Locked(_) => EXIT_NOT_EXAMINED,
        _ => EXIT_CONFIG,
    };
    Failure::new(code, with_causes(&error))
}

async fn run(
    args: &ApplyArgs,
    account: &Account,
    files: Option<&KeyFiles>,
    found: &FoundKey,
    mut lock: Option<DirectoryLock>,
) -> Result<(), Failure> {
    let Account { plan, needs, ram, .. } = account;
    let state = account.answer(async {
        account.check_administrator().await?;
        AccountState::read(ram, plan).await.map_err(failed)
    });
    let state = state.await?;
    let keys = KeySituation::of(plan, &state, found, files.is_some());
    let steps = steps(plan, &state, needs, keys.steps);
    if steps.is_empty() {
        say("Nothing is missing that can be made.")?;
    } else {
        if keys.steps.creates && files.is_none() {
            return Err(Failure::new(EXIT_CONFIG, ApplyError::NoDirectory));
        }
        if let Some(files) = files.filter(|_| keys.steps.creates) {
            warn_of_unread(files, account);
        }
        confirm(args, account, &steps)?;
        if let Some(files) = files.filter(|_| keys.steps.creates) {
            lock = prepare(files, lock)?;
        }
    }
    let applier = Applier { ram, files, clock: Clock::system() };
    for step in &steps {
        applier.carry_out(step).await.map_err(|error| {
            let message = format!("cannot {step}: {}", with_causes(&error));
            Failure::new(exit_code(&error), message)
        })?;
        match (step, files) {
            (Step::CreateAccessKey(_), Some(files)) => {
                let [id, secret] = files.paths();
                say(format_args!("{}: {} and {}", step.done(), id.display(), secret.display()))?;
            }
            _ => say_line(step.done())?,
        }
    }
    if let Some(files) = files
        && found.is_interrupted()
        && !keys.steps.creates
    {
        files.tidy().map_err(unusable)?;
    }
    let mut differences = remaining(account, !steps.is_empty()).await?;
    differences.extend(keys.differences);
    drop(lock);
    print(account, &differences)?;
    outcome(&differences)
}

/// Warns, before a key is made, if the configuration reads other files than those that it is written to.
fn warn_of_unread(files: &KeyFiles, account: &Account) {
    let [id, secret] = files.paths();
    let (id, secret) = (id.display(), secret.display());
    match account.identity.key_files() {
        Some(configured) if files.are(configured) => {}
        Some([its_id, its_secret]) => note(format_args!(
            "warning: the configuration reads the AccessKey from {} and {}, and --key-dir writes {id} and {secret}: name the \
             same files in `id_file` and `secret_file`, or another --key-dir",
            its_id.display(),
            its_secret.display(),
        )),
        None => note(format_args!(
            "warning: the configuration does not read the files that --key-dir writes: in `[sts.identity.access_key]` set \
             `source = \"files\"`, `id_file = \"{id}\"` and `secret_file = \"{secret}\"`, or the two variables to what is in \
             them"
        )),
    }
}

/// A lost answer leaves a difference that a person decides about.
fn exit_code(error: &ApplyError) -> u8 {
    match error {
        ApplyError::AnswerLost { .. }
        | ApplyError::SecretLost { .. }
        | ApplyError::KeyAppeared { .. } => EXIT_DRIFT,
        ApplyError::Ram(_)
        | ApplyError::NoDirectory
        | ApplyError::Files(_)
        | ApplyError::NotKept { .. }
        | ApplyError::NotDeleted { .. }
        | ApplyError::Differs(_) => EXIT_NOT_EXAMINED,
    }
}

/// What still differs, once what was made is visible.
async fn remaining(account: &Account, has_made: bool) -> Result<Vec<Drift>, Failure> {
    let Account { plan, needs, ram, .. } = account;
    let mut looks = if has_made { LOOKS } else { 1 };
    loop {
        let state = AccountState::read(ram, plan).await.map_err(failed)?;
        let found = drift(plan, &state, needs);
        looks -= 1;
        if looks == 0 || !found.iter().any(|drift| drift.kind == DriftKind::Missing) {
            return Ok(found);
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

/// Shows the steps, and asks; somebody who is asked sees the plan first.
fn confirm(args: &ApplyArgs, account: &Account, steps: &[Step<'_>]) -> Result<(), Failure> {
    let can_ask = io::stdin().is_terminal() && io::stdout().is_terminal();
    if can_ask && !args.yes {
        say(format_args!("{}\n", text(&account.plan).trim_end()))?;
    }
    say(format_args!("To do in account {}:", account.plan.account))?;
    for step in steps {
        say_line(format_args!("  {step}"))?;
    }
    if args.yes {
        return Ok(());
    }
    if !can_ask {
        let message = "nobody can be asked without a terminal: read the steps, and run the command again with --yes";
        return Err(Failure::new(EXIT_CONFIG, message));
    }
    let mut out = io::stdout().lock();
    written(write!(out, "Do this? [y/N] ").and_then(|()| out.flush()))?;
    let mut answer = String::new();
    let is_read = io::stdin().read_line(&mut answer).is_ok();
    if is_read && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::new(EXIT_DRIFT, "nothing was done"))
}
