//! The command line. Results go to standard output, everything else to standard error; both by `output`, and never by
//! `println!`, which panics where nobody reads.

mod audit;
mod client;
#[cfg(feature = "emulator")]
mod dev;
mod doctor;
#[cfg(feature = "emulator")]
mod emulator;
mod healthcheck;
mod output;
mod policy;
mod serve;
mod signals;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::app::StartError;
use crate::config::{self, Mode, Problem, Problems, SecretsToo, Settings};
use crate::telemetry::{log_panics, with_causes};
use appserver_domain::ClientId;
use appserver_domain::clock::Clock;
use output::{note, say};
use signals::Signals;

/// The configuration or the command line is wrong (BSD's EX_USAGE).
const EXIT_CONFIG: u8 = 64;
/// Something that is needed is not to be had, such as an address (EX_UNAVAILABLE).
const EXIT_UNAVAILABLE: u8 = 69;
/// Results cannot be written, as on a full disk (EX_IOERR).
const EXIT_IO: u8 = 74;
/// The AccessKey must not be used (EX_NOPERM).
const EXIT_KEY_REFUSED: u8 = 77;

#[cfg(feature = "emulator")]
const EXAMPLES: &str = "\
Examples:
  appserver dev                              everything on loopback, no cloud account needed
  appserver client new photo-app-ios         a client's secret, and its configuration
  appserver check --config appserver.toml    every problem of a configuration
  appserver doctor --config appserver.toml   the same, tried on the real cloud
  appserver serve --config appserver.toml    the service";
#[cfg(not(feature = "emulator"))]
const EXAMPLES: &str = "\
Examples:
  appserver client new photo-app-ios         a client's secret, and its configuration
  appserver check --config appserver.toml    every problem of a configuration
  appserver doctor --config appserver.toml   the same, tried on the real cloud
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
    /// Run everything at once on loopback: the service with its demo clients, and emulated STS and OSS
    #[cfg(feature = "emulator")]
    Dev(dev::DevArgs),
    /// Run the emulated STS and OSS alone, for other projects' tests
    #[cfg(feature = "emulator")]
    Emulator(emulator::EmulatorArgs),
    /// Print every problem of a configuration; the exit code is 64 if there is one
    Check(CheckArgs),
    /// Try a configuration on the real cloud: endpoints, clock, AccessKey, one AssumeRole for each role, the store
    Doctor(doctor::DoctorArgs),
    /// Try out policy templates
    #[command(subcommand)]
    Policy(Box<policy::PolicyCommand>),
    /// Search the audit
    #[command(subcommand)]
    Audit(Box<audit::AuditCommand>),
    /// Register clients
    #[command(subcommand)]
    Client(ClientCommand),
    /// Ask the admin listener whether the service lives; for containers without a shell
    Healthcheck(healthcheck::HealthcheckArgs),
}

#[derive(Clone, Debug, Args)]
struct ConfigFiles {
    /// A configuration file; may be repeated, later files come over earlier ones
    #[arg(long = "config", value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigFiles,
    /// Leave out the AccessKey, what else is read from secret files, and whether the audit's file can be written here,
    /// as in a pipeline that must not hold secrets and is not the machine of the service
    #[arg(long)]
    without_access_key: bool,
}

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// Make a 256-bit secret; print it once, with the configuration that holds its hash
    New {
        /// 2 to 32 characters of a-z, 0-9 and `-`
        id: ClientId,
    },
}

impl ConfigFiles {
    fn load(&self, mode: Mode) -> Result<Settings, Failure> {
        Ok(config::load(&self.files, &config::environment(), mode)?)
    }

    /// All that is wrong, these secrets included.
    fn load_for_check(&self, secrets: SecretsToo) -> Result<Settings, Failure> {
        let (environment, mode) = (config::environment(), Mode::Production);
        Ok(config::load_for_check(&self.files, &environment, mode, secrets)?)
    }
}

/// Why a command failed: the exit code, and what the operator reads.
#[derive(Debug)]
struct Failure {
    exit: u8,
    message: String,
}

impl Failure {
    fn new(exit: u8, message: impl Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let count = problems.iter().count();
        let noun = if count == 1 { "problem" } else { "problems" };
        Self::new(EXIT_CONFIG, format!("the configuration has {count} {noun}:\n{problems}"))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Secrets(problems) => problems.into(),
            StartError::Listen { .. }
            | StartError::Tls(_)
            | StartError::IssuersTls(_)
            | StartError::Tracing(_)
            | StartError::Store(_) => Self::new(EXIT_UNAVAILABLE, with_causes(&error)),
        }
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    // Before anything else: a signal that is not caught ends the process.
    let signals = Signals::catch_for(std::env::args_os().nth(1).as_deref());
    // Before anything is read: what is read first may be secret, too.
    log_panics();
    let command = Cli::parse().command;
    let signals = || signals.unwrap_or_else(Signals::catch);
    let done = match command {
        Command::Serve(config) => serve::serve(&config, signals()),
        #[cfg(feature = "emulator")]
        Command::Dev(args) => dev::dev(&args, signals()),
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => emulator::emulator(&args, signals()),
        Command::Check(args) => check(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Policy(command) => policy::run(*command),
        Command::Audit(command) => audit::run(*command),
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

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let secrets = if args.without_access_key { SecretsToo::No } else { SecretsToo::Yes };
    let settings = args.config.load_for_check(secrets);
    let checked = settings.and_then(|settings| match args.without_access_key {
        true => Ok(settings.warnings),
        false => {
            let secrets = settings.check_machine()?;
            let now = Clock::system().now();
            Ok(settings.warnings.into_iter().chain(secrets.warnings(now)).collect())
        }
    });
    match checked {
        Ok(warnings) => {
            say("The configuration is sound.")?;
            for Problem { path, message } in &warnings {
                say(format_args!("note: {path}: {message}"))?;
            }
        }
        // The problems are this command's result.
        Err(Failure { exit, message }) => {
            say(message)?;
            return Err(Failure::new(exit, "not fit to be served"));
        }
    }
    Ok(())
}

/// How long what is still going on may take to end: threads that read files which hang never do.
const LEFT_OVER: Duration = Duration::from_millis(200);

/// A runtime for the commands that wait.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("the system gives us threads");
    let done = runtime.block_on(future);
    runtime.shutdown_timeout(LEFT_OVER);
    done
}
