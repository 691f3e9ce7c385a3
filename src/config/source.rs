//! Where a configuration is read from, so that it can be read again.

use std::fmt;
use std::path::PathBuf;

use super::environment::{Environment, Mode};
use super::files::Files;
use super::problems::Problems;
use super::secret_reads::SecretsToo;
use super::settings::Settings;
use super::{layers, resolve};

/// Attempts to read a configuration that keeps changing while it is read.
const TRIES: usize = 5;

/// The layers' locations.
#[derive(Clone)]
pub(crate) struct ConfigSource {
    files: Vec<PathBuf>,
    environment: Environment,
    mode: Mode,
}

impl ConfigSource {
    pub(super) fn new(files: &[PathBuf], environment: &Environment, mode: Mode) -> Self {
        Self { files: files.to_vec(), environment: environment.clone(), mode }
    }

    /// Reads the layers and resolves them.
    pub(crate) fn load(&self) -> Result<Settings, Problems> {
        self.load_for(SecretsToo::No)
    }

    /// The same; with [`SecretsToo::Yes`], the secrets of an invalid configuration are checked too.
    pub(super) fn load_for(&self, secrets: SecretsToo) -> Result<Settings, Problems> {
        for _ in 1..TRIES {
            // Files that change one after another must not mix two configurations.
            let before = self.look();
            let loaded = self.load_once(secrets);
            let still = match &loaded {
                Ok(settings) => settings.files.again() == settings.files,
                Err(_) => true,
            };
            if still && before.again() == before {
                return loaded;
            }
        }
        self.load_once(secrets)
    }

    /// The `--config` files.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The `--config` files as they are now.
    pub(crate) fn look(&self) -> Files {
        Files::look_at_layers(self.files.iter().map(PathBuf::as_path))
    }

    /// The same with the files that they name, as far as they can be read.
    pub(crate) fn look_at_all(&self) -> Files {
        self.look().and(layers::merge(&self.files, &self.environment).look())
    }

    fn load_once(&self, secrets: SecretsToo) -> Result<Settings, Problems> {
        let merged = layers::merge(&self.files, &self.environment);
        let files = self.look().and(merged.look());
        resolve::resolve(merged, self.mode, self.clone(), files, secrets)
    }
}

/// Without the environment: it may hold the AccessKey and other secrets.
impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, environment: _, mode } = self;
        f.debug_struct("ConfigSource")
            .field("files", files)
            .field("mode", mode)
            .finish_non_exhaustive()
    }
}

impl layers::Merged {
    fn look(&self) -> Files {
        Files::look(self.named.iter().map(|named| named.path.as_path()))
    }
}
