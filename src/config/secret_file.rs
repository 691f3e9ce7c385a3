//! Secrets that are mounted as files: short, and without the white space at their ends, because files usually end in a newline.

use std::path::Path;

use secrecy::SecretString;

use super::file_reads::read_text_up_to;
use super::problems::Problems;

/// The longest file. A security token and a private key in PEM have some kilobytes.
const MAX_BYTES: u64 = 64 << 10;

/// The secret in the file, which may have several lines.
pub(super) fn read_secret(key: &str, path: &Path) -> Result<SecretString, Problems> {
    of_key(key, path, trimmed(path).and_then(not_empty))
}

/// The secret in the file, on one line.
pub(super) fn read_secret_line(key: &str, path: &Path) -> Result<SecretString, Problems> {
    of_key(key, path, trimmed(path).and_then(one_line).and_then(not_empty))
}

/// The line in the file, which may be empty.
pub(super) fn read_line(key: &str, path: &Path) -> Result<String, Problems> {
    of_key(key, path, trimmed(path).and_then(one_line))
}

fn trimmed(path: &Path) -> Result<String, String> {
    let text = read_text_up_to(MAX_BYTES, path).map_err(|error| error.to_string())?;
    Ok(text.trim().to_owned())
}

/// Without the text: it may contain the secret.
fn one_line(text: String) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err("the file must hold one line and nothing else".to_owned());
    }
    Ok(text)
}

fn not_empty(text: String) -> Result<String, String> {
    if text.is_empty() { Err("the file is empty".to_owned()) } else { Ok(text) }
}

fn of_key<T: From<String>>(
    key: &str,
    path: &Path,
    read: Result<String, String>,
) -> Result<T, Problems> {
    read.map(T::from)
        .map_err(|problem| Problems::one(key, format!("{}: {problem}", path.display())))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_short_and_one_line_where_one_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let shown = |read: Result<SecretString, Problems>| match read {
            Ok(secret) => secret.expose_secret().to_owned(),
            Err(problems) => problems.to_string().replace(path.to_str().unwrap(), "<path>"),
        };
        let one_line = "key: <path>: the file must hold one line and nothing else";
        let long = "canary".repeat(40_000);
        let too_long = "key: <path>: it is longer than 64 KiB";
        let empty = "key: <path>: the file is empty";
        for (text, of_lines, of_one_line) in [
            (" secret\r\n\n", "secret", "secret"),
            ("canary\ntwo", "canary\ntwo", one_line),
            ("canary\ttwo", "canary\ttwo", one_line),
            (&long, too_long, too_long),
            ("\n", empty, empty),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(shown(read_secret("key", &path)), of_lines);
            assert_eq!(shown(read_secret_line("key", &path)), of_one_line);
        }
    }
}
