//! The command line. Results go to standard output, everything else to standard error, both through `output`: `println!` panics if
//! the pipe is closed.

mod administrator_key;
mod audit;
mod check;
mod client;
mod config_files;
#[cfg(feature = "emulator")]
mod dev;
mod doctor;
#[cfg(feature = "emulator")]
mod emulator;
mod failure;
mod healthcheck;
mod output;
mod plan_capacity;
mod policy;
mod policy_compare;
mod revoke;
mod runtime;
mod serve;
mod setup;
mod signals;
mod still_out;

use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::config;
use crate::telemetry::{escaped, log_panics};
use appserver_domain::ClientId;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use audit::fuzz_audit;
use config_files::ConfigFiles;
use failure::Failure;
use output::note;
use signals::Signals;

#[cfg(feature = "emulator")]
const EXAMPLES: &str = "\
Examples:
  appserver dev                              everything on loopback, no cloud account needed
  appserver client new photo-app-ios         a client's secret, and its configuration
  appserver check --config appserver.toml    every problem of a configuration
  appserver setup plan --config appserver.toml --account UID
                                             what it needs in an Alibaba Cloud account
  appserver doctor --config appserver.toml   the same, tested on the real cloud
  appserver serve --config appserver.toml    the service";
#[cfg(not(feature = "emulator"))]
const EXAMPLES: &str = "\
Examples:
  appserver client new photo-app-ios         a client's secret, and its configuration
  appserver check --config appserver.toml    every problem of a configuration
  appserver setup plan --config appserver.toml --account UID
                                             what it needs in an Alibaba Cloud account
  appserver doctor --config appserver.toml   the same, tested on the real cloud
  appserver serve --config appserver.toml    the service";

/// Vends narrowed, temporary Alibaba Cloud credentials to mobile apps.
#[derive(Debug, Parser)]
#[command(name = "appserver", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(ConfigFiles),
    /// Run everything at once on loopback: the service with its demo clients, and emulated STS, OSS, RAM and ECS metadata
    #[cfg(feature = "emulator")]
    Dev(dev::DevArgs),
    /// Run the emulated STS, OSS, RAM and ECS metadata alone, for other projects' tests
    #[cfg(feature = "emulator")]
    Emulator(emulator::EmulatorArgs),
    /// Print every problem of a configuration; the exit code is 64 if there is one
    Check(check::CheckArgs),
    /// Test a configuration on the real cloud: endpoints, clock, identity, one AssumeRole for each role, the store
    Doctor(doctor::DoctorArgs),
    /// Plan, make and check what AppServer needs in an Alibaba Cloud account
    #[command(subcommand)]
    Setup(Box<setup::SetupCommand>),
    /// Test policy templates
    #[command(subcommand)]
    Policy(Box<policy::PolicyCommand>),
    /// Search the audit
    #[command(subcommand)]
    Audit(Box<audit::AuditCommand>),
    /// Compute what a fleet of phones needs: calls of STS against its quota, replicas, memory, Redis
    PlanCapacity(plan_capacity::PlanCapacityArgs),
    /// Describe the configuration to other programs
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Refuse a user, a client, a ticket, a token or an issuer until a time, on all replicas
    Revoke(Box<revoke::RevokeArgs>),
    /// Register clients
    #[command(subcommand)]
    Client(ClientCommand),
    /// Ask the admin listener whether the service is alive; for containers without a shell
    Healthcheck(healthcheck::HealthcheckArgs),
}

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// Make a 256-bit secret; print it once, with the configuration that holds its hash
    New {
        /// 2 to 32 characters of a-z, 0-9 and `-`
        id: ClientId,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the JSON Schema (2020-12) of a configuration file, for editors and pipelines
    Schema,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    // Before anything else: a signal that is not caught ends the process.
    let signals = Signals::catch_for(std::env::args_os().nth(1).as_deref());
    // Before anything is read, which may be secret.
    log_panics();
    let command = Cli::try_parse().unwrap_or_else(|error| exit_with(error)).command;
    let signals = || signals.unwrap_or_else(Signals::catch);
    let done = match command {
        Command::Serve(config) => serve::serve(&config, signals()),
        #[cfg(feature = "emulator")]
        Command::Dev(args) => dev::dev(&args, signals()),
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => emulator::emulator(&args, signals()),
        Command::Check(args) => check::check(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Setup(command) => setup::run(&command),
        Command::Policy(command) => policy::run(*command),
        Command::Audit(command) => audit::run(*command),
        Command::PlanCapacity(args) => plan_capacity::plan_capacity(&args),
        Command::Config(ConfigCommand::Schema) => output::say(config::schema()),
        Command::Revoke(args) => revoke::revoke(&args),
        Command::Client(ClientCommand::New { id }) => client::new(&id),
        Command::Healthcheck(args) => healthcheck::healthcheck(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, message }) => {
            note(format_args!("appserver: {message}"));
            ExitCode::from(exit)
        }
    }
}

/// Prints the command line's error and ends the process. A file without `--config` is a frequent one.
fn exit_with(error: clap::Error) -> ! {
    let unexpected = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(argument))) => argument.as_str(),
        _ => "",
    };
    if Path::new(unexpected).extension().is_some_and(|extension| extension == "toml") {
        note(format_args!(
            "appserver: a configuration is named with --config: `--config {unexpected}`"
        ));
    }
    // clap quotes arguments as they are.
    let arguments = std::env::args_os().map(|one| escaped(&one.to_string_lossy()).into_owned());
    if let Err(error) = Cli::try_parse_from(arguments) {
        error.exit();
    }
    note(error.render());
    std::process::exit(error.exit_code())
}
