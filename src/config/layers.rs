//! The configuration's layers, merged.

use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat, Value, ValueKind};
use serde::Deserialize;

use super::Environment;
use super::file_reads::read_text;
use super::problems::Problems;

/// The defaults are the documented file itself, so that the two cannot differ.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Keys whose relative paths start at the file that names them.
const PATH_KEYS: [&str; 14] = [
    WRITTEN_KEY,
    "headers_file",
    "jwks_file",
    "policy",
    "id_file",
    "secret_file",
    "password_file",
    "seal_key_file",
    "previous_seal_key_file",
    "certificate_file",
    "key_file",
    "client_ca_file",
    "client_crl_file",
    "previous_key_file",
];

/// Of those, the one that the service writes.
const WRITTEN_KEY: &str = "file";

/// The merged tree, and the environment that some of it refers to.
pub(super) struct Merged {
    pub(super) tree: Value,
    /// The tree as it was written: the same wherever its files lie.
    pub(super) json: serde_json::Value,
    pub(super) environment: Environment,
    /// The files that it names.
    pub(super) named: Vec<String>,
}

pub(super) fn merge(files: &[PathBuf], environment: &Environment) -> Result<Merged, Problems> {
    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    let mut problems = Problems::default();
    for file in files {
        // Read here first: `config` says neither which file it could not read nor where in it the fault is.
        let text = read_text(file);
        match text.map(|text| toml::from_str::<toml::Table>(&text).map_err(|error| (text, error))) {
            Ok(Ok(_)) => {
                builder = builder.add_source(File::from(file.as_path()).format(FileFormat::Toml));
            }
            Ok(Err((text, error))) => problems.add(place(file, &text, &error), one_line(&error)),
            Err(error) => problems.add(file.display().to_string(), error),
        }
    }
    problems.into_result(Some(()))?;
    let variables = config::Environment::with_prefix("APPSERVER")
        .prefix_separator("__")
        .separator("__")
        .source(Some(environment.clone().into_iter().collect()));
    let merged = builder.add_source(variables).build();
    let mut tree = merged.map_err(|error| Problems::one("(environment)", error))?.cache;
    let json = serde_json::Value::deserialize(tree.clone()).unwrap_or_default();
    let mut named = Vec::new();
    anchor(&mut tree, &mut named);
    Ok(Merged { tree, json, environment: environment.clone(), named })
}

/// `file:line:column`, as editors and terminals take it to open the file there.
fn place(file: &Path, text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{}:{line}:{column}", file.display())
}

/// What is wrong, without the line itself that TOML's errors draw: it may hold a secret by mistake.
fn one_line(error: &toml::de::Error) -> String {
    error.message().lines().map(str::trim).collect::<Vec<_>>().join(": ")
}

/// Turns the paths in the tree into ones that do not depend on where the server was started, and notes them.
fn anchor(value: &mut Value, named: &mut Vec<String>) {
    let ValueKind::Table(table) = &mut value.kind else { return };
    for (key, value) in table {
        // A table of that name is an operator's grant or client, not a path.
        if !PATH_KEYS.contains(&key.as_str()) || matches!(value.kind, ValueKind::Table(_)) {
            anchor(value, named);
            continue;
        }
        // A value's origin is the file it stands in, or a word such as "the environment".
        let origin = value.origin().and_then(|origin| std::fs::canonicalize(origin).ok());
        let folder = origin.as_deref().and_then(Path::parent);
        if let ValueKind::String(path) = &mut value.kind
            && !path.is_empty()
        {
            if let Some(folder) = folder {
                *path = folder.join(&*path).display().to_string();
            }
            // What is written is no part of the configuration.
            if key != WRITTEN_KEY {
                named.push(path.clone());
            }
        }
    }
}
