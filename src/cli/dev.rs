//! `appserver dev`: the service, the emulated cloud and the page on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::emulator::{
    EmulatedServicesArgs, bind_emulator, emulator_settings, loopback, require_files,
};
use super::failure::{EXIT_UNAVAILABLE, Failure};
use super::output::{note, say};
use super::runtime::block_on;
use super::serve::{read, run, start_log_with_copy};
use super::signals::Signals;
use crate::app::App;
use crate::config::{self, Mode, Settings, read_text};
use crate::dev::{AuditLines, RecordSources, Setup, UploadBackend, greeting, routes};
use crate::telemetry::RecentLines;
use appserver_domain::clock::Clock;

/// The emulated OSS's address without `--oss-port`, as `config/dev.toml` has it.
const EMULATED_OSS: &str = "http://127.0.0.1:8091";
/// What `config/dev.toml` has for the backend inside `dev`, whose port the system chooses.
const DEMO_BACKEND: &str = "http://127.0.0.1:0/uploads";

/// The addresses that are known once they are bound, so that the configuration cannot have them.
#[derive(Clone, Debug)]
struct Addresses {
    sts: SocketAddr,
    oss: SocketAddr,
    /// Of the key that verifies the callbacks of the emulated OSS.
    callback_key_url: String,
    /// The URL of the backend that gets the reports of uploads.
    backend: String,
}

#[derive(Clone, Debug, Args)]
pub(super) struct DevArgs {
    /// The service's configuration; by default `config/dev.toml` where that exists, and otherwise a built-in demo
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The emulator's configuration; by default `config/emulator.toml` where that exists, and otherwise a built-in one
    #[arg(long, value_name = "FILE")]
    emulator_config: Option<PathBuf>,
    /// The service's port; 0 chooses a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The admin listener's port; 0 chooses a free one
    #[arg(long, default_value_t = 9090)]
    admin_port: u16,
    /// The emulated STS's port; 0 chooses a free one
    #[arg(long, default_value_t = 8090)]
    sts_port: u16,
    /// Replicas of the service, 1 to 10; each listens on the ports after those of the one before
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10))]
    replicas: u16,
    /// The Redis that they share, such as `redis://127.0.0.1:6379`; none by default
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    #[command(flatten)]
    services: EmulatedServicesArgs,
}

pub(super) fn dev(args: &DevArgs, signals: Signals) -> Result<(), Failure> {
    block_on(async {
        let named = args.clone();
        let emulator_settings = read(move || {
            let files = (named.config.as_deref(), named.emulator_config.as_deref());
            require_files(&[("--config", files.0), ("--emulator-config", files.1)])?;
            emulator_settings(files.1)
        });
        let Some(emulator_settings) = signals.unless_stopped(emulator_settings).await? else {
            return Ok(());
        };
        // Before the service's configuration is read, which contains the emulator's address: the system may choose it.
        let buckets = emulator_settings.buckets.clone();
        let emulator = bind_emulator(emulator_settings, args.sts_port, &args.services).await?;
        let sts = emulator.sts_addr();
        let oss = emulator.oss_addr().expect("`bind_emulator` has bound it");
        let ram = emulator.ram_addr().expect("`bind_emulator` has bound it");
        let metadata = emulator.metadata_addr().expect("`bind_emulator` has bound it");
        let backend = UploadBackend::bind().await.map_err(|error| {
            let message = format!("the demo's backend cannot listen on loopback: {error}");
            Failure::new(EXIT_UNAVAILABLE, message)
        })?;
        let addresses = Addresses {
            sts,
            oss,
            callback_key_url: emulator.oss_callback_key_url().expect("it has an OSS"),
            backend: backend.url(),
        };
        let asked = args.clone();
        let each = read(move || {
            (0..asked.replicas)
                .map(|index| settings(&asked, index, &addresses))
                .collect::<Result<Vec<_>, _>>()
        });
        let Some(mut settings) = signals.unless_stopped(each).await? else { return Ok(()) };
        // The page shows what each request leaves in them.
        let (audit_lines, log_lines) = (RecentLines::default(), RecentLines::default());
        for settings in &mut settings {
            settings.audit_in_memory(&audit_lines);
        }
        let audit_lines = AuditLines::of(&settings[0], audit_lines);
        let (log, _end) = start_log_with_copy(&settings[0], log_lines.clone())?;
        if args.config.is_none() && config::built_in(&config::demo_file("dev.toml")).is_some() {
            tracing::info!("using the built-in demo; `--config` names another configuration");
        }
        // The page shows nothing in which the servers differ.
        let setup = Setup::of(&settings[0], &buckets, oss, sts);
        let mut apps = Vec::new();
        for settings in settings {
            let started = async {
                Box::pin(App::start(settings, Clock::system())).await.map_err(|error| {
                    let Failure { exit, message } = error.into();
                    let message = format!(
                        "{message}; --port, --admin-port, --sts-port, --oss-port, --ram-port and --metadata-port choose other ports"
                    );
                    Failure::new(exit, message)
                })
            };
            let Some(app) = Box::pin(signals.unless_stopped(started)).await? else { return Ok(()) };
            // There is no load balancer that must notice the drain first.
            app.prompt().cancel();
            apps.push(app);
        }
        let records =
            RecordSources { audit: audit_lines, log: log_lines, emulator: emulator.control() };
        let metrics = apps.iter().map(App::metrics).collect();
        let pages = routes(&setup, metrics, records, backend.reports());
        let apps = apps.into_iter();
        let apps: Vec<_> =
            apps.map(|app| app.with_pages(pages.clone()).with_log(log.clone())).collect();
        let stop = signals.reload_and_stop(apps.iter().map(App::reloads).collect(), &[]);
        let emulator_stop = CancellationToken::new();
        let backend = tokio::spawn(backend.serve(emulator_stop.clone()));
        let emulator = tokio::spawn(emulator.serve(emulator_stop.clone()));
        let addresses: Vec<_> =
            apps.iter().map(|app| (app.public_addr(), app.admin_addr())).collect();
        let ready: Vec<_> = apps.iter().map(App::ready).collect();
        let emulated = [("STS", sts), ("OSS", oss), ("RAM", ram), ("metadata", metadata)];
        let greeting = async move {
            for ready in ready {
                ready.cancelled().await;
            }
            // A closed standard output does not stop the servers.
            if let Err(Failure { message, .. }) = say(greeting(&addresses, &emulated)) {
                note(format_args!("appserver: {message}"));
            }
        };
        let greeting = tokio::spawn(greeting);
        let ended = run_all(apps, stop).await;
        greeting.abort();
        emulator_stop.cancel();
        let _ = tokio::join!(emulator, backend);
        ended
    })
}

/// The settings of one server.
fn settings(args: &DevArgs, index: u16, addresses: &Addresses) -> Result<Settings, Failure> {
    let file = args.config.clone().unwrap_or_else(|| config::demo_file("dev.toml"));
    // Port 0 chooses a free one for each.
    let port = |first: u16| loopback(if first == 0 { 0 } else { first.saturating_add(index) });
    let mut environment = config::environment();
    let mut set = |key: &str, value: String| environment.insert(format!("APPSERVER__{key}"), value);
    set("SERVER__LISTEN", port(args.port).to_string());
    set("ADMIN__LISTEN", port(args.admin_port).to_string());
    set("STS__ENDPOINTS", format!("http://{}", addresses.sts));
    set("UPLOADS__CALLBACK_KEY_URL", addresses.callback_key_url.clone());
    for grant in grants_with(&file, &["oss", "endpoint"], EMULATED_OSS) {
        set(&format!("GRANTS__{grant}__OSS__ENDPOINT"), format!("http://{}", addresses.oss));
    }
    for grant in grants_with(&file, &["upload", "callback", "forward"], DEMO_BACKEND) {
        let key = format!("GRANTS__{grant}__UPLOAD__CALLBACK__FORWARD");
        set(&key, addresses.backend.clone());
    }
    if let Some(url) = &args.redis {
        set("STORE__KIND", "redis".to_owned());
        set("STORE__REDIS__URL", url.clone());
        set("STORE__REDIS__EXPECTED_REPLICAS", args.replicas.to_string());
    }
    Ok(config::load(&[file], &environment, Mode::Demo)?)
}

/// The grants that have this value at a path, which `dev` replaces. None of a file that cannot be read: loading it lists its
/// problems.
fn grants_with(config: &Path, path: &[&str], value: &str) -> Vec<String> {
    let built_in = config::built_in(config).map(str::to_owned);
    let text = built_in.or_else(|| read_text(config).ok());
    let table: toml::Table = text.and_then(|text| text.parse().ok()).unwrap_or_default();
    let grants = table.get("grants").and_then(toml::Value::as_table).into_iter().flatten();
    let has_it = |grant: &toml::Value| {
        let found = path.iter().try_fold(grant, |table, key| table.get(key));
        found.and_then(toml::Value::as_str) == Some(value)
    };
    grants.filter(|(_, grant)| has_it(grant)).map(|(name, _)| name.clone()).collect()
}

/// Runs the servers until `stop`; if one ends early, all end.
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
