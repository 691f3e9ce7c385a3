//! In files a value has the TOML type of its key; only text from the environment is converted.

use super::*;

/// Every key of `config/default.toml`, also those that are commented out there, with the value that it shows.
fn every_key() -> toml::Table {
    let is_key = |line: &str| {
        let name = line.split_once(" = ").map(|(name, _)| name);
        line.starts_with('[') || name.is_some_and(|name| !name.contains(' ') && !name.contains('`'))
    };
    let shown = |line: &str| match line.strip_prefix("# ") {
        Some(key) if is_key(key) => key.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<_> = super::super::layers::DEFAULTS.lines().map(shown).collect();
    toml::from_str(&text.join("\n")).unwrap()
}

/// The leaves and, with `None`, the tables.
fn collect(
    path: &[String],
    value: &toml::Value,
    all: &mut Vec<(Vec<String>, Option<toml::Value>)>,
) {
    let toml::Value::Table(table) = value else {
        return all.push((path.to_vec(), Some(value.clone())));
    };
    all.push((path.to_vec(), None));
    for (key, value) in table {
        collect(&[path, std::slice::from_ref(key)].concat(), value, all);
    }
}

fn all() -> Vec<(Vec<String>, Option<toml::Value>)> {
    let mut all = Vec::new();
    collect(&[], &toml::Value::Table(every_key()), &mut all);
    all.remove(0);
    all
}

/// The problems of this key if it has this value and nothing else is configured.
fn reported(folder: &Path, path: &[String], value: &toml::Value) -> Vec<String> {
    let wrap =
        |value, key: &String| toml::Value::Table(toml::Table::from_iter([(key.clone(), value)]));
    let file = path.iter().rev().fold(value.clone(), wrap);
    let at = folder.join("app.toml");
    std::fs::write(&at, toml::to_string(&file).unwrap()).unwrap();
    let wrong = load(&[at], &Environment::new(), Mode::Production).unwrap_err();
    let key = path.join(".");
    wrong.iter().filter(|one| one.path == key).map(|one| one.message.clone()).collect()
}

#[test]
fn every_key_refuses_every_other_type_and_names_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let kinds: toml::Table = toml::from_str(
        "a = true\nb = 1\nc = 1.5\nd = \"true\"\ne = [\"1\"]\nf = { one = 1 }\ng = 2015-01-01\nh = \"1\"\n",
    )
    .unwrap();
    let mut keys = 0;
    for (path, shown) in all() {
        let Some(shown) = shown else { continue };
        keys += 1;
        // A claim's entry is a name or a table, and its table is read with it.
        let claims = path.len() >= 4 && path[0] == "issuers" && path[2] == "claims";
        let expected = match &shown {
            _ if claims => "a claim's name, or a table of",
            toml::Value::Boolean(_) => "`true` or `false`",
            toml::Value::Integer(_) => "an integer",
            toml::Value::Float(_) => "a number",
            toml::Value::String(_) => "text in quotes",
            toml::Value::Array(_) => "a list",
            toml::Value::Table(_) | toml::Value::Datetime(_) => panic!("{path:?} is {shown}"),
        };
        for wrong in kinds.values().filter(|wrong| !wrong.same_type(&shown)) {
            if shown.is_float() && wrong.is_integer() || claims && wrong.is_table() {
                continue;
            }
            let entry = if claims { &path[..4] } else { &path[..] };
            let (value, entry) = match path.get(4) {
                Some(_) if claims => {
                    let mut table = toml::Table::from_iter([
                        ("claim".to_owned(), "tenant".into()),
                        ("type".to_owned(), "integer".into()),
                    ]);
                    table.insert(path[4].clone(), wrong.clone());
                    (toml::Value::Table(table), entry)
                }
                _ => (wrong.clone(), entry),
            };
            let reported = reported(folder.path(), entry, &value);
            assert!(
                matches!(&reported[..], [reported] if reported.contains(&format!("it must be {expected}"))),
                "{} = {wrong}: {reported:?}",
                path.join("."),
            );
        }
    }
    assert!(keys > 130, "{keys}");
}

#[test]
fn every_table_refuses_other_values() {
    let folder = tempfile::tempdir().unwrap();
    let tables = all().into_iter().filter(|(path, shown)| {
        shown.is_none() && !(path[0] == "issuers" && path.len() == 4 && path[2] == "claims")
    });
    for (path, _) in tables {
        for wrong in [toml::Value::Integer(3), "three".into(), toml::Value::Array(vec![])] {
            let reported = reported(folder.path(), &path, &wrong);
            let is_told =
                matches!(&reported[..], [reported] if reported.starts_with("it must be a table"));
            assert!(is_told, "{path:?} = {wrong}: {reported:?}");
        }
    }
}

/// It has no other type.
#[test]
fn text_from_the_environment_is_converted_to_the_type_of_its_key() {
    let variables = [
        ("APPSERVER__SERVER__BEHIND_PROXY", "yes"),
        ("APPSERVER__SERVER__MAX_CONNECTIONS", "7"),
        ("APPSERVER__TRACING__SAMPLE_RATIO", "0.5"),
        ("APPSERVER__CLIENTS__APP-ONE__GRANTS", "album, album"),
        ("APPSERVER__CLIENTS__APP-ONE__LIMIT__REQUESTS_PER_SECOND", "5"),
    ];
    let settings = loaded(SOUND, &variables, Mode::Production).unwrap();
    assert_eq!(settings.server.max_connections, 7);
    assert!(settings.server.max_connections_per_address.is_none(), "behind a proxy");
    let wrong = [
        ("APPSERVER__SERVER__BEHIND_PROXY", "perhaps"),
        ("APPSERVER__SERVER__MAX_CONNECTIONS", "1.5"),
        ("APPSERVER__SERVER__MAX_STREAMS", "yes"),
        ("APPSERVER__SERVER__LISTEN_BACKLOG", "-1"),
    ];
    insta::assert_snapshot!(loaded(SOUND, &wrong, Mode::Production).unwrap_err(), @r"
server.behind_proxy: it must be `true` or `false`, without quotes
server.listen_backlog: -1 is not between 1 and 65535 connections
server.max_connections: it must be an integer: a number of connections
server.max_streams: it must be an integer: a number of requests
");
}
