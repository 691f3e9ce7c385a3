//! Every problem is reported in one run, also where one hinders the check of another.

use super::*;

/// One problem of every kind, including those of secrets and of values that depend on invalid ones.
const WRONG: &str = r#"
server.listen = "nowhere"
server.no_such_key = 1
server.request_timeout_ms = 1
server.tls.certificate_file = "no-chain"
server.tls.key_file = "no-tls-key"
admin.listen = "nowhere"
log.format = "loud"
reload.watch = "often"

[audit]
sink = "file"
file = "no-folder/audit.jsonl"
max_files = 0

[egress]
proxy = "http://user:word@proxy.example.com"
proxy_user_file = "no-user"
ca_file = "no-authorities.pem"
tracing.no_proxy = ["*"]

[sts]
region = "oss-cn-hangzhou"
max_attempts = 0
identity.access_key = { source = "files", id_file = "no-id", secret_file = "no-secret" }

[vend]
max_cached_tokens = 0
budget.burst = 0

[store]
kind = "redis"
redis.url = "redis://127.0.0.1"
redis.password_file = "no-password"
redis.encryption_key_file = "no-key"
redis.previous_encryption_key_file = "no-older-key"

[tickets]
key_file = "no-ticket-key"
previous_key_file = "no-older-ticket-key"

[tracing]
otlp_endpoint = "http://127.0.0.1:4318"
headers_file = "no-headers"

[roles.reader]
arn = "not an ARN"

[grants.broad]
role = "reader"
policy = "no-policy.json"
min_duration_secs = 1
parameters.album = { kind = "shape", pattern = "(" }
parameters.size = { kind = "segment", pattern = "(", max_length_bytes = 0 }

[grants.judged]
role = "nobody"
policy = "policy.json"
allow_broad = true

[clients.app]
grants = ["broad", "no-such-grant"]
enabled = "perhaps"

[issuers.company]
issuer = "https://login.example.com/"
algorithms = ["none"]
jwks_file = "no-keys.json"
audiences.photos = ["app", "nobody"]
"#;

#[test]
fn every_kind_of_problem_is_reported_in_one_run_with_those_of_secrets() {
    let folder = folder(&[("appserver.toml", WRONG), ("policy.json", "{")]);
    let file = folder.path().join("appserver.toml");
    let wrong = load_for_check(&[file], &Environment::new(), Mode::Production, SecretsToo::Yes);
    let wrong = wrong.unwrap_err();
    let paths: Vec<_> = wrong.iter().map(|problem| problem.path.as_str()).collect();
    let expected = "admin.listen\n\
         audit.file\n\
         audit.max_files\n\
         clients.app.enabled\n\
         clients.app.grants\n\
         egress.ca_file\n\
         egress.proxy\n\
         egress.proxy_user_file\n\
         egress.tracing.no_proxy\n\
         grants.broad.min_duration_secs\n\
         grants.broad.parameters.album\n\
         grants.broad.parameters.album.kind\n\
         grants.broad.parameters.size\n\
         grants.broad.parameters.size.max_length_bytes\n\
         grants.broad.policy\n\
         grants.judged.allow_broad_reason\n\
         grants.judged.policy\n\
         grants.judged.role\n\
         issuers.company.algorithms\n\
         issuers.company.audiences.photos\n\
         issuers.company.audiences.photos\n\
         issuers.company.jwks_file\n\
         log.format\n\
         reload.watch\n\
         roles.reader.arn\n\
         server.listen\n\
         server.no_such_key\n\
         server.public_url\n\
         server.request_timeout_ms\n\
         server.tls.certificate_file\n\
         server.tls.key_file\n\
         store.redis.encryption_key_file\n\
         store.redis.password_file\n\
         store.redis.previous_encryption_key_file\n\
         sts.identity.access_key.id_file\n\
         sts.identity.access_key.secret_file\n\
         sts.max_attempts\n\
         sts.region\n\
         tickets.key_file\n\
         tickets.previous_key_file\n\
         tracing.headers_file\n\
         vend.budget.burst\n\
         vend.max_cached_tokens";
    assert_eq!(paths, expected.lines().collect::<Vec<_>>());
}

fn paths(text: &str, files: &[(&str, &str)]) -> Vec<String> {
    let folder = folder(&[&[("app.toml", text)], files].concat());
    let file = folder.path().join("app.toml");
    let key = ["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"];
    let key = Environment::from(key.map(|name| (name.to_owned(), "test".to_owned())));
    let loaded = load_for_check(&[file], &key, Mode::Production, SecretsToo::Yes);
    loaded.unwrap_err().iter().map(|problem| problem.path.clone()).collect()
}

/// A secret's file is read whatever other problems there are.
#[test]
fn a_file_is_read_if_another_key_of_its_table_is_invalid() {
    let text = format!(
        "{SOUND}\n[server]\nmax_streams = 0\n[server.tls]\ncertificate_file = \"no-chain\"\n\
         [sts.identity.access_key]\nsource = \"files\"\nid_file = \"no-id\"\n\
         [store]\nkind = \"redis\"\n[store.redis]\nurl = \"nowhere\"\npassword_file = \"no-password\"\n\
         encryption_key_file = \"no-key\"\n\
         [tickets]\nkey_file = \"no-ticket-key\"\nmax_lifetime_secs = 1\n\
         [tracing]\notlp_endpoint = \"nowhere\"\nheaders_file = \"no-headers\"\n\
         [issuers.company]\nissuer = \"https://login.example.com/\"\nalgorithms = [\"none\"]\n\
         jwks_file = \"no-keys.json\"\naudiences.photos = [\"app-one\"]\n"
    );
    let expected = [
        "issuers.company.algorithms",
        "issuers.company.jwks_file",
        "server.max_streams",
        "server.public_url",
        "server.tls",
        "server.tls.certificate_file",
        "store.redis.encryption_key_file",
        "store.redis.password_file",
        "store.redis.url",
        "sts.identity.access_key",
        "sts.identity.access_key.id_file",
        "tickets.key_file",
        "tickets.max_lifetime_secs",
        "tracing.headers_file",
        "tracing.otlp_endpoint",
    ];
    assert_eq!(paths(&text, &[("policies/album.json", POLICY)]), expected);
}

/// An invalid rule is replaced by one that admits every policy that some rule admits.
#[test]
fn an_invalid_parameter_does_not_hide_problems_of_the_policy() {
    let policy = r#"{"Version":"1","Statement":[{"Effect":"Perhaps","Action":"oss:GetObject",
        "Resource":"acs:oss:*:*:sample-bucket/${params.album}/*"}]}"#;
    for rule in
        ["kind = \"shape\"", "kind = 1", "kind = \"enum\"", "kind = \"path\"\npattern = \"(\""]
    {
        let text = SOUND.replace("kind = \"segment\"", rule);
        let found = paths(&text, &[("policies/album.json", policy)]);
        assert_eq!(found.len(), 2, "{rule}: {found:?}");
        assert!(found.contains(&"grants.album.policy".to_owned()), "{rule}: {found:?}");
        assert_eq!(paths(&text, &[("policies/album.json", POLICY)]).len(), 1, "{rule}");
    }
}

/// Each of these is one mistake, and is reported as one problem.
#[test]
fn problems_that_only_follow_from_another_are_not_reported() {
    let issuer = "[issuers.company]\nissuer = \"https://login.example.com/\"\nalgorithms = [\"ES256\"]\n\
                  jwks_url = \"https://login.example.com/jwks\"\naudiences.photos = [\"app-one\"]\n";
    for (wrong, path) in [
        (
            "[issuers.company]\nprovider = \"gogle\"\naudiences.photos = [\"app-one\"]",
            "issuers.company.provider",
        ),
        (
            &issuer.replace("jwks_url = \"https://login.example.com/jwks\"", "jwks_file = 1"),
            "issuers.company.jwks_file",
        ),
        (&issuer.replace("[\"app-one\"]", "\"app-one\""), "issuers.company.audiences.photos"),
        (
            &issuer.replace("audiences.photos = [\"app-one\"]", "audiences = 3"),
            "issuers.company.audiences",
        ),
        (
            &format!("{issuer}required.team = {{ equals = 1 }}"),
            "issuers.company.required.team.equals",
        ),
        (
            "[server.tls]\ncertificate_file = 1\nkey_file = \"app.toml\"",
            "server.tls.certificate_file",
        ),
        (
            "[sts.identity.access_key]\nsource = \"files\"\nid_file = 1\nsecret_file = \"secret\"",
            "sts.identity.access_key.id_file",
        ),
        ("[sts]\nregion = 1\nvpc = true", "sts.region"),
        ("[audit]\nsink = \"file\"\nfile = 1", "audit.file"),
        ("[tickets]\nkey_file = 1", "tickets.key_file"),
        (
            "[roles.other]\narn = \"\"\n[grants.other]\nrole = \"other\"\npolicy = \"policies/plain.json\"",
            "roles.other.arn",
        ),
    ] {
        let policy = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject",
            "Resource":"acs:oss:*:*:sample-bucket/a/*"}]}"#;
        let files = [
            ("policies/album.json", POLICY),
            ("policies/plain.json", policy),
            ("secret", "secret"),
        ];
        assert_eq!(paths(&format!("{SOUND}\n{wrong}\n"), &files), [path], "{wrong}");
    }
}

#[test]
fn a_value_in_place_of_a_table_hides_no_other_problem() {
    let text = "server = 3\nclients = { app = 7 }\nissuers = [1]\n[vend]\nbudget = \"all\"\nmax_cached_tokens = 0\n";
    let expected = ["clients.app", "issuers", "server", "vend.budget", "vend.max_cached_tokens"];
    assert_eq!(paths(text, &[]), expected);
    let variables = [("APPSERVER__SERVER", "3"), ("APPSERVER__ADMIN__LISTEN", "nowhere")];
    let wrong = loaded(SOUND, &variables, Mode::Production).unwrap_err();
    insta::assert_snapshot!(wrong, @r"
admin.listen: it must be an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`
server: it must be a table: in the environment each of its keys is a variable, `APPSERVER__SERVER__KEY`
");
}

/// A missing value may be in the file that cannot be read; an invalid value in another file is a problem.
#[test]
fn an_unreadable_file_hides_no_problem_of_the_others() {
    let text = "[vend]\nmax_cached_tokens = 0\ncolour = 1\n[server]\nlisten = \"0.0.0.0:80\"\nbehind_proxy = 1\n\
                [grants.one]\nrole = \"elsewhere\"\npolicy = \"one.json\"\n[clients.app]\ngrants = [\"other\"]\n";
    let policy = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject",
        "Resource":"acs:oss:*:*:sample-bucket/${params.album}/*"}]}"#;
    let folder = folder(&[("one.toml", text), ("one.json", policy), ("two.toml", "[log\n")]);
    for other in ["two.toml", "lost.toml"] {
        let files = ["one.toml", other].map(|name| folder.path().join(name));
        let wrong = load(&files, &Environment::new(), Mode::Production).unwrap_err();
        let paths: Vec<_> = wrong.iter().map(|problem| problem.path.as_str()).collect();
        assert!(paths[0].contains(other), "{paths:?}");
        assert_eq!(paths[1..], ["server.behind_proxy", "vend.colour", "vend.max_cached_tokens"]);
    }
}

/// The file that cannot be read may name another source of the AccessKey than the default, or any other value.
#[test]
fn a_file_that_is_not_toml_leads_to_no_problem_of_the_defaults_that_it_would_replace() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appserver.toml");
    for text in ["[sts\n", "[sts]\nregion = \n[sts.identity]\nsource = \"oidc\"\n"] {
        std::fs::write(&file, text).unwrap();
        let mode = Mode::Production;
        let problems =
            load_for_check(std::slice::from_ref(&file), &Environment::new(), mode, SecretsToo::Yes)
                .unwrap_err();
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.clone()).collect();
        let [only] = paths.as_slice() else { panic!("{problems}") };
        assert!(only.starts_with(&file.display().to_string()), "{problems}");
    }
    let readable = folder.path().join("first.toml");
    std::fs::write(&readable, "[sts.identity]\nsource = \"oidc\"\n").unwrap();
    let files = [readable, file];
    let problems = load_for_check(&files, &Environment::new(), Mode::Production, SecretsToo::Yes);
    assert_eq!(problems.unwrap_err().iter().count(), 1);
}
