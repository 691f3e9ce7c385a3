//! Problems of `[store]` and `[issuers]`.

use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::auth::ClaimKind;
use crate::store::StoreSettings;

const JWKS: &str = include_str!("../../../config/demo.jwks.json");

#[test]
fn each_problem_of_a_store_is_reported_with_the_way_out() {
    let wrong = r#"
        [store]
        kind = "redis"
        [store.redis]
        url = "redis://:canary@cache:6379"
        key_prefix = "a{b}"
        previous_encryption_key_file = "old"
        expected_replicas = 0
        timeout_ms = 1
        lease_ms = 100
        colour = "red"
    "#;
    insta::assert_snapshot!(problems(wrong), @r"
store.redis.colour: there is no such key; `appserver check --defaults` prints all keys
store.redis.encryption_key_file: tokens are encrypted before they leave for Redis: name a file that holds a key; `openssl rand -base64 32` makes one
store.redis.expected_replicas: 0 is not between 1 and 1000 replicas
store.redis.key_prefix: a key prefix is 1 to 64 characters of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`
store.redis.lease_ms: 100 is not between 500 and 60000 milliseconds
store.redis.timeout_ms: 1 is not between 10 and 5000 milliseconds
store.redis.url: a Redis address is `redis://host:port/database`, or `rediss://` for TLS; port and database are optional, and user and password have keys of their own
");
    insta::assert_snapshot!(problems("[store]\nkind = \"etcd\""), @r"store.kind: it must be `memory` or `redis`");
    // Keys that are not used are not required.
    assert!(loaded(SOUND, &[], Mode::Production).is_ok());
}

#[test]
fn secrets_of_a_store_are_read_when_needed_and_reported_if_invalid() {
    let text = format!(
        "{SOUND}\n[store]\nkind = \"redis\"\n[store.redis]\nurl = \"redis://cache\"\nencryption_key_file = \"key\"\n\
         password_file = \"password\""
    );
    let read = |key: &str, password: &str| {
        let folder = folder(&[
            ("app.toml", &text),
            ("policies/album.json", POLICY),
            ("key", key),
            ("password", password),
        ]);
        let settings =
            load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production).unwrap();
        let warnings: Vec<_> =
            settings.warnings.iter().map(|problem| problem.path.clone()).collect();
        let root = folder.path().display().to_string();
        let reported = settings.store.read().err();
        let reported = reported.map(|problems| problems.to_string().replace(&root, "<folder>"));
        (warnings, reported)
    };
    let good = "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=\n";
    let warnings = vec!["store.redis.url".to_owned()];
    assert_eq!(
        read(good, "canary\n"),
        (warnings, None),
        "a password in the clear is advised against"
    );
    let reported = [read("canary", "canary").1, read(good, " \n").1].map(Option::unwrap);
    insta::assert_snapshot!(reported.join("\n"), @r"
store.redis.encryption_key_file: a key is 32 random bytes in base64, as `openssl rand -base64 32` prints them
store.redis.password_file: <folder>/password: the file is empty
");
}

/// Anyone who reaches a Redis without a password can write to it.
#[test]
fn a_remote_redis_without_a_password_causes_a_warning() {
    let warnings = |url: &str| {
        let text = format!(
            "{SOUND}\n[store]\nkind = \"redis\"\n[store.redis]\nurl = \"{url}\"\nencryption_key_file = \"key\""
        );
        let folder = folder(&[("app.toml", &text), ("policies/album.json", POLICY)]);
        let files = [folder.path().join("app.toml")];
        let settings = load(&files, &Environment::new(), Mode::Production).unwrap();
        settings.warnings.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>()
    };
    for url in
        ["redis://127.0.0.1", "redis://localhost:6379", "rediss://localhost", "redis://[::1]"]
    {
        assert_eq!(warnings(url), Vec::<String>::new(), "{url}");
    }
    for url in ["redis://cache", "redis://10.0.0.7:6380/2", "rediss://cache"] {
        let [reported] = &warnings(url)[..] else { panic!("{url}") };
        assert!(
            reported.starts_with("Redis is used without a password beyond this machine"),
            "{reported}"
        );
    }
}

#[test]
fn each_mode_of_redis_needs_its_own_addresses_and_refuses_others() {
    let of = |text: &str| {
        let found = problems(&format!("[store]\nkind = \"redis\"\n[store.redis]\n{text}"));
        let others = found.lines().filter(|line| !line.contains("encryption_key_file"));
        others.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(of("mode = \"ring\""), @"store.redis.mode: it must be `single`, `sentinel` or `cluster`");
    insta::assert_snapshot!(of(""), @"store.redis.url: the store `redis` needs an address: `redis://host:port/database`, or `rediss://` for TLS");
    insta::assert_snapshot!(of("mode = \"sentinel\"\nurl = \"redis://cache\""), @r#"
store.redis.sentinel.master: the mode `sentinel` needs the name under which the Sentinels monitor the master, as in `sentinel monitor NAME …`
store.redis.sentinel.urls: the mode `sentinel` needs the address of each Sentinel: `redis://host:port`, or `rediss://` for TLS
store.redis.url: it goes with `store.redis.mode = "single"`, and the mode is `sentinel`; remove it or correct the mode
"#);
    insta::assert_snapshot!(of("mode = \"cluster\"\nsentinel.urls = [\"redis://one:26379\"]"), @r#"
store.redis.cluster.urls: the mode `cluster` needs the addresses of some nodes: `redis://host:port`, or `rediss://` for TLS
store.redis.sentinel.urls: it goes with `store.redis.mode = "sentinel"`, and the mode is `cluster`; remove it or correct the mode
"#);
    insta::assert_snapshot!(of("mode = \"cluster\"\ncluster.urls = [\"redis://one:6379\", \"rediss://two:6379\"]"), @"store.redis.cluster.urls: give either `redis://` or `rediss://` in all addresses, not both");
    let invalid = of(
        "mode = \"sentinel\"\nsentinel.master = \"my master\"\nsentinel.urls = [\"redis://one\"]",
    );
    assert!(invalid.contains("`redis://host:port`, or `rediss://host:port` for TLS"), "{invalid}");
    assert!(invalid.contains("the name of a master is 1 to 128 characters"), "{invalid}");
    assert_eq!(invalid.lines().count(), 2, "{invalid}");
}

#[test]
fn sentinels_and_nodes_can_be_given_by_variables_and_passwords_are_read_apart() {
    let text = format!(
        "{SOUND}\n[store]\nkind = \"redis\"\n[store.redis]\nencryption_key_file = \"key\"\npassword_file = \"password\""
    );
    let key = "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=\n";
    let folder = folder(&[
        ("app.toml", &text),
        ("policies/album.json", POLICY),
        ("key", key),
        ("password", "of-redis"),
        ("sentinels", "of-sentinels"),
    ]);
    let read = |variables: &[(&str, &str)]| {
        let variables = variables
            .iter()
            .map(|(key, value)| (format!("APPSERVER__STORE__REDIS__{key}"), (*value).to_owned()));
        let environment: Environment = variables.collect();
        let settings =
            load(&[folder.path().join("app.toml")], &environment, Mode::Production).unwrap();
        let warnings: Vec<_> =
            settings.warnings.iter().map(|problem| problem.path.clone()).collect();
        let StoreSettings::Redis(redis) = settings.store.read().unwrap() else {
            panic!("no Redis")
        };
        let shown = |password: &Option<SecretString>| {
            password.as_ref().map(|password| password.expose_secret().to_owned())
        };
        (
            redis.topology.to_string(),
            shown(&redis.password),
            shown(&redis.sentinel_password),
            warnings,
        )
    };
    let of_redis = Some("of-redis".to_owned());
    assert_eq!(
        read(&[("MODE", "cluster"), ("CLUSTER__URLS", "rediss://one:7000,rediss://two:7000")]),
        ("one:7000, two:7000".to_owned(), of_redis.clone(), None, vec![])
    );
    let passwords = folder.path().join("sentinels").display().to_string();
    assert_eq!(
        read(&[
            ("MODE", "sentinel"),
            ("SENTINEL__URLS", "rediss://one:26379"),
            ("SENTINEL__MASTER", "photos"),
            ("SENTINEL__PASSWORD_FILE", &passwords),
        ]),
        (
            "photos of one:26379".to_owned(),
            of_redis,
            Some("of-sentinels".to_owned()),
            // The master without TLS.
            vec!["store.redis.sentinel.urls".to_owned()]
        )
    );
}

#[test]
fn each_problem_of_an_issuer_is_reported_with_the_way_out() {
    let wrong = r#"
        [issuers.one]
        issuer = "https://login.example.com/"
        algorithms = ["HS256", "none"]
        leeway_secs = 301
        [issuers.one.audiences]
        photos = ["app-one", "app-two"]
        [issuers.one.claims]
        "no name" = "dept"
        [issuers.one.required.role]
        equals = "member"
        pattern = "mem.*"
        [issuers.one.required.team]
        pattern = "("
        [issuers.two]
        algorithms = ["HS256"]
        jwks_file = "jwks.json"
        [issuers.three]
        issuer = "https://other.example.com/"
        algorithms = ["ES256"]
        jwks_file = "not-there.json"
        audiences.photos = ["app-one"]
        [issuers.four]
        issuer = "https://fourth.example.com/"
        algorithms = ["ES256"]
        jwks_file = "policies/album.json"
        audiences.photos = ["app-nine"]
    "#;
    insta::assert_snapshot!(problems(wrong), @r"
issuers.four.audiences.photos: there is no client `app-nine`; add `[clients.app-nine]` or remove it
issuers.four.jwks_file: it is not a JSON Web Key Set: missing field `keys` at line 2 column 106
issuers.one: set the source of its keys by one of `discovery`, `jwks_url`, `jwks_file` and `secret_file`
issuers.one.algorithms: item 2: an algorithm is `ES256`, `ES384`, `Ed25519` or `EdDSA` (the same), `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512` or, with a shared secret, `HS256`
issuers.one.audiences.photos: there is no client `app-two`; add `[clients.app-two]` or remove it
issuers.one.audiences.photos: name one client, or several and the `client_claim` that distinguishes them
issuers.one.claims.no name: a parameter's or claim's name is 1 to 32 characters of A-Z, a-z, 0-9, `_` and `-`
issuers.one.leeway_secs: 301 is not between 0 and 300 seconds
issuers.one.required.role: set one of `equals`, `pattern` (for the whole text) and `contains`
issuers.one.required.team.pattern: regex parse error: ( ^ error: unclosed group
issuers.three.jwks_file: <folder>/not-there.json: No such file or directory (os error 2)
issuers.two.algorithms: asymmetric algorithms go with `discovery`, `jwks_url` or `jwks_file`, and HS256 alone with `secret_file`
issuers.two.audiences: name the accepted audiences, each with its client
issuers.two.issuer: is missing
issuers.two.jwks_file: <folder>/jwks.json: No such file or directory (os error 2)
");
}

#[test]
fn the_demo_issuers_key_is_valid_in_the_demo_only_and_issuers_are_unique() {
    let issuer = |name: &str| {
        format!(
            "[issuers.{name}]\nissuer = \"https://login.example.com/\"\nalgorithms = [\"ES256\"]\n\
             jwks_file = \"jwks.json\"\naudiences.photos = [\"app-one\"]\n"
        )
    };
    let load_with = |text: &str, mode| {
        let text = format!("{SOUND}\n{text}");
        let folder =
            folder(&[("app.toml", &text), ("policies/album.json", POLICY), ("jwks.json", JWKS)]);
        load(&[folder.path().join("app.toml")], &Environment::new(), mode)
            .map(|_| ())
            .map_err(|problems| problems.to_string())
    };
    assert_eq!(load_with(&issuer("one"), Mode::Demo), Ok(()));
    let twice = issuer("one") + &issuer("two");
    insta::assert_snapshot!(load_with(&issuer("one"), Mode::Production).unwrap_err(), @r"issuers.one.jwks_file: the demo issuer's key is published and works in `appserver dev` only");
    insta::assert_snapshot!(load_with(&twice, Mode::Demo).unwrap_err(), @r"issuers.two.issuer: another entry has the same `issuer`; list all audiences in one");
}

/// Names of an identity provider's applications and audiences are not changed, neither their case nor their dots.
#[test]
fn an_issuers_own_names_keep_their_case_and_dots() {
    let text = r#"
        [issuers.company]
        issuer = "https://login.example.com/"
        algorithms = ["HS256"]
        secret_file = "secret"
        client_claim = "azp"
        [issuers.company.audiences]
        "https://API.example.com/v1.0" = ["app-one"]
        [issuers.company.client_ids]
        "3F2504E0-4F89-41D3-9A0C-0305E82C3301" = "app-one"
        "com.example.Photos" = "app-one"
        [issuers.company.claims]
        department = "https://example.com/Dept.name"
        tenant = { claim = "tenantId", type = "integer" }
        [issuers.company.required."https://example.com/Role"]
        equals = "Member"
    "#;
    let text = format!("{SOUND}\n{text}");
    let secret = "x".repeat(32);
    let folder =
        folder(&[("app.toml", &text), ("policies/album.json", POLICY), ("secret", &secret)]);
    let settings =
        load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production).unwrap();
    let [issuer] = settings.rules.issuers.try_into().unwrap();
    let keys: Vec<_> = issuer.audiences.keys().chain(issuer.client_ids.keys()).collect();
    assert_eq!(
        keys,
        [
            "https://API.example.com/v1.0",
            "3F2504E0-4F89-41D3-9A0C-0305E82C3301",
            "com.example.Photos"
        ]
    );
    let required: Vec<_> = issuer.required.keys().map(ToString::to_string).collect();
    assert_eq!(required, ["https://example.com/Role"]);
    let claims: Vec<_> = issuer.claims.values().map(|c| (c.claim.to_string(), c.kind)).collect();
    let expected =
        [("https://example.com/Dept.name", ClaimKind::String), ("tenantId", ClaimKind::Integer)];
    assert_eq!(claims, expected.map(|(claim, kind)| (claim.to_owned(), kind)));
}

#[test]
fn problems_of_client_ids_and_typed_claims_are_reported() {
    let wrong = r#"
        [clients.app-two]
        grants = ["album"]
        [issuers.one]
        issuer = "https://login.example.com/"
        algorithms = ["HS256"]
        secret_file = "secret"
        audiences.photos = ["app-one"]
        [issuers.one.client_ids]
        "A.b" = "app-two"
        "c" = "App"
        [issuers.one.claims]
        tenant = { claim = "tenant_id", type = "number" }
        other = { claim = "other", type = "string", more = 1 }
        another = 7
    "#;
    insta::assert_snapshot!(problems(wrong), @r"
issuers.one.claims.another: it must be a claim's name, or a table of `claim` and `type`: `string`, `integer` or `boolean`
issuers.one.claims.other: it must be a claim's name, or a table of `claim` and `type`: `string`, `integer` or `boolean`
issuers.one.claims.tenant: it must be a claim's name, or a table of `claim` and `type`: `string`, `integer` or `boolean`
issuers.one.client_ids: set `client_claim` to the claim that has these values
issuers.one.client_ids.A.b: no audience has the client `app-two`
issuers.one.client_ids.c: a client id is 2 to 32 characters of a-z, 0-9 and `-`
issuers.one.secret_file: <folder>/secret: No such file or directory (os error 2)
");
}

#[test]
fn empty_audiences_values_and_patterns_are_problems() {
    let text = r#"
        [grants.album.parameters.album]
        kind = "segment"
        pattern = ""
        [issuers.one]
        issuer = "https://login.example.com/"
        algorithms = ["ES256"]
        jwks_url = "https://login.example.com/jwks"
        client_claim = "azp"
        audiences."" = ["app-one"]
        audiences.photos = ["app-one"]
        client_ids."" = "app-one"
        required.hd.pattern = ""
    "#;
    let sound = SOUND.replace("[grants.album.parameters.album]\n    kind = \"segment\"\n", "");
    let reported = loaded(&format!("{sound}\n{text}"), &[], Mode::Production).unwrap_err();
    insta::assert_snapshot!(reported, @r"
grants.album.parameters.album.pattern: it must not be empty: write a regular expression for the whole text, or remove the key
issuers.one.audiences: an audience must not be empty: write the `aud` of the tokens
issuers.one.client_ids: a value must not be empty: write the claim's value
issuers.one.required.hd.pattern: it must not be empty: write a regular expression for the whole text, or remove the key
");
}

#[test]
fn a_user_of_redis_or_of_its_sentinels_needs_a_password() {
    let of = |text: &str| {
        problems(&format!(
            "[store]\nkind = \"redis\"\n[store.redis]\nencryption_key_file = \"key\"\n{text}\n"
        ))
    };
    let found = [
        of("url = \"redis://127.0.0.1\"\nusername = \"appserver\""),
        of(
            "mode = \"sentinel\"\nsentinel = { urls = [\"redis://127.0.0.1:26379\"], master = \"photos\", username = \"asker\" }",
        ),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    store.redis.password_file: a user authenticates with a password: name the file that holds it, or remove `username`
    store.redis.sentinel.password_file: a user authenticates with a password: name the file that holds it, or remove `username`
    ");
}
