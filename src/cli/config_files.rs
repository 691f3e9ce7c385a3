//! The option `--config` of every command that reads a configuration.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use crate::config::{self, Mode, SecretsToo, Settings};

#[derive(Clone, Debug, Args)]
pub(super) struct ConfigFiles {
    /// A configuration file; may be repeated, later files override earlier ones
    #[arg(long = "config", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

impl ConfigFiles {
    pub(super) fn load(&self, mode: Mode) -> Result<Settings, Failure> {
        Ok(config::load(&self.files, &config::environment(), mode)?)
    }

    /// Loads the settings or every problem, optionally including those of secret files.
    pub(super) fn load_for_check(&self, secrets: SecretsToo) -> Result<Settings, Failure> {
        let (environment, mode) = (config::environment(), Mode::Production);
        Ok(config::load_for_check(&self.files, &environment, mode, secrets)?)
    }
}
