//! `appserver policy render` and `appserver policy lint`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConfigFiles, EXIT_CONFIG, Failure};
use crate::auth::Caller;
use crate::clock::Clock;
use crate::config::Mode;
use crate::domain::{ClientId, Subject};
use crate::grant::Asked;
use crate::policy::{Breadth, lint_file};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Print the exact JSON that would go to STS for a caller
    Render(RenderArgs),
    /// Print every problem of policy template files; the exit code is 64 if there is one
    Lint {
        /// Files of RAM JSON with placeholders
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Let in what allows every action or bucket, as a grant's `allow_broad` does
        #[arg(long)]
        allow_broad: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    #[command(flatten)]
    config: ConfigFiles,
    /// The client that would call
    #[arg(long)]
    client: ClientId,
    /// The grant; may be left out where the client has exactly one
    #[arg(long)]
    grant: Option<String>,
    /// The user behind the call
    #[arg(long)]
    subject: Option<Subject>,
    /// A parameter of the request
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// A claim of the user's token
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = pair)]
    claims: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Render(args) => render(args),
        PolicyCommand::Lint { files, allow_broad } => {
            lint(&files, if allow_broad { Breadth::Broad } else { Breadth::Narrow })
        }
    }
}

fn render(args: RenderArgs) -> Result<(), Failure> {
    // Nothing is served, so the demo's configuration may be tried out as well.
    let settings = args.config.load(Mode::Demo)?;
    let caller = Caller::imagined(args.client, args.subject, args.claims.into_iter().collect());
    let parameters: BTreeMap<_, _> = args.params.into_iter().collect();
    let asked = Asked { grant: args.grant, duration_secs: None, parameters };
    let grant = settings.grants.decide(&caller, &asked, Clock::system().now());
    let grant = grant.map_err(|refusal| Failure::new(EXIT_CONFIG, refusal))?;
    println!("{}", grant.into_role_session().policy.as_str());
    Ok(())
}

fn lint(files: &[PathBuf], breadth: Breadth) -> Result<(), Failure> {
    let mut count = 0;
    for file in files {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::new(EXIT_CONFIG, format!("{}: {error}", file.display())))?;
        for problem in lint_file(&text, breadth) {
            println!("{}: {problem}", file.display());
            count += 1;
        }
    }
    match count {
        0 => Ok(()),
        _ => Err(Failure::new(EXIT_CONFIG, format!("{count} problem(s) in the policy templates"))),
    }
}
