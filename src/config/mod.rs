//! Reads the configuration: files and environment → raw sections → resolved [`Settings`], or every problem at once.
//!
//! Layers, later ones over earlier ones: the built-in defaults (`config/default.toml`), the `--config` files
//! (tables merge), the environment (`APPSERVER__SECTION__KEY`; a single underscore after the prefix would
//! collide with variables that Kubernetes injects for a Service of that name).

mod bounds;
#[cfg(feature = "emulator")]
mod demo_files;
mod disjoint_callers;
mod documented_keys;
mod environment;
mod field;
mod file_reads;
mod files;
mod json_schema;
mod layers;
mod node;
mod problems;
mod resolve;
mod restart;
mod secret_file;
mod secret_reads;
mod sections;
mod settings;
mod shared_subjects;
mod source;
mod tables;
mod unknown_keys;
mod warnings;

use std::net::SocketAddr;
use std::path::PathBuf;

#[cfg(feature = "emulator")]
pub(crate) use demo_files::{path as demo_file, text as built_in};
pub use environment::{Environment, Mode, environment};
pub(crate) use file_reads::{FileReads, read_argument};
#[cfg(feature = "emulator")]
pub(crate) use file_reads::{check_regular, read_text};
pub(crate) use files::Files;
pub use problems::{Problem, Problems};
pub(crate) use restart::RestartOnly;
pub(crate) use secret_reads::SecretsToo;
#[cfg(feature = "emulator")]
pub(crate) use sections::body_secret::DEMO_SECRET as DEMO_CALLBACK_SECRET;
pub(crate) use sections::decision::DecisionSource;
pub(crate) use sections::identity::{IdentitySource, OidcSource};
pub use sections::log::LogFormat;
pub(crate) use sections::redis_topology::key_of as redis_addresses_key;
pub(crate) use sections::revoked::RevokedFile;
pub(crate) use sections::upstreams::UpstreamSettings;
pub use settings::Settings;
pub(crate) use settings::{RuleSettings, Secrets};
pub(crate) use source::ConfigSource;

/// Reads the layers and resolves them.
pub fn load(
    files: &[PathBuf],
    environment: &Environment,
    mode: Mode,
) -> Result<Settings, Problems> {
    ConfigSource::new(files, environment, mode).load()
}

/// Like [`load`]; if the configuration has problems, the files of secrets are checked as well when `secrets` says so, so
/// that one run lists everything.
pub(crate) fn load_for_check(
    files: &[PathBuf],
    environment: &Environment,
    mode: Mode,
    secrets: SecretsToo,
) -> Result<Settings, Problems> {
    ConfigSource::new(files, environment, mode).load_for(secrets)
}

/// The built-in defaults, with every key and its documentation.
pub(crate) fn defaults() -> &'static str {
    layers::DEFAULTS
}

/// The JSON Schema of a configuration file.
pub(crate) fn schema() -> String {
    json_schema::text()
}

/// The admin listener's address, whatever else is wrong with the configuration.
pub fn admin_listen(files: &[PathBuf], environment: &Environment) -> Result<SocketAddr, Problems> {
    resolve::admin_listen(layers::merge(files, environment))
}

#[cfg(test)]
mod tests;
