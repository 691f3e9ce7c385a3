//! T59: all that is wrong is reported in one run, also where one thing stands in another's way.

use super::*;

/// One thing of every kind is wrong, secrets and what depends on something that is wrong included.
const WRONG: &str = r#"
server.listen = "nowhere"
server.no_such_key = 1
server.request_timeout_ms = 1
admin.listen = "nowhere"
log.format = "loud"
reload.watch = "often"

[audit]
sink = "file"
max_files = 0

[sts]
max_attempts = 0
access_key = { source = "files", id_file = "no-id", secret_file = "no-secret" }

[vend]
max_keys = 0
budget.burst = 0

[store]
kind = "redis"
redis.url = "redis://127.0.0.1"
redis.password_file = "no-password"
redis.seal_key_file = "no-key"
redis.previous_seal_key_file = "no-older-key"

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
fn one_broken_thing_of_every_kind_is_told_in_one_run_with_the_secrets() {
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
         grants.broad.min_duration_secs\n\
         grants.broad.parameters.album\n\
         grants.broad.parameters.album.kind\n\
         grants.broad.parameters.size\n\
         grants.broad.parameters.size.max_length_bytes\n\
         grants.broad.policy\n\
         grants.broad.role\n\
         grants.judged.allow_broad_reason\n\
         grants.judged.policy\n\
         grants.judged.role\n\
         issuers.company.algorithms\n\
         issuers.company.audiences.photos\n\
         issuers.company.audiences.photos\n\
         log.format\n\
         reload.watch\n\
         roles.reader.arn\n\
         server.listen\n\
         server.no_such_key\n\
         server.public_url\n\
         server.request_timeout_ms\n\
         store.redis.password_file\n\
         store.redis.previous_seal_key_file\n\
         store.redis.seal_key_file\n\
         sts.access_key.id_file\n\
         sts.access_key.secret_file\n\
         sts.max_attempts\n\
         tickets.key_file\n\
         tickets.previous_key_file\n\
         tracing.headers_file\n\
         vend.budget.burst\n\
         vend.max_keys";
    assert_eq!(paths, expected.lines().collect::<Vec<_>>());
}
