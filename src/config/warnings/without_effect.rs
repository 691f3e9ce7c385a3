//! Keys that are set and have no effect, because another key turns off what they belong to.

use serde_json::Value;

use crate::config::layers::DEFAULTS;
use crate::config::problems::Problem;

/// The keys of one feature, and the key that turns it on.
struct Feature {
    /// Begins the path of each of its keys.
    table: &'static str,
    keys: &'static [&'static str],
    /// The switch, and the values with which the feature is off.
    switch: (&'static str, &'static [&'static str]),
    /// What is missing, and what to set the switch to.
    advice: (&'static str, &'static str),
}

const FEATURES: [Feature; 3] = [
    Feature {
        table: "decision",
        keys: &["secret_file", "timeout_ms", "on_error", "mode", "cache_secs", "headers", "grants"],
        switch: ("decision.url", &[""]),
        advice: ("without it there is no hook", "the hook's URL"),
    },
    Feature {
        table: "store.redis",
        keys: &["url", "sentinel.urls", "cluster.urls"],
        switch: ("store.kind", &["memory"]),
        advice: ("with `memory` replicas share nothing", "`redis`"),
    },
    Feature {
        table: "audit",
        keys: &["file"],
        switch: ("audit.sink", &["stdout", "off"]),
        advice: ("no file is written", "`file`"),
    },
];

/// One warning for each feature that is off while keys of it are set.
pub(in crate::config) fn without_effect(json: &Value) -> Vec<Problem> {
    let defaults: toml::Table = DEFAULTS.parse().expect("the built-in defaults are TOML");
    let defaults = serde_json::to_value(defaults).expect("the built-in defaults are JSON, too");
    let of_feature = |feature: &Feature| {
        let Feature { table, keys, switch: (switch, off), advice: (missing, value) } = feature;
        off.contains(&text(at(json, switch)).as_str()).then_some(())?;
        let paths = keys.iter().map(|key| format!("{table}.{key}"));
        let set = paths.filter(|path| {
            let own = text(at(json, path));
            !own.is_empty() && own != text(at(&defaults, path))
        });
        let set: Vec<_> = set.map(|path| format!("`{path}`")).collect();
        let (are, them) = if set.len() == 1 { ("is", "it") } else { ("are", "them") };
        let message = format!(
            "{missing}, and {} {are} set: set this to {value}, or remove {them}",
            set.join(", ")
        );
        (!set.is_empty()).then(|| Problem { path: (*switch).to_owned(), message })
    };
    FEATURES.iter().filter_map(of_feature).collect()
}

fn at<'a>(json: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(json, |table, key| &table[key])
}

/// A value as a variable of the environment has it; empty for one that is absent or empty.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
