//! The configuration's layers, merged.

use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat, Map, Source, Value, ValueKind};
use serde::Deserialize;

use super::environment::Environment;
use super::file_reads::read_text;
use super::node::Node;
use super::problems::{Gaps, Problems};
use super::tables;

/// The documented file is the first layer, so that documentation and defaults cannot differ.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The origin of the values that variables set. A file of that name is given a folder.
const ENVIRONMENT: &str = "the environment";

/// Whether a key's value is a path, which starts at the file that names it.
fn is_path(key: &str) -> bool {
    key == WRITTEN_KEY || key == "policy" || key.ends_with("_file")
}

/// The path key whose file the service writes.
const WRITTEN_KEY: &str = "file";
/// The one that is read at each use: Kubernetes replaces the token every hour, which is no change of the configuration.
const TOKEN_KEY: &str = "token_file";

/// The keys whose files other users of the machine may read. Every other file is a secret.
const PUBLIC_KEYS: [&str; 7] = [
    "ca_file",
    "certificate_file",
    "client_ca_file",
    "client_crl_file",
    "id_file",
    "jwks_file",
    "policy",
];

/// A file that a key of the configuration names.
#[derive(Clone, Debug)]
pub(crate) struct NamedFile {
    pub(super) key: String,
    pub(super) path: PathBuf,
    pub(super) is_secret: bool,
}

/// The merged layers.
pub(super) struct Merged {
    pub(super) tree: Node,
    /// The tree as written: it does not depend on where the files are.
    pub(super) json: serde_json::Value,
    pub(super) environment: Environment,
    /// The files that the tree names.
    pub(super) named: Vec<NamedFile>,
    /// The problems of the layers themselves.
    pub(super) problems: Problems,
    /// The parts that could not be read, where a layer may set what is missing.
    pub(super) gaps: Gaps,
}

/// One layer's tables.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// Merges the layers that can be read.
pub(super) fn merge(files: &[PathBuf], environment: &Environment) -> Merged {
    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    let (mut problems, mut gaps) = (Problems::default(), Gaps::default());
    for file in files {
        // Read here: `config` reports neither the file nor the place of an error.
        let text = match read_text(file) {
            Ok(text) => text,
            Err(error) => {
                problems.add(file.display().to_string(), error);
                gaps.of_files = true;
                continue;
            }
        };
        match toml::from_str::<toml::Table>(&text) {
            Ok(table) => {
                let origin = origin(file);
                let table = table.into_iter();
                let table: Map<_, _> =
                    table.map(|(key, value)| (key, of_toml(value, &origin))).collect();
                let mut layer = Value::new(Some(&origin), table);
                tables::correct(&mut layer, &mut problems, &mut gaps.tables);
                if let ValueKind::Table(table) = layer.kind {
                    builder = builder.add_source(Layer(table));
                }
            }
            Err(error) => {
                problems.add(place(file, &text, &error), one_line(&text, &error));
                gaps.of_files = true;
            }
        }
    }
    let variables = config::Environment::with_prefix("APPSERVER")
        .prefix_separator("__")
        .separator("__")
        .source(Some(environment.clone().into_iter().collect()));
    let merged = variables.collect().and_then(|mut variables| {
        tables::correct_variables(&mut variables, &mut problems, &mut gaps.tables);
        builder.add_source(Layer(variables)).build()
    });
    let mut tree = merged.map_or_else(
        |error| {
            problems.add("(environment)", error);
            gaps.of_files = true;
            Value::new(None, Map::<String, Value>::new())
        },
        |merged| merged.cache,
    );
    let json = serde_json::Value::deserialize(tree.clone()).unwrap_or_default();
    let mut named = Vec::new();
    anchor(&mut tree, "", &mut named);
    let tree = Node::root(tree, ENVIRONMENT);
    Merged { tree, json, environment: environment.clone(), named, problems, gaps }
}

/// The file's name, which never equals the environment's.
fn origin(file: &Path) -> String {
    let name = file.display().to_string();
    if name == ENVIRONMENT { format!("./{name}") } else { name }
}

fn of_toml(value: toml::Value, origin: &String) -> Value {
    let kind = match value {
        toml::Value::Boolean(value) => ValueKind::Boolean(value),
        toml::Value::Integer(value) => ValueKind::I64(value),
        toml::Value::Float(value) => ValueKind::Float(value),
        toml::Value::String(text) => ValueKind::String(text),
        // No key takes one. As text it would look like a quoted value.
        toml::Value::Datetime(_) => ValueKind::Nil,
        toml::Value::Array(items) => {
            ValueKind::Array(items.into_iter().map(|item| of_toml(item, origin)).collect())
        }
        toml::Value::Table(table) => {
            let members = table.into_iter().map(|(key, value)| (key, of_toml(value, origin)));
            ValueKind::Table(members.collect())
        }
    };
    Value::new(Some(origin), kind)
}

/// `file:line:column`, which editors and terminals can open.
fn place(file: &Path, text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{}:{line}:{column}", file.display())
}

/// The error without the line that TOML's errors quote: it may contain a secret by mistake.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().lines().map(str::trim).collect::<Vec<_>>().join(": ");
    let place = error.span().and_then(|span| text.get(span));
    match place {
        // Here the span is the key alone.
        Some(key) if message == "duplicate key" => {
            format!("duplicate key `{key}`: a table has each key once; remove one of them")
        }
        // As in a regular expression or a path of Windows.
        _ if message.contains("escape") => format!(
            "{message}; for a backslash write `\\\\`, or put the text in single quotes, in which it stands for itself"
        ),
        _ => message,
    }
}

/// Whether the operator chooses the keys of the table: they are names of claims and clients, however they end.
fn has_chosen_keys(table: &str) -> bool {
    let path: Vec<_> = table.splitn(3, '.').collect();
    matches!(path[..], ["issuers", _, "audiences" | "claims" | "client_ids"])
}

/// The file of an origin; a built-in one is on no disk.
fn real_path(origin: &str) -> Option<PathBuf> {
    #[cfg(feature = "emulator")]
    if super::built_in(Path::new(origin)).is_some() {
        return Some(origin.into());
    }
    std::fs::canonicalize(origin).ok()
}

/// Makes the paths in the tree independent of the working directory, and lists them.
fn anchor(value: &mut Value, at: &str, named: &mut Vec<NamedFile>) {
    let ValueKind::Table(table) = &mut value.kind else { return };
    if has_chosen_keys(at) {
        return;
    }
    for (key, value) in table {
        let full_key = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        // A table with such a name is a grant or a client that the operator named so.
        if !is_path(key) || matches!(value.kind, ValueKind::Table(_)) {
            anchor(value, &full_key, named);
            continue;
        }
        // A value's origin is its file, or a word such as "the environment".
        let origin = value.origin().and_then(real_path);
        let folder = origin.as_deref().and_then(Path::parent);
        if let ValueKind::String(path) = &mut value.kind
            && !path.is_empty()
        {
            if let Some(folder) = folder {
                *path = folder.join(&*path).display().to_string();
            }
            // The contents of these two are no part of the configuration.
            if key != WRITTEN_KEY && key != TOKEN_KEY {
                let is_secret = !PUBLIC_KEYS.contains(&key.as_str());
                named.push(NamedFile { key: full_key, path: PathBuf::from(&*path), is_secret });
            }
        }
    }
}
