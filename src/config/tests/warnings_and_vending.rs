//! `[vend]`, and valid configurations that do not do what their author expects.

use super::*;

#[test]
fn vending_values_out_of_range_are_reported() {
    let wrong = r"
        [sts]
        max_attempts = 0
        [vend]
        max_cached_tokens = 0
        min_remaining_secs = 32401
        stale_remaining_secs = 59
        negative_cache_secs = 61
        call_timeout_ms = 99
        max_waiting = 1
        budget.calls_per_second = 0
        budget.burst = 0
        budget.refresh_percent = 51
        breaker.failures = 0
        breaker.open_ms = 99
    ";
    insta::assert_snapshot!(problems(wrong), @r"
sts.max_attempts: 0 is not between 1 and 20 attempts
vend.breaker.failures: 0 is not between 1 and 1000 attempts
vend.breaker.open_ms: 99 is not between 100 and 60000 milliseconds
vend.budget.burst: 0 is not between 1 and 1000 calls
vend.budget.calls_per_second: 0 is not between 1 and 10000 calls
vend.budget.refresh_percent: 51 is not between 0 and 50 percent
vend.call_timeout_ms: 99 is not between 100 and 600000 milliseconds
vend.max_cached_tokens: 0 is not between 1 and 10000000 tokens
vend.max_waiting: 1 is not between 2 and 1000000 callers
vend.min_remaining_secs: 32401 is not between 0 and 32400 seconds
vend.negative_cache_secs: 61 is not between 0 and 60 seconds
vend.stale_remaining_secs: 59 is not between 60 and 3600 seconds
");
}

#[test]
fn vending_values_reach_their_settings() {
    let text = "[vend]\nmin_remaining_secs = 2400\nmax_cached_tokens = 7\n[vend.budget]\nrefresh_percent = 50\n\
                [sts]\nmax_attempts = 3\n";
    let vend = loaded(&format!("{SOUND}\n{text}"), &[], Mode::Production).unwrap().vend;
    assert_eq!(vend.freshness.min_remaining.map(|least| least.as_secs()), Some(2400));
    assert_eq!((vend.max_cached_tokens, vend.max_attempts.get()), (7, 3));
    assert_eq!((vend.budget.per_second, vend.budget.refresh_share), (90, 0.5));
    let vend = loaded(SOUND, &[], Mode::Production).unwrap().vend;
    assert_eq!(vend.freshness.min_remaining, None);
}

#[test]
fn tokens_that_sdks_would_discard_at_once_cause_a_warning_that_names_the_sdks() {
    let warnings = |variables: &[(&str, &str)]| {
        let settings = loaded(SOUND, variables, Mode::Production).unwrap();
        let of_grants =
            settings.warnings.iter().filter(|warning| warning.path.starts_with("grants."));
        let lines = of_grants.map(|warning| format!("{}: {}", warning.path, warning.message));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(warnings(&[]), "");
    let secs = "APPSERVER__GRANTS__ALBUM__DEFAULT_DURATION_SECS";
    assert_eq!(warnings(&[(secs, "1802")]), "");
    let short = warnings(&[(secs, "1800")]);
    insta::assert_snapshot!(short, @"grants.album.default_duration_secs: tokens of 1800 s are handed out with as little as 900 s left; the Java, Python and Node credentials SDKs (with 900 s left) throw them away at once and ask again at every use. With 3600 s, and `vend.min_remaining_secs` left at 0, they keep them");
    let mobile = warnings(&[("APPSERVER__VEND__MIN_REMAINING_SECS", "300")]);
    insta::assert_snapshot!(mobile, @"grants.album.default_duration_secs: tokens of 3600 s are handed out with as little as 300 s left; the Java, Python and Node credentials SDKs (with 900 s left) and the Android and iOS OSS SDKs (with 300 s left) throw them away at once and ask again at every use. With 3600 s, and `vend.min_remaining_secs` left at 0, they keep them");
}

#[test]
fn a_warning_about_a_grants_policy_suggests_the_corrected_statement() {
    let folder = tempfile::tempdir().unwrap();
    let policy = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject",
        "Resource":"acs:oss:*:*:sample-bucket/uploads/*"}]}"#;
    std::fs::write(folder.path().join("uploads.json"), policy).unwrap();
    let toml = r#"
        [roles.oss]
        arn = "acs:ram::11223344:role/oss"
        [grants.uploads]
        role = "oss"
        policy = "uploads.json"
        [grants.uploads.parameters.album]
        kind = "segment"
        [grants.uploads.claims.dept]
        kind = "segment"
        [clients.phone]
        grants = ["uploads"]
        secret_sha256 = ["1111111111111111111111111111111111111111111111111111111111111111"]
    "#;
    let file = folder.path().join("app.toml");
    std::fs::write(&file, toml).unwrap();
    let settings = load(&[file], &Environment::new(), Mode::Production).unwrap();
    let beside = format!("{}/", folder.path().display());
    let lines = settings
        .warnings
        .iter()
        .map(|Problem { path, message }| format!("{path}: {}", message.replace(&beside, "")));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
grants.uploads.policy: uploads.json: Statement[0].Action: large files go up in parts, and without `oss:AbortMultipartUpload` and `oss:ListParts` their upload can be neither resumed nor given up; perhaps {"Effect":"Allow","Action":["oss:PutObject","oss:AbortMultipartUpload","oss:ListParts"],"Resource":"acs:oss:*:*:sample-bucket/uploads/*"}
grants.uploads.parameters.album: every request must have it, but neither the policy nor `session_name` nor `source_identity` uses it: remove it, or use `${params.…}`
grants.uploads.claims.dept: neither the policy nor `session_name` nor `source_identity` uses it, so callers need not have it: remove it, or use `${claims.…}`; `required` of an issuer demands a claim of every token
"#);
}

/// The warnings for a grant with this policy's resource, held by the client `app`, beside `text`.
fn warnings(resource: &str, text: &str) -> Vec<String> {
    let policy = format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/{resource}/*"}}]}}"#
    );
    let toml = format!(
        "[roles.reader]\narn = \"acs:ram::11223344:role/oss-readonly\"\n\
         [grants.own]\nrole = \"reader\"\npolicy = \"own.json\"\n{text}\n"
    );
    let folder = folder(&[("app.toml", &toml), ("own.json", &policy)]);
    let settings = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production);
    let warnings = settings.unwrap().warnings;
    warnings.into_iter().map(|warning| format!("{}: {}", warning.path, warning.message)).collect()
}

const SECRET: &str =
    "secret_sha256 = [\"1111111111111111111111111111111111111111111111111111111111111111\"]";
const ISSUER: &str = "[issuers.company]\nissuer = \"https://login.example.com/\"\nalgorithms = [\"ES256\"]\n\
     jwks_url = \"https://login.example.com/jwks\"\naudiences.photos = [\"app\"]\n";

#[test]
fn a_client_whose_every_request_is_refused_causes_a_warning() {
    let app = |lines: &str| warnings("a", &format!("[clients.app]\n{lines}\n"));
    assert_eq!(app(&format!("grants = [\"own\"]\n{SECRET}")), [""; 0]);
    assert_eq!(app(&format!("grants = [\"own\"]\n{ISSUER}")), [""; 0]);
    assert_eq!(app("grants = []\nenabled = false"), [""; 0]);
    insta::assert_snapshot!(app("grants = []").join("\n"), @r"
clients.app: it has no way to authenticate, so each of its requests is refused with 401: set `secret_sha256` (`appserver client new` makes a secret), set `certificates`, or list it in `audiences` of an issuer
clients.app.grants: it holds no grant, so each of its requests for a token is refused with 403: name one of `[grants]`, or set `enabled = false`
");
    let zeros = SECRET.replace('1', "0");
    let blank = app(&format!("grants = [\"own\"]\n{zeros}"));
    insta::assert_snapshot!(blank.join("\n"), @"clients.app.secret_sha256: a hash of zeros is an example, and no secret has it: put the hash there that `appserver client new` prints");
}

#[test]
fn a_grant_that_needs_a_claim_of_no_token_causes_a_warning() {
    let claims = "claims.team.kind = \"segment\"";
    let clients = format!("[clients.app]\ngrants = [\"own\"]\n{SECRET}\n");
    let of = |resource: &str, grant: &str, issuers: &str| {
        warnings(resource, &format!("{grant}\n{clients}{issuers}")).join("\n")
    };
    insta::assert_snapshot!(of("${subject}", "", ""), @"grants.own: it takes its user from a token, and no issuer serves a client that holds it, so each request for it is refused: list such a client in `audiences` of an issuer, or remove the placeholders");
    insta::assert_snapshot!(of("${claims.team}", claims, ISSUER), @"grants.own.claims.team: no issuer of its clients has the claim `team` for policies, so each request for the grant is refused: add `team` to `[issuers.company.claims]`");
    assert_eq!(of("${claims.team}", claims, &format!("{ISSUER}claims.team = \"team\"\n")), "");
    assert_eq!(of("${subject}", "", ISSUER), "");
}

#[test]
fn unusual_claim_names_and_key_urls_cause_a_warning() {
    let clients = "[clients.app]\ngrants = [\"own\"]\n";
    let issuer = ISSUER.replace("/jwks", "")
        + "required.\"realm_access.roles\" = { contains = [\"a\"] }\n\
           required.\"https://example.com/roles\" = { contains = [\"a\"] }\nclaims.team = \"cognito:groups\"\n";
    insta::assert_snapshot!(warnings("a", &format!("{clients}{issuer}")).join("\n"), @r"
issuers.company.jwks_url: it names a host and no path, where key sets are seldom: add the path, or set `discovery = true` so that the issuer provides it
issuers.company.required.realm_access.roles: this is one claim with dots in its name, which few tokens have; a claim inside another is written `/realm_access/roles`
");
}

#[test]
fn repeated_and_unused_entries_cause_warnings() {
    let text = format!(
        "{SOUND}\n[clients.app-two]\ngrants = [\"album\", \"album\"]\n{SECRET}\n\
         [roles.spare]\narn = \"acs:ram::11223344:role/spare\"\n"
    );
    let variables = [
        ("APPSERVER_LOG__FILTER", "debug"),
        ("APPSERVER_SERVER_LISTEN", "127.0.0.1:80"),
        // Of Kubernetes, for Services named `appserver` and `appserver-admin`.
        ("APPSERVER_SERVICE_HOST", "10.0.0.1"),
        ("APPSERVER_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("APPSERVER_ADMIN_SERVICE_HOST", "10.0.0.1"),
        ("APPSERVER_ADMIN_PORT", "tcp://10.0.0.1:9090"),
        ("APPSERVER_ADMIN_PORT_9090_TCP_ADDR", "10.0.0.1"),
    ];
    let warnings = loaded(&text, &variables, Mode::Production).unwrap().warnings;
    let lines = warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.message));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
clients.app-two.secret_sha256: the client `app-one` has the same secret, so each can call as the other: give each its own, made by `appserver client new`
clients.app-two.grants: `album` is listed more than once: remove the repetition
roles.spare: no grant assumes this role: remove it, or name it in `role` of a grant
APPSERVER_LOG__FILTER: this variable is not read: two underscores follow `APPSERVER` and separate keys, as in `APPSERVER__LOG__FILTER`
APPSERVER_SERVER_LISTEN: this variable is not read: two underscores follow `APPSERVER` and separate keys, as in `APPSERVER__LOG__FILTER`
");
    assert_eq!(loaded(SOUND, &[], Mode::Production).unwrap().warnings, []);
}

#[test]
fn keys_without_effect_cause_a_warning_that_names_what_turns_them_on() {
    let warnings = |text: &str| {
        let settings = loaded(&format!("{SOUND}\n{text}"), &[], Mode::Production).unwrap();
        let lines =
            settings.warnings.iter().map(|found| format!("{}: {}", found.path, found.message));
        lines.collect::<Vec<_>>().join("\n")
    };
    for same in [
        "[decision]\nurl = \"\"\ntimeout_ms = 300\nheaders = []\n",
        "[store.redis]\nurl = \"\"\nkey_prefix = \"other\"\n",
        "[audit]\nfile = \"\"\n",
    ] {
        assert_eq!(warnings(same), "", "{same}");
    }
    let found = [
        "[decision]\nsecret_file = \"secret\"\nheaders = [\"X-App-Attest\"]\n",
        "[decision]\nmode = \"shadow\"\n",
        "[store.redis]\nurl = \"redis://127.0.0.1\"\nencryption_key_file = \"key\"\n",
        "[store.redis.cluster]\nurls = [\"redis://127.0.0.1:6379\"]\n",
        "[audit]\nfile = \"audit.jsonl\"\n",
    ];
    let found: Vec<_> = found.into_iter().map(warnings).collect();
    insta::assert_snapshot!(found.join("\n"), @r"
    decision.url: without it there is no hook, and `decision.secret_file`, `decision.headers` are set: set this to the hook's URL, or remove them
    decision.url: without it there is no hook, and `decision.mode` is set: set this to the hook's URL, or remove it
    store.kind: with `memory` replicas share nothing, and `store.redis.url` is set: set this to `redis`, or remove it
    store.kind: with `memory` replicas share nothing, and `store.redis.cluster.urls` is set: set this to `redis`, or remove it
    audit.sink: no file is written, and `audit.file` is set: set this to `file`, or remove it
    ");
}

#[test]
fn values_that_others_make_unreachable_cause_a_warning() {
    let folder = folder(&[("policies/album.json", POLICY), ("key", ""), ("secret", "")]);
    let warnings = |text: &str| {
        let file = folder.path().join("app.toml");
        std::fs::write(&file, format!("{SOUND}\n{text}")).unwrap();
        let settings = load(&[file], &Environment::new(), Mode::Production).unwrap();
        let lines =
            settings.warnings.iter().map(|found| format!("{}: {}", found.path, found.message));
        lines.collect::<Vec<_>>().join("\n")
    };
    let file = "[audit]\nsink = \"file\"\nfile = \"audit.jsonl\"\nmax_file_age_secs = 86400\n";
    let hook = "[decision]\nurl = \"https://hook.example.com/decide\"\nsecret_file = \"secret\"\n";
    let redis = "[store]\nkind = \"redis\"\n[store.redis]\nurl = \"redis://127.0.0.1\"\nencryption_key_file = \"key\"\n";
    for sound in [format!("{file}keep_secs = 864000\n"), format!("{hook}timeout_ms = 9999\n")] {
        assert_eq!(warnings(&sound), "", "{sound}");
    }
    let found = [
        format!("{file}keep_secs = 864001\n"),
        format!("{hook}timeout_ms = 10000\n[server]\nrequest_timeout_ms = 10000\n"),
        format!("{redis}previous_encryption_key_file = \"key\"\n"),
        "[tickets]\nkey_file = \"key\"\nprevious_key_file = \"key\"\n[server]\npublic_url = \"https://vend.example.com\"\n".to_owned(),
    ];
    let found: Vec<_> = found.iter().map(|text| warnings(text)).collect();
    insta::assert_snapshot!(found.join("\n"), @r"
    audit.keep_secs: a busy replica deletes its oldest file before it is that old: it makes one each `max_file_age_secs`, and keeps 10; set `max_files` to at least 11
    decision.timeout_ms: a request ends after 10000 ms (`server.request_timeout_ms`), so that `decision.on_error` never decides: set this to less
    store.redis.previous_encryption_key_file: it is the file of `encryption_key_file`, too, so that what the previous key encrypted cannot be decrypted: name the file of the previous key, or remove this key
    tickets.previous_key_file: it is the file of `key_file`, too, so that what the previous key encrypted cannot be decrypted: name the file of the previous key, or remove this key
    ");
}
