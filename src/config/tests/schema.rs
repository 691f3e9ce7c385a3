//! The JSON Schema of the configuration says of every key what the loader does.

use std::collections::BTreeSet;
use std::fmt::Write;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::*;

/// The schemas below `schema` with their paths, where `*` is a name that the operator chooses.
fn walk<'a>(path: &str, schema: &'a Value, into: &mut Vec<(String, &'a Value)>) {
    into.push((path.to_owned(), schema));
    for (key, member) in schema["properties"].as_object().into_iter().flatten() {
        walk(&node::below(path, key), member, into);
    }
    if schema["additionalProperties"].is_object() {
        walk(&node::below(path, "*"), &schema["additionalProperties"], into);
    }
}

fn walked(schema: &Value) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    walk("", schema, &mut all);
    all
}

/// Tables with the keys that the operator names; all others have the keys of the schema only.
fn is_closed(schema: &Value) -> bool {
    schema["additionalProperties"] == false
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().with_draft(Draft::Draft202012).build(schema).unwrap()
}

/// The places at which the schema refuses the text, with the unknown keys that it names there.
fn refused(text: &str) -> BTreeSet<String> {
    let value: Value = json!(text.parse::<toml::Table>().unwrap());
    let schema = json_schema::schema();
    let errors = validator(&schema);
    let errors = errors.iter_errors(&value);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// A value that the schema accepts.
fn sample(schema: &Value) -> Value {
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    match schema["type"].as_str() {
        Some("string") => json!("name"),
        Some("boolean") => json!(true),
        Some("integer") => schema["minimum"].clone(),
        Some("number") => json!(0.5),
        Some("array") => json!([sample(&schema["items"])]),
        Some("object") => {
            let members = schema["properties"].as_object().into_iter().flatten();
            let mut members: serde_json::Map<_, _> =
                members.map(|(key, member)| (key.clone(), sample(member))).collect();
            if schema["additionalProperties"].is_object() {
                members.insert("name".to_owned(), sample(&schema["additionalProperties"]));
            }
            Value::Object(members)
        }
        _ => sample(schema["anyOf"].get(1).unwrap_or_else(|| panic!("it has no type: {schema}"))),
    }
}

/// The paths of the keys that the loader does not know.
fn unknown_to_the_loader(text: &str) -> BTreeSet<String> {
    let folder = folder(&[("app.toml", text)]);
    let problems = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production);
    let problems = problems.unwrap_err();
    let unknown = problems.iter().filter(|problem| problem.message.contains("no such key"));
    unknown.map(|problem| problem.path.clone()).collect()
}

#[test]
fn schema_and_loader_refuse_the_same_unknown_keys() {
    let schema = json_schema::schema();
    let tables: BTreeSet<_> = walked(&schema)
        .into_iter()
        .filter(|(_, schema)| is_closed(schema))
        .map(|(path, _)| path.replace('*', "name"))
        .collect();
    assert!(tables.len() > 40, "{tables:?}");
    let mut text = "colour = 1\n".to_owned();
    for table in tables.iter().filter(|table| !table.is_empty()) {
        write!(text, "[{table}]\ncolour = 1\n").unwrap();
    }

    let key = |table: &String| node::below(table, "colour");
    assert_eq!(unknown_to_the_loader(&text), tables.iter().map(key).collect());
    let place = |table: &String| {
        let place = format!("/{}", table.replace('.', "/"));
        let place = place.trim_end_matches('/');
        format!("{place}: Additional properties are not allowed ('colour' was unexpected)")
    };
    assert_eq!(refused(&text), tables.iter().map(place).collect());
}

/// Tables in lists, and tables in place of texts, which the loader reads as one value.
#[test]
fn schema_and_loader_refuse_unknown_keys_inside_of_values() {
    for (path, value) in [
        ("grants.name.allow_shared", "[{ resource = 'a', reason = 'b', colour = 1 }]"),
        ("issuers.name.claims.tenant", "{ claim = 'tid', type = 'string', colour = 1 }"),
    ] {
        let set = |value: &str| format!("{path} = {value}");
        let text = set(value);
        let problems = loaded(&text, &[], Mode::Production).unwrap_err();
        assert!(problems.contains(&format!("{path}: ")), "{path}: {problems}");
        assert_eq!(refused(&text).len(), 1, "{path}");
        assert_eq!(refused(&set(&value.replace(", colour = 1", ""))), BTreeSet::new(), "{path}");
    }
}

/// A key for which the loader's message lists words has the same words in the schema.
#[test]
fn schema_and_loader_refuse_the_same_wrong_words() {
    let schema = json_schema::schema();
    let two_words = regex::Regex::new("`[A-Za-z][A-Za-z0-9-]+`,? (or|and) `[A-Za-z]").unwrap();
    let (mut of_schema, mut of_loader) = (BTreeSet::new(), BTreeSet::new());
    // The form of these is described by example.
    let described = ["grants.*.upload.max_bytes", "log.filter"];
    let all = walked(&schema).into_iter().filter(|(path, _)| !described.contains(&path.as_str()));
    for (path, schema) in all {
        let is_list = schema["type"] == "array";
        let taken = if is_list { &schema["items"] } else { schema };
        if taken["enum"].is_null() && taken["type"] != "string" {
            continue;
        }
        let key = path.replace('*', "name");
        let text = format!("{key} = {}\n", if is_list { "['no-such']" } else { "'no-such'" });
        let problems = loaded(&text, &[], Mode::Production).unwrap_err();
        let own = problems.lines().filter_map(|line| line.strip_prefix(&format!("{key}: ")));
        if own.into_iter().any(|message| two_words.is_match(message)) {
            of_loader.insert(path.clone());
        }
        if !refused(&text).is_empty() {
            of_schema.insert(path);
        }
    }
    assert!(of_schema.len() > 15, "{of_schema:?}");
    assert_eq!(of_loader, of_schema);
}

#[test]
fn every_key_of_the_schema_is_known_to_the_loader() {
    let schema = json_schema::schema();
    let text = toml::to_string(&sample(&schema)).unwrap();
    assert_eq!(unknown_to_the_loader(&text), BTreeSet::new());
    assert_eq!(refused(&text), BTreeSet::new(), "{text}");
}

#[test]
fn every_key_of_the_schema_has_a_type_and_every_table_of_the_loader_is_in_it() {
    let schema = json_schema::schema();
    let all = walked(&schema);
    let untyped: Vec<_> = all
        .iter()
        .filter(|(_, schema)| ["type", "enum", "anyOf"].iter().all(|key| schema[key].is_null()))
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(untyped, [""; 0], "say in `src/config/json_schema/mod.rs` what they take");
    let tables = all.iter().filter(|(_, schema)| schema["type"] == "object");
    let tables: BTreeSet<_> = tables.map(|(path, _)| path.as_str()).collect();
    assert_eq!(tables, tables::all().chain([""]).collect());
}

/// An editor shows it beside the key.
#[test]
fn every_key_of_the_schema_has_a_description() {
    let schema = json_schema::schema();
    let all = walked(&schema);
    let text = |schema: &Value| schema["description"].as_str().unwrap_or_default().to_owned();
    let without = all.iter().filter(|(_, schema)| text(schema).is_empty());
    let without: Vec<_> = without.map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        without, [""; 0],
        "write a comment in `config/default.toml`, or a description in `src/config/json_schema/descriptions.rs`"
    );
    let of = |path: &str| text(all.iter().find(|(own, _)| own == path).unwrap().1);
    assert_eq!(of("sts.upstreams.*.max_attempts"), of("sts.max_attempts"));
    assert_eq!(of("egress.issuers.proxy"), of("egress.proxy"));
}

#[test]
fn the_schema_has_bounds_words_defaults_and_comments() {
    let schema = json_schema::schema();
    let all = walked(&schema);
    let at = |path: &str| {
        let mut schema = all.iter().find(|(own, _)| own == path).unwrap().1.clone();
        let description = schema["description"].take();
        (schema, description.as_str().unwrap_or_default().to_owned())
    };

    let (lease, comment) = at("store.redis.lease_ms");
    assert_eq!(
        lease,
        json!({"type": "integer", "minimum": 500, "maximum": 60_000, "default": 3000, "description": null})
    );
    assert!(comment.starts_with("Milliseconds, 500 to 60000: how long"), "{comment}");
    let (sink, comment) = at("audit.sink");
    assert_eq!(
        sink,
        json!({"enum": ["stdout", "file", "off"], "default": "stdout", "description": null})
    );
    assert!(comment.contains("\n  off     nowhere"), "{comment}");
    let (_, comment) = at("grants.*.upload.callback");
    assert!(!comment.is_empty(), "of an example that is commented out");
}

#[test]
fn the_schema_refuses_values_of_other_types_and_out_of_bounds() {
    for text in [
        "server.listen = 8080",
        "server.behind_proxy = 'true'",
        "server.trusted_proxies = '10.0.0.0/8'",
        "store.redis.lease_ms = 499",
        "store.redis.lease_ms = 60001",
        "store.redis = 'redis://127.0.0.1'",
        "store.kind = 'etcd'",
        "issuers.name.claims.tenant = 1",
    ] {
        assert_eq!(refused(text).len(), 1, "{text}");
    }
}

const SCHEMA_FILE: &str = "config/appserver.schema.json";

#[test]
fn the_schema_in_the_repository_is_the_one_that_the_command_prints() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA_FILE);
    assert!(
        std::fs::read_to_string(file).unwrap() == format!("{}\n", json_schema::text()),
        "write it anew: cargo run -- config schema > {SCHEMA_FILE}"
    );
}

/// Editors find the schema by the first line of a file.
#[test]
fn the_shipped_files_name_the_schema_and_fulfil_it() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "config/default.toml",
        "config/dev.toml",
        "config/production.example.toml",
        "deploy/compose/appserver.toml",
        "deploy/kubernetes/appserver.toml",
    ] {
        let path = repository.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(refused(&text), BTreeSet::new(), "{file}");
        let named = text.lines().next().and_then(|line| line.strip_prefix("#:schema "));
        let named = named.unwrap_or_else(|| panic!("{file} does not begin with `#:schema`"));
        let named = path.parent().unwrap().join(named).canonicalize().unwrap();
        assert_eq!(named, repository.join(SCHEMA_FILE).canonicalize().unwrap(), "{file}");
    }
}
