//! `appserver check`.

use std::path::PathBuf;

use clap::Args;

use super::config_files::ConfigFiles;
use super::failure::Failure;
use super::output::{say, say_line};
use crate::config::{self, Problem, SecretsToo};
use appserver_domain::clock::Clock;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// A configuration file, as with `--config`; overrides files that are named with it
    #[arg(value_name = "FILE")]
    arguments: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigFiles,
    /// Skip the AccessKey, other secret files, and whether the audit file can be written: for a pipeline that has no secrets
    /// and is not the machine of the service
    #[arg(long)]
    without_access_key: bool,
    /// Print the built-in defaults, which document every key, and check nothing
    #[arg(long, exclusive = true)]
    defaults: bool,
}

pub(super) fn check(args: &CheckArgs) -> Result<(), Failure> {
    if args.defaults {
        return say(config::defaults().trim_end());
    }
    let secrets = if args.without_access_key { SecretsToo::No } else { SecretsToo::Yes };
    let mut config = args.config.clone();
    config.files.extend_from_slice(&args.arguments);
    let settings = config.load_for_check(secrets);
    let checked = settings.and_then(|settings| {
        let now = Clock::system().now();
        if args.without_access_key {
            let mut of_rollout = settings.rollout_warnings(secrets);
            of_rollout.extend(settings.revoked_warnings(&settings.read_revoked(now)?, now));
            Ok((of_rollout, settings.warnings))
        } else {
            let certificate = settings.check_machine(now)?.warning(now);
            let mut of_rollout = settings.rollout_warnings(secrets);
            of_rollout.extend(certificate);
            of_rollout.extend(settings.revoked_warnings(&settings.read_revoked(now)?, now));
            Ok((of_rollout, settings.warnings))
        }
    });
    match checked {
        Ok((of_rollout, warnings)) => {
            say("The configuration is valid.")?;
            for Problem { path, message } in warnings.iter().chain(&of_rollout) {
                say_line(format_args!("warning: {path}: {message}"))?;
            }
        }
        // The problems are this command's result.
        Err(Failure { exit, message }) => {
            say(message)?;
            return Err(Failure::new(exit, "the configuration cannot be served"));
        }
    }
    Ok(())
}
