//! Reads the configuration: files, environment → raw mirror → resolved [`Settings`], or every problem at once.
//!
//! Layers, later ones over earlier ones: the built-in defaults (`config/default.toml`), the `--config` files
//! (tables merge), the environment (`APPSERVER__SECTION__KEY`; a single underscore after the prefix would
//! collide with variables that Kubernetes injects for a Service of that name).

mod access_key;
mod advice;
mod audit;
mod clients;
mod field;
mod file_reads;
mod files;
mod grants;
mod issuer_keys;
mod issuers;
mod layers;
mod limits;
mod node;
mod problems;
mod providers;
mod raw;
mod readings;
mod reload;
mod resolve;
mod restart;
mod secret_file;
mod server;
mod settings;
mod shared_subjects;
mod source;
mod store;
mod sts;
mod tables;
mod tickets;
mod tls;
mod tracing;
mod unusable;
mod vend;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use access_key::AccessKeySource;
pub(crate) use file_reads::{FileReads, read_argument};
pub(crate) use files::Files;
pub use problems::{Problem, Problems};
pub(crate) use restart::Fixed;
pub use settings::{LogFormat, Settings};
pub(crate) use settings::{RuleSettings, Secrets};
pub(crate) use source::Source;
pub(crate) use store::StoreSource;
pub(crate) use tickets::TicketSource;
pub(crate) use tls::{TlsSource, certificate_problem};
pub(crate) use tracing::TracingSource;

/// The variables of this process, the only reading of them.
pub fn environment() -> Environment {
    // One that is not Unicode is left out: no key or value of ours needs it, and `vars` would panic on it.
    let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let variables = std::env::vars_os();
    variables.filter_map(readable).collect()
}

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// Whether the demo's published secrets are let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// `appserver dev` and tests: on loopback, against the emulator.
    Demo,
    /// Everything else.
    Production,
}

/// Reads the layers and resolves them.
pub fn load(
    files: &[PathBuf],
    environment: &Environment,
    mode: Mode,
) -> Result<Settings, Problems> {
    Source::new(files, environment, mode).load()
}

/// The same for who wants to know all that is wrong: if anything is, the secrets are read, too, so that nobody learns of
/// them only once the rest is fixed.
pub(crate) fn load_for_check(
    files: &[PathBuf],
    environment: &Environment,
    mode: Mode,
    secrets: SecretsToo,
) -> Result<Settings, Problems> {
    Source::new(files, environment, mode).load_for(secrets)
}

/// Whether the secrets are read of a configuration that is wrong anyway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SecretsToo {
    Yes,
    No,
}

/// Where the admin listener is, whatever else may be wrong.
pub fn admin_listen(files: &[PathBuf], environment: &Environment) -> Result<SocketAddr, Problems> {
    resolve::admin_listen(layers::merge(files, environment))
}

#[cfg(test)]
mod tests;
