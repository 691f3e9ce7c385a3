//! `appserver check`.

use clap::Args;

use super::config_files::ConfigFiles;
use super::failure::Failure;
use super::output::say;
use crate::config::{Problem, SecretsToo};
use appserver_domain::clock::Clock;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigFiles,
    /// Skip the AccessKey, other secret files, and whether the audit file can be written: for a pipeline that has no secrets
    /// and is not the machine of the service
    #[arg(long)]
    without_access_key: bool,
}

pub(super) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let secrets = if args.without_access_key { SecretsToo::No } else { SecretsToo::Yes };
    let settings = args.config.load_for_check(secrets);
    let checked = settings.and_then(|settings| {
        if args.without_access_key {
            Ok(settings.warnings)
        } else {
            let secrets = settings.check_machine()?;
            let now = Clock::system().now();
            Ok(settings.warnings.into_iter().chain(secrets.warning(now)).collect())
        }
    });
    match checked {
        Ok(warnings) => {
            say("The configuration is valid.")?;
            for Problem { path, message } in &warnings {
                say(format_args!("warning: {path}: {message}"))?;
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
