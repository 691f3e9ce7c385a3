//! `[sts.access_key]`: where the RAM user's AccessKey comes from. One explicit source, no silent fallback.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

use crate::config::environment::{Environment, Mode};
use crate::config::field::{Clearable, Field};
use crate::config::file_reads::read_text;
use crate::config::problems::Problems;
use crate::config::secret_reads::SecretReads;
use appserver_domain::AccessKey;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawAccessKey {
    /// `environment` (default), `files` or `demo`.
    source: Field<RawSource>,
    /// For `files`: holds the AccessKey id. White space at its end is trimmed.
    id_file: Field<Clearable<PathBuf>>,
    /// For `files`: holds the AccessKey secret. White space at its end is trimmed.
    secret_file: Field<Clearable<PathBuf>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawSource {
    Environment,
    Files,
    Demo,
}

const ID_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const SECRET_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const PATH: &str = "sts.access_key";

/// The configured source, not read yet.
#[derive(Clone, Debug)]
pub(crate) enum AccessKeySource {
    /// The variables that Alibaba's own tools read.
    Environment {
        /// `ALIBABA_CLOUD_ACCESS_KEY_ID`.
        id: Option<String>,
        /// `ALIBABA_CLOUD_ACCESS_KEY_SECRET`.
        secret: Option<SecretString>,
    },
    /// Two mounted files.
    Files {
        /// Holds the id.
        id: PathBuf,
        /// Holds the secret.
        secret: PathBuf,
    },
    /// The emulator's RAM user.
    Demo,
}

impl fmt::Display for AccessKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment { .. } => write!(f, "environment ({ID_VARIABLE})"),
            Self::Files { id, .. } => write!(f, "files ({})", id.display()),
            Self::Demo => write!(f, "demo"),
        }
    }
}

impl AccessKeySource {
    pub(crate) fn resolve(
        raw: RawAccessKey,
        environment: &Environment,
        mode: Mode,
        problems: &mut Problems,
        secret_reads: &mut SecretReads,
    ) -> Option<Self> {
        let is_invalid = raw.id_file.is_invalid() || raw.secret_file.is_invalid();
        let source = problems.require(raw.source);
        let id_file = problems.take_set(raw.id_file);
        let secret_file = problems.take_set(raw.secret_file);
        let named = [("id_file", id_file.clone()), ("secret_file", secret_file.clone())];
        // The rules on keys together apply only if each of them is valid.
        let together = source.filter(|_| !is_invalid);
        let resolved = together.and_then(|source| {
            Self::of(source, (id_file, secret_file), environment, mode, problems)
        });
        if let Some(whole) = resolved.clone() {
            secret_reads.add(move || whole.read());
        } else {
            for (key, file) in named {
                secret_reads.add(move || file.map(|file| read(key, &file)).transpose());
            }
        }
        resolved
    }

    fn of(
        source: RawSource,
        (id_file, secret_file): (Option<PathBuf>, Option<PathBuf>),
        environment: &Environment,
        mode: Mode,
        problems: &mut Problems,
    ) -> Option<Self> {
        match (source, id_file, secret_file) {
            (RawSource::Files, Some(id), Some(secret)) => Some(Self::Files { id, secret }),
            (RawSource::Files, _, _) => {
                problems.add_absence(PATH, "the source `files` needs `id_file` and `secret_file`");
                None
            }
            (RawSource::Environment | RawSource::Demo, Some(_), _)
            | (RawSource::Environment | RawSource::Demo, _, Some(_)) => {
                problems.add_absence(PATH, "`id_file` and `secret_file` go with the source `files` only; set them to \"\" where an earlier \
                     layer names them");
                None
            }
            (RawSource::Environment, None, None) => Some(Self::Environment {
                id: environment.get(ID_VARIABLE).cloned(),
                secret: environment.get(SECRET_VARIABLE).map(|secret| secret.as_str().into()),
            }),
            (RawSource::Demo, None, None) if mode == Mode::Demo => Some(Self::Demo),
            (RawSource::Demo, None, None) => {
                problems.add(
                    PATH,
                    "the source `demo` works in `appserver dev` only; use `environment` or `files`",
                );
                None
            }
        }
    }

    /// Reads the AccessKey. White space at the ends is trimmed: files tend to end in a newline.
    pub(crate) fn read(&self) -> Result<AccessKey, Problems> {
        let (id, secret) = match self {
            Self::Environment { id, secret } => {
                let id = id.clone().ok_or_else(|| unset(ID_VARIABLE));
                both(id, secret.clone().ok_or_else(|| unset(SECRET_VARIABLE)))?
            }
            Self::Files { id, secret } => {
                both(read("id_file", id), read("secret_file", secret).map(SecretString::from))?
            }
            Self::Demo => ("testid".to_owned(), "testsecret".into()),
        };
        AccessKey::new(&id, secret).map_err(|invalid| Problems::one(PATH, invalid))
    }
}

/// Both, or the problems of either.
fn both<A, B>(one: Result<A, Problems>, other: Result<B, Problems>) -> Result<(A, B), Problems> {
    let mut problems = Problems::default();
    let both = problems.gather(one).zip(problems.gather(other));
    problems.into_result(both)
}

fn unset(variable: &str) -> Problems {
    Problems::one(PATH, format!("the variable {variable} is not set"))
}

fn read(key: &str, path: &Path) -> Result<String, Problems> {
    read_text(path).map_err(|error| {
        Problems::one(format!("{PATH}.{key}"), format!("{}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_trailing_newline_in_a_secret_file_is_not_part_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        for (id, secret) in [("testid\n", "testsecret\n"), ("testid", "testsecret\r\n")] {
            let files = [folder.path().join("id"), folder.path().join("secret")];
            std::fs::write(&files[0], id).unwrap();
            std::fs::write(&files[1], secret).unwrap();
            let [id, secret] = files;
            let key = AccessKeySource::Files { id, secret }.read().unwrap();
            assert_eq!((key.id.as_str(), key.secret.expose_secret()), ("testid", "testsecret"));
        }
    }

    #[test]
    fn an_unset_variable_and_an_empty_secret_are_named() {
        let unset = AccessKeySource::Environment { id: Some("testid".into()), secret: None };
        let empty =
            AccessKeySource::Environment { id: Some("testid".into()), secret: Some("\n".into()) };
        let shown = [unset, empty].map(|source| source.read().unwrap_err().to_string());
        let expected = [
            "sts.access_key: the variable ALIBABA_CLOUD_ACCESS_KEY_SECRET is not set",
            "sts.access_key: an AccessKey's secret is not empty",
        ];
        assert_eq!(shown, expected);
    }
}
