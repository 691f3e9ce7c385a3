//! `[sts.identity.access_key]`: where the RAM user's AccessKey comes from. One explicit source, no silent fallback.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::identity::is_set;
use crate::config::environment::{Environment, Mode};
use crate::config::field::{Clearable, Field};
use crate::config::problems::Problems;
use crate::config::secret_file::read_line;
use crate::config::secret_reads::SecretReads;
use appserver_domain::{AccessKey, Invalid, SigningCredentials};

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawAccessKey {
    /// `environment` (default), `files` or `demo`.
    source: Field<Clearable<RawAccessKeySource>>,
    /// For `files`: holds the AccessKey id. White space at its end is trimmed.
    id_file: Field<Clearable<PathBuf>>,
    /// For `files`: holds the AccessKey secret. White space at its end is trimmed.
    secret_file: Field<Clearable<PathBuf>>,
    /// For `files`: holds the security token of temporary credentials. White space at its end is trimmed.
    security_token_file: Field<Clearable<PathBuf>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum RawAccessKeySource {
    Environment,
    Files,
    Demo,
}

impl RawAccessKeySource {
    pub(crate) const WORDS: [(&'static str, Self); 3] =
        [("environment", Self::Environment), ("files", Self::Files), ("demo", Self::Demo)];
}

impl TryFrom<String> for RawAccessKeySource {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let found = Self::WORDS.into_iter().find(|(word, _)| *word == text);
        found
            .map(|(_, source)| source)
            .ok_or(Invalid("it must be `environment`, `files` or `demo`"))
    }
}

const ID_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const SECRET_VARIABLE: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const TOKEN_VARIABLE: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";
const PATH: &str = "sts.identity.access_key";

/// The configured source, not read yet.
#[derive(Clone, Debug)]
pub(crate) enum AccessKeySource {
    /// The variables that Alibaba's own tools read.
    Environment {
        /// `ALIBABA_CLOUD_ACCESS_KEY_ID`; not checked yet, so it may be the secret by mistake.
        id: Option<SecretString>,
        /// `ALIBABA_CLOUD_ACCESS_KEY_SECRET`.
        secret: Option<SecretString>,
        /// `ALIBABA_CLOUD_SECURITY_TOKEN`, which only temporary credentials have.
        security_token: Option<SecretString>,
    },
    /// Mounted files.
    Files(KeyFiles),
    /// The emulator's RAM user.
    Demo,
}

/// The files of a key.
#[derive(Clone, Debug)]
pub(crate) struct KeyFiles {
    id: PathBuf,
    secret: PathBuf,
    /// Only temporary credentials have one.
    security_token: Option<PathBuf>,
}

impl fmt::Display for AccessKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment { .. } => write!(f, "environment ({ID_VARIABLE})"),
            Self::Files(KeyFiles { id, .. }) => write!(f, "files ({})", id.display()),
            Self::Demo => write!(f, "demo"),
        }
    }
}

impl AccessKeySource {
    /// The files of id and secret, if it is files.
    pub(super) fn key_files(&self) -> Option<[&Path; 2]> {
        match self {
            Self::Files(KeyFiles { id, secret, .. }) => Some([id, secret]),
            Self::Environment { .. } | Self::Demo => None,
        }
    }
}

impl RawAccessKey {
    /// The keys that a layer sets.
    pub(super) fn set_keys(&self) -> Vec<&'static str> {
        let set = [
            (is_set(&self.source), "source"),
            (is_set(&self.id_file), "id_file"),
            (is_set(&self.secret_file), "secret_file"),
            (is_set(&self.security_token_file), "security_token_file"),
        ];
        set.into_iter().filter_map(|(is_set, key)| is_set.then_some(key)).collect()
    }

    /// Notes invalid values, where another source is chosen.
    pub(super) fn note_invalid(self, problems: &mut Problems) {
        problems.take(self.source);
        for file in [self.id_file, self.secret_file, self.security_token_file] {
            problems.take(file);
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
        let is_invalid = raw.source.is_invalid()
            || raw.id_file.is_invalid()
            || raw.secret_file.is_invalid()
            || raw.security_token_file.is_invalid();
        let source = problems.take_set(raw.source).unwrap_or(RawAccessKeySource::Environment);
        let files = [
            ("id_file", problems.take_set(raw.id_file)),
            ("secret_file", problems.take_set(raw.secret_file)),
            ("security_token_file", problems.take_set(raw.security_token_file)),
        ];
        // The rules on keys together apply only if each of them is valid.
        let together = (!is_invalid).then_some(source);
        let resolved = together
            .and_then(|source| Self::of(source, files.clone(), environment, mode, problems));
        if let Some(whole) = resolved.clone() {
            secret_reads.add(move || whole.read());
        } else {
            for (key, file) in files {
                secret_reads.add(move || file.map(|file| read(key, &file)).transpose());
            }
        }
        resolved
    }

    fn of(
        source: RawAccessKeySource,
        [(_, id), (_, secret), (_, security_token)]: [(&str, Option<PathBuf>); 3],
        environment: &Environment,
        mode: Mode,
        problems: &mut Problems,
    ) -> Option<Self> {
        let has_files = id.is_some() || secret.is_some() || security_token.is_some();
        match source {
            RawAccessKeySource::Files => {
                let Some((id, secret)) = id.zip(secret) else {
                    let needed = "the source `files` needs `id_file` and `secret_file`";
                    problems.add_absence(PATH, needed);
                    return None;
                };
                Some(Self::Files(KeyFiles { id, secret, security_token }))
            }
            RawAccessKeySource::Environment | RawAccessKeySource::Demo if has_files => {
                problems.add_absence(
                    PATH,
                    "`id_file`, `secret_file` and `security_token_file` go with the source `files` only; set them to \"\" where \
                     an earlier layer names them",
                );
                None
            }
            RawAccessKeySource::Environment => {
                let secret = |name| environment.get(name).map(|text| text.as_str().into());
                let is_empty = |token: &SecretString| token.expose_secret().trim().is_empty();
                Some(Self::Environment {
                    id: secret(ID_VARIABLE),
                    secret: secret(SECRET_VARIABLE),
                    security_token: secret(TOKEN_VARIABLE).filter(|token| !is_empty(token)),
                })
            }
            RawAccessKeySource::Demo if mode == Mode::Demo => Some(Self::Demo),
            RawAccessKeySource::Demo => {
                problems.add(
                    PATH,
                    "the source `demo` works in `appserver dev` only; use `environment` or `files`",
                );
                None
            }
        }
    }

    /// Reads the AccessKey. White space at the ends is trimmed: files tend to end in a newline.
    pub(crate) fn read(&self) -> Result<SigningCredentials, Problems> {
        let (id, secret, token) = match self {
            Self::Environment { id, secret, security_token } => {
                let id = id.clone().ok_or_else(|| unset(ID_VARIABLE));
                let (id, secret) = both(id, secret.clone().ok_or_else(|| unset(SECRET_VARIABLE)))?;
                (id.expose_secret().to_owned(), secret, security_token.clone())
            }
            Self::Files(KeyFiles { id, secret, security_token }) => {
                let id = read_key_file("id_file", id, ID_NAME);
                let key = both(id, read_key_file("secret_file", secret, SECRET_NAME));
                let token = security_token.as_deref();
                let token = token.map(|file| read("security_token_file", file)).transpose();
                let ((id, secret), token) = both(key, token)?;
                if token.as_ref().is_some_and(|token| token.trim().is_empty()) {
                    let key = format!("{PATH}.security_token_file");
                    return Err(Problems::one(
                        key,
                        "the file is empty; an AccessKey without a token needs no such file",
                    ));
                }
                (id, secret.into(), token.map(SecretString::from))
            }
            Self::Demo => ("testid".to_owned(), "testsecret".into(), None),
        };
        let key = AccessKey::new(&id, secret).map_err(|invalid| Problems::one(PATH, invalid))?;
        let token = token.map(|token| token.expose_secret().trim().into());
        Ok(SigningCredentials::of_key(key, token))
    }
}

/// Both, or the problems of either.
fn both<A, B>(one: Result<A, Problems>, other: Result<B, Problems>) -> Result<(A, B), Problems> {
    let mut problems = Problems::default();
    let both = problems.gather(one).zip(problems.gather(other));
    problems.into_result(both)
}

fn unset(variable: &str) -> Problems {
    Problems::one_absence(PATH, format!("the variable {variable} is not set"))
}

/// The names that `setup apply` gives to the files.
const ID_NAME: &str = "access-key-id";
const SECRET_NAME: &str = "access-key-secret";

/// A file that does not exist may not be written yet.
fn read_key_file(key: &str, path: &Path, name: &str) -> Result<String, Problems> {
    let problems = match read(key, path) {
        Err(problems) if matches!(path.try_exists(), Ok(false)) => problems,
        read => return read,
    };
    let writes = match path.parent() {
        Some(folder) if path.ends_with(name) => {
            format!("with `--key-dir {}` writes it", folder.display())
        }
        _ => format!("writes it as `{name}`"),
    };
    let message = problems.iter().map(|problem| problem.message.as_str()).collect::<String>();
    Err(Problems::one(
        format!("{PATH}.{key}"),
        format!("{message}; `appserver setup apply` {writes}"),
    ))
}

fn read(key: &str, path: &Path) -> Result<String, Problems> {
    read_line(&format!("{PATH}.{key}"), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_newline_in_a_secret_file_is_not_part_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        for (id, secret) in [("testid\n", "testsecret\n"), ("testid", "testsecret\r\n")] {
            let files = [folder.path().join("id"), folder.path().join("secret")];
            std::fs::write(&files[0], id).unwrap();
            std::fs::write(&files[1], secret).unwrap();
            let [id, secret] = files;
            let files = KeyFiles { id, secret, security_token: None };
            let key = AccessKeySource::Files(files).read().unwrap();
            let read = (key.id().as_str(), key.secret().expose_secret());
            assert_eq!(read, ("testid", "testsecret"));
        }
    }

    /// Such as one that holds the id and the secret, or an old secret and a new one.
    #[test]
    fn a_secret_file_with_two_lines_or_200_kilobytes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("good"), "testid\n").unwrap();
        std::fs::write(at("two"), "canary\ncanary\n").unwrap();
        std::fs::write(at("long"), "c".repeat(200_000)).unwrap();
        let read = |id, secret, token| {
            let files =
                KeyFiles { id: at(id), secret: at(secret), security_token: Some(at(token)) };
            let problems = AccessKeySource::Files(files).read().unwrap_err();
            problems.to_string().replace(folder.path().to_str().unwrap(), "<folder>")
        };
        insta::assert_snapshot!(read("two", "two", "two"), @r"
sts.identity.access_key.id_file: <folder>/two: the file must hold one line and nothing else
sts.identity.access_key.secret_file: <folder>/two: the file must hold one line and nothing else
sts.identity.access_key.security_token_file: <folder>/two: the file must hold one line and nothing else
");
        let long = read("good", "long", "good");
        insta::assert_snapshot!(long, @"sts.identity.access_key.secret_file: <folder>/long: it is longer than 64 KiB");
    }

    /// Its id would be printed by `check`, `doctor` and the log.
    #[test]
    fn an_id_and_a_secret_that_are_exchanged_are_refused_and_not_shown() {
        let (id, secret) = ("LTAI5tQnS0a1b2c3d4e5f6g7", "c8Hq2vLw0ZxkT5rYb7NdEo3fUaJm9S");
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("id"), secret).unwrap();
        std::fs::write(at("secret"), id).unwrap();
        let files = KeyFiles { id: at("id"), secret: at("secret"), security_token: None };
        let variables = AccessKeySource::Environment {
            id: Some(secret.into()),
            secret: Some(id.into()),
            security_token: None,
        };
        for source in [AccessKeySource::Files(files), variables] {
            let refused = source.read().unwrap_err().to_string();
            assert!(refused.contains("exchanged"), "{refused}");
            for shown in [refused, format!("{source:?}")] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }

    #[test]
    fn a_missing_key_file_is_named_with_what_writes_it() {
        let at = |name: &str| PathBuf::from("/nowhere/keys").join(name);
        let read = |id, secret| {
            let files = KeyFiles { id: at(id), secret: at(secret), security_token: None };
            AccessKeySource::Files(files).read().unwrap_err().to_string()
        };
        let own = read("access-key-id", "access-key-secret");
        insta::assert_snapshot!(own, @r"
sts.identity.access_key.id_file: /nowhere/keys/access-key-id: No such file or directory (os error 2); `appserver setup apply` with `--key-dir /nowhere/keys` writes it
sts.identity.access_key.secret_file: /nowhere/keys/access-key-secret: No such file or directory (os error 2); `appserver setup apply` with `--key-dir /nowhere/keys` writes it
");
        let other = read("id", "secret");
        assert!(other.contains("writes it as `access-key-id`"), "{other}");
        assert!(other.contains("writes it as `access-key-secret`"), "{other}");
    }

    #[test]
    fn an_unset_variable_and_an_empty_secret_are_named() {
        let of = |secret: Option<SecretString>| AccessKeySource::Environment {
            id: Some("testid".into()),
            secret,
            security_token: None,
        };
        let (unset, empty) = (of(None), of(Some("\n".into())));
        let shown = [unset, empty].map(|source| source.read().unwrap_err().to_string());
        let expected = [
            "sts.identity.access_key: the variable ALIBABA_CLOUD_ACCESS_KEY_SECRET is not set",
            "sts.identity.access_key: an AccessKey's secret is not empty",
        ];
        assert_eq!(shown, expected);
    }
}
