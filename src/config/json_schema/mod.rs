//! The JSON Schema of a configuration file, for editors and pipelines: the shape of the raw sections, with the comments and
//! the defaults of `config/default.toml`.
//!
//! Nothing is required in it: a file is one of several layers. What concerns several keys, and the form of texts, only
//! `appserver check` knows.

mod descriptions;
mod shape;

use serde_json::{Value, json};

use super::documented_keys::comments;
use super::layers::DEFAULTS;
use super::node::below;
use super::sections::RawSettings;
use super::sections::access_key::RawAccessKeySource;
use super::sections::claims::RawTypedClaim;
use crate::auth::SignatureAlgorithm;
use descriptions::{description, same_as};

/// The claims of an issuer are texts or tables; their type reads any value.
const CLAIM: &str = "issuers.*.claims.*";

/// The schema as a file.
pub(crate) fn text() -> String {
    serde_json::to_string_pretty(&schema()).expect("a schema is JSON")
}

/// The schema by draft 2020-12.
pub(super) fn schema() -> Value {
    let mut schema = shape::of::<RawSettings>();
    let defaults: toml::Table = DEFAULTS.parse().expect("the built-in defaults are TOML");
    let mut pages = Pages { comments: comments(), defaults: json!(defaults) };
    pages.add("", &mut schema);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Configuration of AppServer");
    schema["description"] = json!(
        "One file of the configuration, with all keys. `appserver check` finds what a schema cannot express."
    );
    schema
}

/// What the documented file says.
struct Pages {
    comments: std::collections::BTreeMap<String, String>,
    defaults: Value,
}

impl Pages {
    /// Adds it to the schema of one path, and to those below.
    fn add(&mut self, path: &str, schema: &mut Value) {
        if path == CLAIM {
            *schema = json!({"anyOf": [{"type": "string"}, shape::of::<RawTypedClaim>()]});
        }
        // Texts for serde, of which only some words are valid.
        if path.ends_with("identity.access_key.source") {
            // An empty text takes back what another layer sets.
            let words = RawAccessKeySource::WORDS.map(|(word, _)| word);
            let words = [&words[..], &[""]].concat();
            *schema = json!({"enum": words});
        } else if path == "issuers.*.algorithms" {
            schema["items"] = json!({"enum": SignatureAlgorithm::NAMES});
        }
        if let Some(members) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            for (key, member) in members {
                self.add(&below(path, key), member);
            }
        }
        if let Some(member) = schema.get_mut("additionalProperties").filter(|any| any.is_object()) {
            self.add(&below(path, "*"), member);
        }
        if let Some(text) = self.description(path) {
            schema["description"] = json!(text);
        }
        let default = self.defaults.pointer(&format!("/{}", path.replace('.', "/")));
        if let Some(default) = default.filter(|default| !default.is_object()) {
            schema["default"] = default.clone();
        }
    }

    /// The comment above the key, or else the description of the key or of one with the same documentation.
    fn description(&self, path: &str) -> Option<&str> {
        let own = self.comments.get(path).map(String::as_str).or_else(|| description(path));
        own.or_else(|| self.description(&same_as(path)?))
    }
}
