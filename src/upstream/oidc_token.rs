//! The file of the OIDC token, which Kubernetes replaces: it is read at each renewal.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::error::FetchError;

/// The longest token that STS takes; the file may have white space beside it.
const LONGEST: usize = 20_000;

/// Reads the file on another thread, one read at a time: a mount that hangs blocks only that thread.
#[derive(Debug)]
pub(super) struct OidcTokenFile {
    path: PathBuf,
    /// Held by the thread that reads.
    reader: Arc<Semaphore>,
}

impl OidcTokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, reader: Arc::new(Semaphore::new(1)) }
    }

    /// The present token.
    pub(super) async fn read(&self) -> Result<SecretString, FetchError> {
        let hangs = || io::Error::new(io::ErrorKind::TimedOut, "an earlier read of it hangs");
        let permit = Arc::clone(&self.reader).try_acquire_owned();
        let permit = permit.map_err(|_| FetchError::TokenFile(hangs()))?;
        let path = self.path.clone();
        let read = spawn_blocking(move || {
            let text = text_of(&path);
            drop(permit);
            text
        });
        let text = read.await.expect("reading a file does not panic");
        token(&text.map_err(FetchError::TokenFile)?)
    }
}

/// Checks that the file has a token, as each renewal will.
pub(crate) fn check_oidc_token(path: &Path) -> Result<(), FetchError> {
    token(&text_of(path).map_err(FetchError::TokenFile)?).map(drop)
}

/// What the token says about itself, for a person who compares it with RAM: never the token. Nothing is verified.
pub(crate) fn oidc_claims(path: &Path) -> Option<String> {
    let token = token(&text_of(path).ok()?).ok()?;
    let payload = URL_SAFE_NO_PAD.decode(token.expose_secret().split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let shown = |name: &str| match claims.get(name) {
        Some(Value::String(text)) => format!("`{name}` {}", plain(text)),
        Some(Value::Array(texts)) => {
            let texts: Vec<_> = texts.iter().filter_map(Value::as_str).map(plain).collect();
            format!("`{name}` {}", texts.join(" and "))
        }
        _ => format!("no `{name}`"),
    };
    Some(["iss", "aud", "sub"].map(shown).join(", "))
}

/// A claim for a terminal. What RAM could not compare with is not repeated.
fn plain(claim: &str) -> &str {
    let is_plain = (1..=512).contains(&claim.len()) && claim.bytes().all(|b| b.is_ascii_graphic());
    if is_plain { claim } else { "(not plain text)" }
}

fn text_of(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe or a device may never end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it must be a regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(2 * LONGEST as u64).read_to_end(&mut text)?;
    Ok(text)
}

/// The token without the white space around it: three parts of base64url.
fn token(text: &[u8]) -> Result<SecretString, FetchError> {
    let token = std::str::from_utf8(text.trim_ascii()).map_err(|_| FetchError::NoToken)?;
    let is_part = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !part.is_empty() && part.bytes().all(plain)
    };
    let is_token =
        token.len() <= LONGEST && token.split('.').count() == 3 && token.split('.').all(is_part);
    if is_token { Ok(token.into()) } else { Err(FetchError::NoToken) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_that_is_replaced_is_read_again_without_its_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = OidcTokenFile::new(path.clone());
        for token in ["a.b.c", "d.e-1.f_2"] {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            assert_eq!(file.read().await.unwrap().expose_secret(), token);
        }
    }

    #[test]
    fn issuer_audience_and_subject_are_shown_and_never_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let shown = |claims: &str| {
            let payload = URL_SAFE_NO_PAD.encode(claims);
            std::fs::write(&path, format!("aGVhZGVy.{payload}.c2lnbmF0dXJl\n")).unwrap();
            let shown = oidc_claims(&path);
            assert!(shown.as_ref().is_none_or(|shown| !shown.contains(&payload)), "{shown:?}");
            shown.unwrap_or_default()
        };
        assert_eq!(
            shown(
                r#"{"iss":"https://oidc.example.com/c","aud":["a","b"],"sub":"system:serviceaccount:x:y"}"#
            ),
            "`iss` https://oidc.example.com/c, `aud` a and b, `sub` system:serviceaccount:x:y"
        );
        assert_eq!(
            shown(r#"{"iss":"\u001b[31m","aud":"","exp":1}"#),
            "`iss` (not plain text), `aud` (not plain text), no `sub`"
        );
        assert_eq!(shown("canary"), "");
    }

    #[tokio::test]
    async fn a_file_without_a_token_is_refused_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = OidcTokenFile::new(path.clone());
        assert!(matches!(file.read().await, Err(FetchError::TokenFile(_))));
        let long = format!("a.b.{}", "c".repeat(LONGEST));
        for text in ["", "\n", "canary", "a.b", "a..c", "a.b.c.d", "a.b.c canary", &long] {
            std::fs::write(&path, text).unwrap();
            let error = file.read().await.unwrap_err();
            assert!(matches!(error, FetchError::NoToken), "{text}: {error:?}");
        }
        let folder = OidcTokenFile::new(folder.path().to_owned());
        assert!(matches!(folder.read().await, Err(FetchError::TokenFile(_))));
    }
}
