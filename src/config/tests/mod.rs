//! The configuration as operators write it: through files and the environment.

mod all_at_once;
mod audit;
mod connections;
mod decision;
mod disjoint_callers;
mod egress;
mod grant_callback;
mod grant_oss;
mod grant_upload;
mod identity;
mod issuer_keys;
mod limits;
mod listener;
mod providers;
mod schema;
mod shared_subjects;
mod shipped_policies;
mod store_and_issuers;
mod tickets;
mod tracing;
mod types;
mod upstreams;
mod warnings_and_vending;

use std::path::Path;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

const POLICY: &str = r#"{"Version":"1","Statement":[
    {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/${params.album}/*"}]}"#;

const SOUND: &str = r#"
    [roles.reader]
    arn = "acs:ram::11223344:role/oss-readonly"
    [grants.album]
    role = "reader"
    policy = "policies/album.json"
    [grants.album.parameters.album]
    kind = "segment"
    [clients.app-one]
    grants = ["album"]
    secret_sha256 = ["1111111111111111111111111111111111111111111111111111111111111111"]
"#;

/// Loads `app.toml` with `text` beside the policy.
fn loaded(text: &str, environment: &[(&str, &str)], mode: Mode) -> Result<Settings, String> {
    let folder = folder(&[("app.toml", text), ("policies/album.json", POLICY)]);
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let root = folder.path().display().to_string();
    load(&[folder.path().join("app.toml")], &environment, mode)
        .map_err(|problems| problems.to_string().replace(&root, "<folder>"))
}

fn problems(text: &str) -> String {
    loaded(&format!("{SOUND}\n{text}"), &[], Mode::Production).unwrap_err()
}

#[test]
fn the_shipped_files_load() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = |name: &str| [repository.join("config").join(name)];
    load(&file("dev.toml"), &Environment::new(), Mode::Demo).unwrap();
    load(&file("production.example.toml"), &Environment::new(), Mode::Production).unwrap();
    // The defaults lack only the keys that the operator must set.
    let defaults = load(&[], &Environment::new(), Mode::Production).unwrap_err();
    assert_eq!(
        defaults.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(),
        ["clients"]
    );
    let policies = std::fs::read_dir(repository.join("config/policies")).unwrap();
    for policy in policies {
        let path = policy.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let found = appserver_policy::lint_file(&text, appserver_policy::Breadth::Narrow, &[]);
        let broad = path.ends_with("read-all.json");
        assert_eq!(found.problems.is_empty(), !broad, "{}: {found:?}", path.display());
    }
}

#[test]
fn every_problem_is_reported_in_one_run_with_its_key() {
    let wrong = r#"
        [server]
        listen = "0.0.0.0:8080"
        header_timeout_ms = 5
        max_connections = "many"
        colour = "red"
        [sts]
        region = "cn.hangzhou"
        [sts.identity.access_key]
        source = "files"
        [roles.writer]
        arn = "acs:ram::11223344:user/appserver"
        [grants.lost]
        role = "nobody"
        policy = "policies/lost.json"
        default_duration_secs = 7200
        [grants.Loud]
        role = "reader"
        policy = "policies/album.json"
        [clients.app-two]
        grants = ["album", "lost", "none"]
        secret_sha256 = ["app-two-demo-secret"]
        [clients.a]
    "#;
    insta::assert_snapshot!(problems(wrong), @r"
clients.a: a client id is 2 to 32 characters of a-z, 0-9 and `-`
clients.a.grants: is missing
clients.app-two.grants: there is no grant `none`; add `[grants.none]` or remove the name
clients.app-two.secret_sha256: a secret's hash is the 64 hex digits of its SHA-256; `appserver client new` prints one
grants.Loud: a grant's name is 1 to 32 characters of a-z, 0-9 and `-`
grants.Loud.policy: <folder>/policies/album.json: Statement[0].Resource: `${params.album}` is not declared: declare the parameter with its kind and maximum length
grants.lost.policy: <folder>/policies/lost.json: No such file or directory (os error 2)
grants.lost.role: there is no role `nobody`; add `[roles.nobody]` or name another
roles.writer.arn: a role's ARN reads `acs:ram::<account id>:role/<role name>`, the name 1 to 64 characters of A-Z, a-z, 0-9, `.` and `-`
server.colour: there is no such key; `appserver check --defaults` prints all keys
server.header_timeout_ms: 5 is not between 100 and 600000 milliseconds
server.listen: plain HTTP leaves this machine: listen on loopback, name a certificate in `[server.tls]`, or set `server.behind_proxy = true` where a proxy in front of AppServer terminates TLS
server.max_connections: it must be an integer: a number of connections
sts.identity.access_key: the source `files` needs `id_file` and `secret_file`
sts.region: a region is 3 to 32 characters of a-z, 0-9 and `-`, with no `-` at either end, such as `cn-hangzhou`
");
}

/// Editors and terminals can open such a place; the line itself may contain a secret.
#[test]
fn each_file_that_is_not_valid_toml_is_reported_with_line_and_column() {
    let folder = folder(&[
        ("one.toml", "[server]\nlisten = \"127.0.0.1:80\nmax_connections = 7\n"),
        ("two.toml", "# é\n[sts]\nregion = canary-secret\n"),
        ("three.toml", "[log]\nfilter = \"info\"\nfilter = \"canary-secret\"\n"),
        ("four.toml", "[log\n"),
        ("five.toml", "[log]\nfilter = \"canary[a-z]+\\.secret\"\n"),
    ]);
    let files = ["one.toml", "two.toml", "three.toml", "lost.toml", "four.toml", "five.toml"];
    let files = files.map(|name| folder.path().join(name));
    let problems = load(&files, &Environment::new(), Mode::Production).unwrap_err().to_string();
    let root = folder.path().display().to_string();
    insta::assert_snapshot!(problems.replace(&root, "<folder>"), @r#"
<folder>/five.toml:2:24: missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\`, `"`, `x`, `u`, `U`; for a backslash write `\\`, or put the text in single quotes, in which it stands for itself
<folder>/four.toml:1:5: unclosed table, expected `]`
<folder>/lost.toml: No such file or directory (os error 2)
<folder>/one.toml:2:23: invalid basic string, expected `"`
<folder>/three.toml:3:1: duplicate key `filter`: a table has each key once; remove one of them
<folder>/two.toml:3:10: string values must be quoted, expected literal string
"#);
}

#[test]
fn an_invalid_listen_address_is_reported_with_an_example() {
    let wrong = "[server]\nlisten = \"8080\"\n[admin]\nlisten = \"localhost:9090\"\n";
    insta::assert_snapshot!(problems(wrong), @r"
admin.listen: it must be an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`
server.listen: it must be an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`
");
    let number = "[admin]\nlisten = 9090\n";
    insta::assert_snapshot!(problems(number), @"admin.listen: it must be text in quotes");
}

#[test]
fn later_layers_override_earlier_ones() {
    let environment = [
        ("APPSERVER__SERVER__LISTEN", "127.0.0.1:8081"),
        (
            "APPSERVER__STS__ENDPOINTS",
            "https://sts.cn-beijing.aliyuncs.com,https://sts.aliyuncs.com",
        ),
        ("APPSERVER__CLIENTS__APP-ONE__ENABLED", "false"),
        // Kubernetes sets these for a Service named `appserver`.
        ("APPSERVER_PORT", "tcp://10.0.0.1:8080"),
        ("APPSERVER_SERVICE_HOST", "10.0.0.1"),
    ];
    let text = format!("{SOUND}\n[server]\nlisten = \"127.0.0.1:1\"\nmax_connections = 7\n");
    let settings = loaded(&text, &environment, Mode::Production).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(settings.server.max_connections, 7);
    assert_eq!(settings.server.idle_timeout.as_millis(), 75_000);
    assert_eq!(
        settings.rules.clients.iter().map(|(_, client)| client.enabled).collect::<Vec<_>>(),
        [false]
    );
}

#[test]
fn demo_secrets_and_the_demo_access_key_are_valid_in_the_demo_only() {
    let hash = crate::auth::SecretHash::of(&"app-two-demo-secret".into()).to_hex();
    let text = format!(
        "{SOUND}\n[clients.app-two]\ngrants = []\nsecret_sha256 = [\"{hash}\"]\n[sts.identity.access_key]\nsource = \"demo\"\n"
    );
    assert!(loaded(&text, &[], Mode::Demo).is_ok());
    insta::assert_snapshot!(loaded(&text, &[], Mode::Production).unwrap_err(), @r"
clients.app-two.secret_sha256: the demo secret is public and works in `appserver dev` only; make one with `appserver client new`
sts.identity.access_key: the source `demo` works in `appserver dev` only; use `environment` or `files`
");
}

#[test]
fn a_broad_grant_needs_its_reason() {
    let broad =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}"#;
    let folder = folder(&[("broad.json", broad)]);
    let load_with = |lines: &str| {
        let text = format!(
            "[roles.reader]\narn = \"acs:ram::11223344:role/oss-readonly\"\n\
             [grants.all]\nrole = \"reader\"\npolicy = \"broad.json\"\n{lines}\n\
             [clients.app-one]\ngrants = [\"all\"]\n"
        );
        std::fs::write(folder.path().join("app.toml"), text).unwrap();
        load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production).map(|_| ())
    };
    assert!(load_with("").is_err());
    assert!(load_with("allow_broad = true").is_err());
    assert!(load_with("allow_broad = true\nallow_broad_reason = \" \"").is_err());
    assert_eq!(load_with("allow_broad = true\nallow_broad_reason = \"a test\""), Ok(()));
}

#[test]
fn the_hash_differs_for_different_configurations_and_policies() {
    let hash = |text: &str| loaded(text, &[], Mode::Production).unwrap().hash;
    assert_eq!(hash(SOUND), hash(SOUND));
    assert_ne!(hash(SOUND), hash(&format!("{SOUND}\n[log]\nfilter = \"debug\"\n")));
}

#[test]
fn a_demo_secret_under_another_name_is_still_refused() {
    let hash = crate::auth::SecretHash::of(&"client-002-demo-secret".into()).to_hex();
    let found =
        problems(&format!("[clients.renamed]\ngrants = []\nsecret_sha256 = [\"{hash}\"]\n"));
    assert!(
        found.starts_with("clients.renamed.secret_sha256: the demo secret is public"),
        "{found}"
    );
}

/// A secret in the wrong place is not repeated in the report.
#[test]
fn no_problem_repeats_the_invalid_value() {
    let found = problems(
        r#"
        [server]
        listen = "canary"
        behind_proxy = "canary"
        max_connections = "canary"
        [log]
        format = "canary"
        filter = "canary=canary=canary"
        [sts]
        endpoints = ["canary"]
        region = "canary canary"
        [sts.identity.access_key]
        source = "canary"
        [roles.other]
        arn = "canary"
        [grants.album.claims.name]
        kind = "canary"
        [clients.app-two]
        grants = ["canary canary"]
        secret_sha256 = "canary"
        "#,
    );
    assert_eq!(found.lines().count(), 12, "{found}");
    assert!(!found.contains("canary"), "{found}");
}

/// The example for production names files; an empty variable unsets such a key.
#[test]
fn an_empty_value_unsets_a_value_of_an_earlier_layer() {
    let text = format!(
        "{SOUND}\n[sts]\nregion = \"cn-hangzhou\"\n[sts.identity.access_key]\nsource = \"files\"\n\
         id_file = \"id\"\nsecret_file = \"secret\"\n"
    );
    let environment = [
        ("APPSERVER__STS__REGION", ""),
        ("APPSERVER__STS__ENDPOINTS", "https://sts.aliyuncs.com"),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SOURCE", "environment"),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__ID_FILE", ""),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SECRET_FILE", ""),
    ];
    assert!(loaded(&text, &environment, Mode::Production).is_ok());
    let without = loaded(&text, &environment[..3], Mode::Production).unwrap_err();
    assert!(without.contains("set them to \"\""), "{without}");
}

#[test]
fn an_unreadable_file_is_reported_by_name() {
    let folder = folder(&[("broken.toml", "[server\n")]);
    let problem = |name: &str| {
        let problems = load(&[folder.path().join(name)], &Environment::new(), Mode::Production);
        problems.map(|_| ()).unwrap_err().to_string()
    };
    assert!(
        problem("missing.toml").contains("missing.toml: No such file"),
        "{}",
        problem("missing.toml")
    );
    assert!(problem("broken.toml").contains("broken.toml"), "{}", problem("broken.toml"));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let found = problems(
        r#"
        [server]
        listen = "127.0.0.1:8080"
        [admin]
        listen = "127.0.0.1:8080"
        [sts]
        endpoints = ["https://sts.aliyuncs.com"]
        vpc = true
        "#,
    );
    insta::assert_snapshot!(found, @r"
admin.listen: it must be another address than `server.listen`
sts.vpc: it goes with `sts.region`; `sts.endpoints` are used as written
");
}

/// A problem with one part of a grant hides no problem of the others.
#[test]
fn every_part_of_a_grant_is_checked() {
    let found = problems(
        r#"
        [grants.broken]
        role = "nobody"
        policy = "policies/lost.json"
        external_id = "*"
        subject_max_length_bytes = 0
        allow_broad_reason = "a reason for nothing"
        [grants.broken.parameters.album]
        kind = "segment"
        pattern = "("
        [grants.broken.claims.team]
        kind = "segment"
        max_length_bytes = 5000
        "#,
    );
    insta::assert_snapshot!(found, @r"
grants.broken.allow_broad_reason: a reason goes with `allow_broad = true` only
grants.broken.claims.team.max_length_bytes: 5000 is not between 1 and 1023 bytes
grants.broken.external_id: an external id is 2 to 1224 characters of A-Z, a-z, 0-9 and `_ + = , . @ : / -`
grants.broken.parameters.album: the pattern is no regular expression, or too large a one: regex parse error: ( ^ error: unclosed group
grants.broken.policy: <folder>/policies/lost.json: No such file or directory (os error 2)
grants.broken.role: there is no role `nobody`; add `[roles.nobody]` or name another
grants.broken.subject_max_length_bytes: 0 is not between 1 and 256 bytes
");
}

#[test]
fn a_grant_may_be_called_as_a_path_key_is() {
    let folder = folder(&[
        (
            "app.toml",
            &SOUND.replace("grants.album", "grants.policy").replace("[\"album\"]", "[\"policy\"]"),
        ),
        ("policies/album.json", POLICY),
    ]);
    let loaded = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production);
    assert_eq!(loaded.map(|_| ()), Ok(()));
}

/// Names of claims and clients that a key for a file could have too.
#[test]
fn a_claim_or_client_may_be_called_as_a_path_key_is() {
    let issuer = r#"
        [issuers.company]
        issuer = "https://login.example.com/"
        jwks_file = "company.jwks.json"
        algorithms = ["ES256"]
        client_claim = "azp"
        [issuers.company.audiences]
        profile_file = ["app-one"]
        [issuers.company.claims]
        policy = "policy_id"
        tenant_file = "tenant"
        [issuers.company.client_ids]
        app_file = "app-one"
    "#;
    let config = format!("{SOUND}\n{issuer}");
    let files = [
        ("app.toml", config.as_str()),
        ("policies/album.json", POLICY),
        ("company.jwks.json", include_str!("../../../config/demo.jwks.json")),
    ];
    let folder = folder(&files);
    let loaded = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Demo);
    let watched = format!("{:?}", loaded.unwrap().files);
    for name in ["policy_id", "tenant", "app-one"] {
        assert!(!watched.contains(name), "{watched}");
    }
}

#[test]
fn a_default_grant_is_one_of_the_clients_grants() {
    let with = |line: &str| {
        let text = SOUND.replace("grants = [", &format!("{line}\ngrants = ["));
        let settings = loaded(&text, &[], Mode::Production);
        settings.map(|settings| {
            let defaults = settings.rules.grants.defaults;
            defaults.into_iter().map(|(client, grant)| format!("{client}: {grant}")).collect()
        })
    };
    assert_eq!(with(""), Ok(vec![]));
    assert_eq!(with("default_grant = \"album\""), Ok(vec!["app-one: album".to_owned()]));
    let refused =
        ["default_grant = \"own\"", "default_grant = 7"].map(|line| with(line).unwrap_err());
    insta::assert_snapshot!(refused.join("\n"), @r"
clients.app-one.default_grant: `own` is none of the client's `grants`: list it there, or name one of them
clients.app-one.default_grant: it must be text in quotes
");
}

#[test]
fn the_message_about_an_unknown_key_suggests_the_nearest_key_of_its_table() {
    let text = r#"
        [severs]
        listen = "127.0.0.1:80"
        [server]
        lisen = "127.0.0.1:80"
        tsl.key_file = "key"
        [clients.app-two]
        grants = ["album"]
        certificate = ["dns:a"]
        limit.request_per_second = 1
        colour = "red"
        [issuers.one]
        issuer = "https://login.example.com/"
        algorithms = ["ES256"]
        jwk_url = "https://login.example.com/jwks"
        jwks_url = "https://login.example.com/jwks"
        audiences.photos = ["app-two"]
    "#;
    let reported = problems(text);
    let suggested = reported.lines().filter(|line| line.contains("no such key"));
    insta::assert_snapshot!(suggested.collect::<Vec<_>>().join("\n"), @r"
clients.app-two.certificate: there is no such key; is `certificates` meant? `appserver check --defaults` prints all keys
clients.app-two.colour: there is no such key; `appserver check --defaults` prints all keys
clients.app-two.limit.request_per_second: there is no such key; is `requests_per_second` meant? `appserver check --defaults` prints all keys
issuers.one.jwk_url: there is no such key; is `jwks_url` meant? `appserver check --defaults` prints all keys
server.lisen: there is no such key; is `listen` meant? `appserver check --defaults` prints all keys
server.tsl: there is no such key; is `tls` meant? `appserver check --defaults` prints all keys
severs: there is no such key; is `server` meant? `appserver check --defaults` prints all keys
");
}

#[test]
fn a_key_of_another_table_of_the_same_entry_is_suggested() {
    let text = r#"
        [redis]
        colour = "red"
        [grants.other]
        max_bytes = "10MiB"
        bucket = "sample-bucket"
        deadline_secs = 3
        [grants.other.callback]
        forward = "https://backend.example.com/"
        [grants.other.upload]
        signed_urls = ["GET"]
        callback.key = "a"
        callback.region = "cn-hangzhou"
    "#;
    let reported = problems(text);
    let suggested = reported.lines().filter(|line| line.contains("no such key"));
    insta::assert_snapshot!(suggested.collect::<Vec<_>>().join("\n"), @r"
    grants.other.bucket: there is no such key; is `oss.bucket` meant? `appserver check --defaults` prints all keys
    grants.other.callback: there is no such key; is `upload.callback` meant? `appserver check --defaults` prints all keys
    grants.other.deadline_secs: there is no such key; is `upload.callback.deadline_secs` meant? `appserver check --defaults` prints all keys
    grants.other.max_bytes: there is no such key; is `upload.max_bytes` meant? `appserver check --defaults` prints all keys
    grants.other.upload.callback.key: there is no such key; is `grants.other.upload.key` meant? `appserver check --defaults` prints all keys
    grants.other.upload.callback.region: there is no such key; `appserver check --defaults` prints all keys
    grants.other.upload.signed_urls: there is no such key; is `grants.other.signed_urls` meant? `appserver check --defaults` prints all keys
    redis: there is no such key; is `store.redis` meant? `appserver check --defaults` prints all keys
    ");
}

#[test]
fn a_longer_key_of_the_same_name_is_suggested_and_revocations_have_a_file() {
    let reported =
        problems("[store.redis]\npassword = \"x\"\n[revoked]\nfiles = \"a\"\nuser = \"b\"\n");
    let list = problems("[[revoked]]\nuser = \"company/alice\"\n");
    insta::assert_snapshot!(format!("{reported}\n{list}"), @r"
    revoked.files: there is no such key; is `file` meant? `appserver check --defaults` prints all keys
    revoked.user: there is no such key; revocations are tables `[[revoked]]` of the file that `revoked.file` names
    store.redis.password: there is no such key; is `password_file` meant? `appserver check --defaults` prints all keys
    revoked: it must be a table: tables `[[revoked]]` go into a file of their own, which `revoked.file` names
    ");
}
