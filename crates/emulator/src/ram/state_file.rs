//! The file in which `--data` keeps the state of RAM.
//!
//! It is written with the first change and replaced as a whole by every later one, so that it is always a complete state. Only its owner
//! can read it, because it holds the secrets of AccessKeys.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::state::Ram;

/// Its name in the folder; no bucket has such a name.
const NAME: &str = "ram.json";
/// The version of the format.
const FORMAT: u32 = 1;

#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
}

/// Why the file cannot be used. It prints with its cause.
#[derive(Debug, thiserror::Error)]
pub enum StateFileProblem {
    /// It exists and cannot be read.
    #[error("`{}` cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// Not a state that an emulator of this version wrote.
    #[error("`{}` is no state of the emulated RAM ({error}); remove it to begin with the configured account", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: serde_json::Error,
    },
    /// Of another version.
    #[error("`{}` has format {found}, and this emulator reads format {FORMAT}; remove it to begin with the configured account", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: u32,
    },
    /// A change cannot be written.
    #[error("`{}` cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
}

/// What every version of the format begins with.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(rename = "format")]
    _format: u32,
    ram: Ram,
}

#[derive(Serialize)]
struct Storing<'a> {
    format: u32,
    ram: &'a Ram,
}

impl StateFile {
    /// The file in the folder, and the state that it holds if it exists.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Option<Ram>), StateFileProblem> {
        let path = folder.join(NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Self { path }, None));
            }
            Err(error) => return Err(StateFileProblem::Read { path, error }),
        };
        let malformed = |error| StateFileProblem::Malformed { path: path.clone(), error };
        let Head { format } = serde_json::from_str(&text).map_err(malformed)?;
        if format != FORMAT {
            return Err(StateFileProblem::Format { path, found: format });
        }
        let Stored { ram, .. } = serde_json::from_str(&text).map_err(malformed)?;
        Ok((Self { path }, Some(ram)))
    }

    /// Replaces the file.
    pub(crate) fn write(&self, ram: &Ram) -> Result<(), StateFileProblem> {
        self.replace(ram)
            .map_err(|error| StateFileProblem::Write { path: self.path.clone(), error })
    }

    fn replace(&self, ram: &Ram) -> io::Result<()> {
        let new = self.path.with_extension("json.new");
        let mut file = create_private(&new)?;
        file.write_all(&serde_json::to_vec(&Storing { format: FORMAT, ram })?)?;
        file.sync_all()?;
        fs::rename(new, &self.path)
    }
}

/// A new file that only its owner can read.
fn create_private(path: &Path) -> io::Result<File> {
    // A file that an interrupted write has left may have another mode.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
