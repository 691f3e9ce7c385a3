//! `appserver policy compare`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::config_files::ConfigFiles;
use super::failure::{EXIT_CONFIG, Failure};
use super::output::{say, say_line};
use super::policy::read;
use crate::app::{ChangeKind, GrantChange};
use crate::config::Mode;
use appserver_policy::{ComparablePolicy, Inclusion};

/// The new policy allows what the old one does not.
const EXIT_WIDER: u8 = 1;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The policy as it was: RAM JSON, with placeholders or without; with --config, a configuration file
    old: PathBuf,
    /// The policy as it is to be; with --config, a configuration file
    new: PathBuf,
    /// Compare the grants of two configuration files: every grant that is added, removed or changed
    #[arg(long)]
    config: bool,
}

pub(super) fn run(args: &CompareArgs) -> Result<(), Failure> {
    if args.config { compare_configurations(args) } else { compare_policies(args) }
}

/// Prints nothing if the grants allow the same.
fn compare_configurations(args: &CompareArgs) -> Result<(), Failure> {
    let load = |file: &PathBuf| {
        let files = ConfigFiles { files: vec![file.clone()] };
        // Nothing is served, so the demo's configuration is accepted too.
        let settings = files.load(Mode::Demo);
        settings.map_err(|Failure { exit, message }| {
            Failure::new(exit, format!("{}: {message}", file.display()))
        })
    };
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    let changes = GrantChange::between(&old.rules.grants, &new.rules.grants);
    for change in &changes {
        print_change(change)?;
    }
    let (old, new) = (args.old.display(), args.new.display());
    if let Some(bound) = changes.iter().find_map(|change| change.undecided) {
        return Err(Failure::new(EXIT_CONFIG, format!("some grants cannot be compared: {bound}")));
    }
    if changes.iter().any(GrantChange::may_allow_more) {
        let message = format!("{new} allows, or may allow, what {old} does not");
        return Err(Failure::new(EXIT_WIDER, message));
    }
    Ok(())
}

fn print_change(change: &GrantChange) -> Result<(), Failure> {
    let grant = format!("grants.{}", change.grant);
    match change.kind {
        ChangeKind::Added => say(format_args!("{grant}: added"))?,
        ChangeKind::Removed => say(format_args!("{grant}: removed"))?,
        ChangeKind::Changed => {}
    }
    if let Some(request) = &change.no_longer_allows {
        say_line(format_args!("{grant}: no longer allows, for example, {request}"))?;
    }
    if let Some(request) = &change.also_allows {
        say_line(format_args!("{grant}: also allows, for example, {request}"))?;
    }
    change.notes().iter().try_for_each(|note| say_line(format_args!("{grant}: {note}")))
}

fn compare_policies(args: &CompareArgs) -> Result<(), Failure> {
    let (old, new) = (parse(&args.old)?, parse(&args.new)?);
    let added = new.inclusion_in(&old);
    let removed = old.inclusion_in(&new);
    if let (Inclusion::TooComplex(bound), _) | (_, Inclusion::TooComplex(bound)) =
        (&added, &removed)
    {
        return Err(Failure::new(EXIT_CONFIG, format!("the policies cannot be compared: {bound}")));
    }
    let (old, new) = (args.old.display(), args.new.display());
    if let Inclusion::Beyond(request) = &removed {
        say_line(format_args!("{new} no longer allows, for example, {request}"))?;
    }
    match &added {
        Inclusion::Beyond(request) => {
            say_line(format_args!("{new} also allows, for example, {request}"))?;
            Err(Failure::new(EXIT_WIDER, format!("{new} allows what {old} does not")))
        }
        Inclusion::Included if removed == Inclusion::Included => {
            say_line(format_args!("{old} and {new} allow the same"))
        }
        Inclusion::Included | Inclusion::TooComplex(_) => Ok(()),
    }
}

fn parse(file: &Path) -> Result<ComparablePolicy, Failure> {
    ComparablePolicy::parse(&read(file)?).map_err(|problems| {
        let lines: Vec<_> =
            problems.iter().map(|problem| format!("{}: {problem}", file.display())).collect();
        Failure::new(EXIT_CONFIG, lines.join("\n"))
    })
}
