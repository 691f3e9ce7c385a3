//! `appserver policy compare`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{EXIT_CONFIG, Failure};
use super::output::say;
use super::policy::read;
use appserver_policy::{ComparablePolicy, Inclusion};

/// The new policy allows what the old one does not.
const EXIT_WIDER: u8 = 1;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The policy as it was: RAM JSON, with placeholders or without
    old: PathBuf,
    /// The policy as it is to be
    new: PathBuf,
}

pub(super) fn run(args: &CompareArgs) -> Result<(), Failure> {
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
        say(format_args!("{new} no longer allows, for example, {request}"))?;
    }
    match &added {
        Inclusion::Beyond(request) => {
            say(format_args!("{new} also allows, for example, {request}"))?;
            Err(Failure::new(EXIT_WIDER, format!("{new} allows what {old} does not")))
        }
        Inclusion::Included if removed == Inclusion::Included => {
            say(format_args!("{old} and {new} allow the same"))
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
