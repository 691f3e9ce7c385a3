//! Secrets that are mounted as files.

use std::path::Path;

use secrecy::SecretString;

use super::file_reads::read_text;
use super::problems::Problems;

/// The file's text without white space at its ends, because files usually end in a newline.
pub(super) fn read_secret(key: &str, path: &Path) -> Result<SecretString, Problems> {
    let text = read_text(path)
        .map_err(|error| Problems::one(key, format!("{}: {error}", path.display())))?;
    match text.trim() {
        "" => Err(Problems::one(key, format!("{}: the file is empty", path.display()))),
        secret => Ok(secret.into()),
    }
}
