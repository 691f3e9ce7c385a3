//! `appserver dev` and `appserver emulator`: everything on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::output::{note, say};
use super::page::{self, Setup};
use super::serve::{read, run, start_log};
use super::signals::Signals;
use super::{EXIT_CONFIG, EXIT_UNAVAILABLE, Failure, block_on};
use crate::app::App;
use crate::config::{self, Mode, Settings};
use crate::telemetry;
use appserver_domain::clock::Clock;
use appserver_emulator::{Emulator, EmulatorProblem, EmulatorSettings, OssProblem, demo_jwt};

#[derive(Clone, Debug, Args)]
pub(super) struct DevArgs {
    /// The service's configuration
    #[arg(long, value_name = "FILE", default_value = "config/dev.toml")]
    config: PathBuf,
    /// The emulator's configuration
    #[arg(long, value_name = "FILE", default_value = "config/emulator.toml")]
    emulator_config: PathBuf,
    /// The service's port; 0 is any free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The admin listener's port; 0 is any free one
    #[arg(long, default_value_t = 9090)]
    admin_port: u16,
    /// The emulated STS's port; 0 is any free one
    #[arg(long, default_value_t = 8090)]
    sts_port: u16,
    /// Servers, 1 to 10, each on the next two ports
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10))]
    replicas: u16,
    /// What they share: redis://127.0.0.1:6379; without it nothing
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    #[command(flatten)]
    oss: OssArgs,
}

#[derive(Debug, Args)]
pub(super) struct EmulatorArgs {
    /// The emulator's configuration
    #[arg(long, value_name = "FILE", default_value = "config/emulator.toml")]
    config: PathBuf,
    /// The emulated STS's port on loopback; 0 is any free one
    #[arg(long, default_value_t = 8090)]
    sts_port: u16,
    #[command(flatten)]
    oss: OssArgs,
}

#[derive(Clone, Debug, Args)]
struct OssArgs {
    /// The emulated OSS's port on loopback; 0 is any free one
    #[arg(long, default_value_t = 8091)]
    oss_port: u16,
    /// Where the emulated OSS keeps its objects; in memory, if absent
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) fn dev(args: &DevArgs, signals: Signals) -> Result<(), Failure> {
    block_on(async {
        let named = args.clone();
        let emulator_settings = read(move || {
            let (config, emulator_config) = (&named.config, &named.emulator_config);
            found("dev", &[("--config", config), ("--emulator-config", emulator_config)])?;
            emulator_settings(emulator_config)
        });
        let Some(emulator_settings) = signals.unless_stopped(emulator_settings).await? else {
            return Ok(());
        };
        // Before the service's configuration is read: it names the emulator's address, which the system may choose.
        let buckets = emulator_settings.buckets.clone();
        let emulator = bind_emulator(emulator_settings, args.sts_port, &args.oss).await?;
        let sts = emulator.sts_addr();
        let oss = emulator.oss_addr().expect("`bind_emulator` has bound it");
        let asked = args.clone();
        let each = read(move || {
            (0..asked.replicas)
                .map(|index| settings(&asked, index, sts))
                .collect::<Result<Vec<_>, _>>()
        });
        let Some(settings) = signals.unless_stopped(each).await? else { return Ok(()) };
        let (log, _end) = start_log(&settings[0])?;
        // The servers differ in nothing that the page tells.
        let setup = Setup::of(&settings[0], &buckets, oss);
        let mut apps = Vec::new();
        for settings in settings {
            let started = async {
                App::start(settings, Clock::system()).await.map_err(|error| {
                    let Failure { exit, message } = error.into();
                    let message = format!(
                        "{message}; --port, --admin-port, --sts-port and --oss-port choose other ports"
                    );
                    Failure::new(exit, message)
                })
            };
            let Some(app) = signals.unless_stopped(started).await? else { return Ok(()) };
            // No balancer sends callers here.
            app.prompt().cancel();
            apps.push(app);
        }
        let pages = page::routes(&setup, apps.iter().map(App::metrics).collect());
        let apps = apps.into_iter();
        let apps: Vec<_> =
            apps.map(|app| app.with_pages(pages.clone()).with_log(log.clone())).collect();
        let stop = signals.reload_and_stop(apps.iter().map(App::reloads).collect(), &[]);
        let emulator_stop = CancellationToken::new();
        let emulator = tokio::spawn(emulator.serve(emulator_stop.clone()));
        let addresses: Vec<_> =
            apps.iter().map(|app| (app.public_addr(), app.admin_addr())).collect();
        let ready: Vec<_> = apps.iter().map(App::ready).collect();
        let greeting = async move {
            for ready in ready {
                ready.cancelled().await;
            }
            // Servers go on without a reader, as `serve` does.
            if let Err(Failure { message, .. }) = say(greeting(&addresses, sts, oss)) {
                note(format_args!("appserver: {message}"));
            }
        };
        let greeting = tokio::spawn(greeting);
        let ended = run_all(apps, stop).await;
        greeting.abort();
        emulator_stop.cancel();
        let _ = emulator.await;
        ended
    })
}

/// The settings of one of the servers.
fn settings(args: &DevArgs, index: u16, sts: SocketAddr) -> Result<Settings, Failure> {
    // Port 0 is any free one, for each.
    let port = |first: u16| loopback(if first == 0 { 0 } else { first.saturating_add(index) });
    let mut environment = config::environment();
    let mut set = |key: &str, value: String| environment.insert(format!("APPSERVER__{key}"), value);
    set("SERVER__LISTEN", port(args.port).to_string());
    set("ADMIN__LISTEN", port(args.admin_port).to_string());
    set("STS__ENDPOINTS", format!("http://{sts}"));
    if let Some(url) = &args.redis {
        set("STORE__KIND", "redis".to_owned());
        set("STORE__REDIS__URL", url.clone());
        set("STORE__REDIS__EXPECTED_REPLICAS", args.replicas.to_string());
    }
    Ok(config::load(std::slice::from_ref(&args.config), &environment, Mode::Demo)?)
}

/// Runs the servers until `stop`; if one ends before, all do.
async fn run_all(apps: Vec<App>, stop: CancellationToken) -> Result<(), Failure> {
    let running: Vec<_> = apps
        .into_iter()
        .map(|app| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let ended = run(app, stop.clone()).await;
                stop.cancel();
                ended
            })
        })
        .collect();
    let mut ended = Ok(());
    for server in running {
        ended = ended.and(server.await.expect("a server does not panic"));
    }
    ended
}

pub(super) fn emulator(args: &EmulatorArgs, signals: Signals) -> Result<(), Failure> {
    let log = telemetry::start_log(false, "info");
    let _log = log.map_err(|error| Failure::new(EXIT_CONFIG, error))?;
    block_on(async {
        let path = args.config.clone();
        let settings = read(move || {
            found("emulator", &[("--config", &path)])?;
            emulator_settings(&path)
        });
        let Some(settings) = signals.unless_stopped(settings).await? else { return Ok(()) };
        let emulator = bind_emulator(settings, args.sts_port, &args.oss).await?;
        say(format_args!("Emulated STS on http://{}", emulator.sts_addr()))?;
        if let Some(oss) = emulator.oss_addr() {
            say(format_args!("Emulated OSS on http://{oss}"))?;
        }
        emulator.serve(signals.stop()).await;
        Ok(())
    })
}

fn emulator_settings(path: &Path) -> Result<EmulatorSettings, Failure> {
    EmulatorSettings::from_file(path).map_err(|problem| {
        let cause = match &problem {
            EmulatorProblem::Unreadable { source, .. } => format!("it cannot be read: {source}"),
            EmulatorProblem::Shape { .. } | EmulatorProblem::Fields(_) => problem.to_string(),
        };
        Failure::new(EXIT_CONFIG, format!("{}: {cause}", path.display()))
    })
}

/// The files that the command reads by default lie in the repository; elsewhere the operator must name others.
fn found(command: &str, files: &[(&str, &Path)]) -> Result<(), Failure> {
    let missing = files.iter().filter(|(_, path)| matches!(path.try_exists(), Ok(false)));
    let (options, paths): (Vec<_>, Vec<_>) = missing
        .map(|(option, path)| (format!("{option} FILE"), format!("`{}`", path.display())))
        .unzip();
    if paths.is_empty() {
        return Ok(());
    }
    let message = format!(
        "there is no file {}: run `appserver {command}` in AppServer's repository, or name other files by {}",
        paths.join(" and no file "),
        options.join(" and ")
    );
    Err(Failure::new(EXIT_CONFIG, message))
}

async fn bind_emulator(
    settings: EmulatorSettings,
    port: u16,
    oss: &OssArgs,
) -> Result<Emulator, Failure> {
    let address = loopback(port);
    let emulator = Emulator::bind(settings, address, Clock::system()).await.map_err(|error| {
        let message = format!(
            "cannot listen on {address} (emulated STS): {error}; choose another --sts-port"
        );
        Failure::new(EXIT_UNAVAILABLE, message)
    })?;
    let address = loopback(oss.oss_port);
    emulator.with_oss(address, oss.data.as_deref()).await.map_err(|problem| {
        let message = match problem {
            OssProblem::Listen(error) => format!(
                "cannot listen on {address} (emulated OSS): {error}; choose another --oss-port"
            ),
            OssProblem::Data(error) => {
                format!("the emulated OSS cannot keep objects in --data: {error}")
            }
        };
        Failure::new(EXIT_UNAVAILABLE, message)
    })
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Lines that work as they are, pasted into another terminal.
fn greeting(servers: &[(SocketAddr, SocketAddr)], sts: SocketAddr, oss: SocketAddr) -> String {
    let (public, admin) = servers[0];
    let others: String = servers[1..]
        .iter()
        .map(|(public, admin)| format!("Another on http://{public} (admin http://{admin}).\n"))
        .collect();
    let jwt = demo_jwt("alice", Clock::system().now());
    format!(
        "
AppServer vends on http://{public} (admin http://{admin}, emulated STS http://{sts}, OSS http://{oss}).
{others}
See a token work:
  http://{public}/dev/
A token that reads the photos of 2015-01-01 and nothing else:
  curl -u client-002:client-002-demo-secret http://{public}/v1/token
The photos of an album that the caller names:
  curl -u client-003:client-003-demo-secret 'http://{public}/v1/token?Parameters.album=2015'
Refused, because a wildcard would widen the policy:
  curl -u client-003:client-003-demo-secret 'http://{public}/v1/token?Parameters.album=*'
The photos of a user, whom their identity provider's token proves:
  curl -H \"Authorization: Bearer $(curl -s 'http://{public}/dev/jwt?user=alice' | jq -r .Jwt)\" http://{public}/v1/token
The token of the identity provider's user `alice`, good for an hour, for your own app to send:
  {jwt}
A token for an SDK that takes nothing but a URL:
  curl \"$(curl -s -u client-002:client-002-demo-secret -X POST http://{public}/v1/tickets | jq -r .Url)\"
What a client may have:
  curl -u client-002:client-002-demo-secret http://{public}/v1/whoami
What operators watch:
  curl http://{admin}/metrics

Ctrl-C ends it."
    )
}
