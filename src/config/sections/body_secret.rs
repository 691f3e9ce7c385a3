//! The secret by which a server of the operator recognises what the service sends it.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use crate::config::environment::Mode;
use crate::config::field::{Clearable, Field};
use crate::config::problems::Problems;
use crate::config::secret_file::read_secret_line;
use crate::config::secret_reads::SecretReads;

/// The shortest secret, in characters: as many as 128 bits in hexadecimal digits.
const SHORTEST_SECRET: usize = 32;
/// The secret of `appserver dev`. It is published, so it proves nothing.
pub(crate) const DEMO_SECRET: &str = "appserver-demo-callback-secret-0001";

/// A secret that is not read yet.
#[derive(Clone, Debug)]
pub(crate) enum BodySecretSource {
    Demo,
    File { key: String, path: PathBuf },
}

impl BodySecretSource {
    /// The file that a key names, which is required except in the demo. `receiver` is who recognises what by it.
    pub(crate) fn resolve(
        key: String,
        file: Field<Clearable<PathBuf>>,
        receiver: &str,
        mode: Mode,
        problems: &mut Problems,
        secret_reads: &mut SecretReads,
    ) -> Option<Self> {
        let is_invalid = file.is_invalid();
        let source = match (problems.take_set(file), mode) {
            (Some(path), _) => Self::File { key, path },
            (None, Mode::Demo) => Self::Demo,
            (None, Mode::Production) if is_invalid => return None,
            (None, Mode::Production) => {
                problems.add_absence(
                    key,
                    format!(
                        "{receiver} by it: name a file that holds a secret; `openssl rand -hex 32` makes one"
                    ),
                );
                return None;
            }
        };
        let read = source.clone();
        secret_reads.add(move || read.read());
        Some(source)
    }

    pub(crate) fn read(&self) -> Result<SecretString, Problems> {
        let Self::File { key, path } = self else { return Ok(DEMO_SECRET.into()) };
        let secret = read_secret_line(key, path)?;
        let problem = if secret.expose_secret() == DEMO_SECRET {
            "this is the demo's secret, which is published; make your own with `openssl rand -hex 32`"
        } else if secret.expose_secret().chars().count() < SHORTEST_SECRET {
            "a secret has at least 32 characters; `openssl rand -hex 32` makes one"
        } else {
            return Ok(secret);
        };
        Err(Problems::one(key.clone(), problem))
    }
}
