//! `appserver emulator`: the emulated STS, OSS, RAM and ECS metadata on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{EXIT_CONFIG, EXIT_UNAVAILABLE, Failure};
use super::output::say;
use super::runtime::block_on;
use super::serve::read;
use super::signals::Signals;
use crate::config::{built_in, check_regular, demo_file};
use crate::telemetry;
use appserver_domain::clock::Clock;
use appserver_emulator::{
    Emulator, EmulatorProblem, EmulatorSettings, NewAccountRules, OssProblem, RamProblem,
};

#[derive(Debug, Args)]
pub(super) struct EmulatorArgs {
    /// The emulator's configuration; by default `config/emulator.toml` where that exists, and otherwise a built-in one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The emulated STS's port on loopback; 0 chooses a free one
    #[arg(long, default_value_t = 8090)]
    sts_port: u16,
    #[command(flatten)]
    services: EmulatedServicesArgs,
}

#[derive(Clone, Debug, Args)]
pub(super) struct EmulatedServicesArgs {
    /// The emulated OSS's port on loopback; 0 chooses a free one
    #[arg(long, default_value_t = 8091)]
    oss_port: u16,
    /// The port of the emulated RAM and IMS on loopback; 0 chooses a free one
    #[arg(long, default_value_t = 8092)]
    ram_port: u16,
    /// The emulated ECS metadata server's port on loopback; 0 chooses a free one
    #[arg(long, default_value_t = 8093)]
    metadata_port: u16,
    /// The folder for the emulated OSS's objects and the emulated RAM's changes; in memory by default
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The emulated OSS refuses V1 signatures, as OSS does for new accounts and buckets, and logs the SDK's setting for V4
    #[arg(long)]
    refuse_v1: bool,
    /// The emulated OSS serves objects at custom domains of buckets only, as OSS does for new accounts in the Chinese mainland
    #[arg(long)]
    refuse_public_endpoint: bool,
}

pub(super) fn emulator(args: &EmulatorArgs, signals: Signals) -> Result<(), Failure> {
    let log = telemetry::start_log(false, "info");
    let _log = log.map_err(|error| Failure::new(EXIT_CONFIG, error))?;
    block_on(async {
        let path = args.config.clone();
        let settings = read(move || {
            require_files(&[("--config", path.as_deref())])?;
            emulator_settings(path.as_deref())
        });
        let Some(settings) = signals.unless_stopped(settings).await? else { return Ok(()) };
        let emulator = bind_emulator(settings, args.sts_port, &args.services).await?;
        say(format_args!("Emulated STS on http://{}", emulator.sts_addr()))?;
        if let Some(oss) = emulator.oss_addr() {
            say(format_args!("Emulated OSS on http://{oss}"))?;
        }
        if let Some(ram) = emulator.ram_addr() {
            say(format_args!("Emulated RAM on http://{ram}"))?;
        }
        if let Some(metadata) = emulator.metadata_addr() {
            say(format_args!("Emulated metadata on http://{metadata}"))?;
        }
        emulator.serve(signals.stop()).await;
        Ok(())
    })
}

/// The settings of this file, or of the demo without one.
pub(super) fn emulator_settings(named: Option<&Path>) -> Result<EmulatorSettings, Failure> {
    let path = named.map_or_else(|| demo_file("emulator.toml"), Path::to_owned);
    let settings = if let Some(text) = built_in(&path) {
        EmulatorSettings::from_toml(text)
    } else {
        // One that is named may be a pipe. One that is found may be something else of this name.
        if named.is_none() {
            check_regular(&path).map_err(|error| {
                let message = format!("{}: it cannot be read: {error}", path.display());
                Failure::new(EXIT_CONFIG, message)
            })?;
        }
        EmulatorSettings::from_file(&path)
    };
    settings.map_err(|problem| {
        let cause = match &problem {
            EmulatorProblem::Unreadable { source, .. } => format!("it cannot be read: {source}"),
            EmulatorProblem::Shape { .. }
            | EmulatorProblem::OfAppServer
            | EmulatorProblem::Fields(_) => problem.to_string(),
        };
        Failure::new(EXIT_CONFIG, format!("{}: {cause}", path.display()))
    })
}

/// Names all files that do not exist at once.
pub(super) fn require_files(named: &[(&str, Option<&Path>)]) -> Result<(), Failure> {
    let named = named.iter().filter_map(|(option, path)| Some((option, (*path)?)));
    let missing = named.filter(|(_, path)| matches!(path.try_exists(), Ok(false)));
    let (options, paths): (Vec<_>, Vec<_>) = missing
        .map(|(option, path)| (format!("{option} FILE"), format!("`{}`", path.display())))
        .unzip();
    if paths.is_empty() {
        return Ok(());
    }
    let message = format!(
        "there is no file {}: name an existing one by {}, or none for the demo",
        paths.join(" and no file "),
        options.join(" and ")
    );
    Err(Failure::new(EXIT_CONFIG, message))
}

pub(super) async fn bind_emulator(
    settings: EmulatorSettings,
    port: u16,
    services: &EmulatedServicesArgs,
) -> Result<Emulator, Failure> {
    let address = loopback(port);
    let emulator = Emulator::bind(settings, address, Clock::system()).await.map_err(|error| {
        let message = format!(
            "cannot listen on {address} (emulated STS): {error}; choose another --sts-port"
        );
        Failure::new(EXIT_UNAVAILABLE, message)
    })?;
    let emulator = emulator.with_new_account_rules(NewAccountRules {
        refuse_v1: services.refuse_v1,
        refuse_public_endpoint: services.refuse_public_endpoint,
    });
    let address = loopback(services.oss_port);
    let emulator =
        emulator.with_oss(address, services.data.as_deref()).await.map_err(|problem| {
            let message = match problem {
                OssProblem::Listen(error) => format!(
                    "cannot listen on {address} (emulated OSS): {error}; choose another --oss-port"
                ),
                OssProblem::Data(error) => {
                    format!("the emulated OSS cannot keep objects in --data: {error}")
                }
                OssProblem::Callbacks(error) => {
                    format!("the emulated OSS cannot send callbacks: {error}")
                }
            };
            Failure::new(EXIT_UNAVAILABLE, message)
        })?;
    let address = loopback(services.ram_port);
    let emulator =
        emulator.with_ram(address, services.data.as_deref()).await.map_err(|problem| {
            let message = match problem {
                RamProblem::Listen(error) => format!(
                    "cannot listen on {address} (emulated RAM): {error}; choose another --ram-port"
                ),
                RamProblem::Data(problem) => format!("the emulated RAM cannot start: {problem}"),
            };
            Failure::new(EXIT_UNAVAILABLE, message)
        })?;
    let address = loopback(services.metadata_port);
    emulator.with_metadata(address).await.map_err(|error| {
        let message = format!(
            "cannot listen on {address} (emulated metadata): {error}; choose another --metadata-port"
        );
        Failure::new(EXIT_UNAVAILABLE, message)
    })
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
