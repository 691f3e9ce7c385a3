//! A configuration that changes while the server runs applies wholly or not at all, and only to the callers that it concerns.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use appserver_emulator::Fault;

use crate::binary::{run, text};
use crate::logs;
use crate::stage::{Setting, Stage, TIME_LIMIT, secret};

const DISABLED: &str = "clients.client-002.enabled = false";

async fn details(stage: &Stage) -> String {
    let (status, ready) = stage.admin("/readyz").await;
    assert_eq!(status, 200);
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    ready["Details"].as_array().map_or(String::new(), |details| {
        details.iter().map(|detail| detail.as_str().unwrap()).collect::<Vec<_>>().join(" ")
    })
}

async fn metric(stage: &Stage, name: &str) -> String {
    let (_, metrics) = stage.admin("/metrics").await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("appserver_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).to_owned()
}

/// Polls until the condition holds.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(TIME_LIMIT, waiting).await.is_ok(), "not {what}");
}

#[tokio::test]
async fn a_client_is_disabled_and_enabled_again_without_a_restart() {
    let stage = Stage::demo().await;
    let first = stage.get("client-002", "/v1/token").await;
    let (_, before) = stage.admin("/version").await;

    stage.write("over.toml", DISABLED);
    stage.reload().await.unwrap();
    let refused = stage.get("client-002", "/v1/token").await;
    assert_eq!(refused.outcome(), "403 Forbidden.ClientDisabled");
    let (_, after) = stage.admin("/version").await;
    let hash = |version: &str| {
        serde_json::from_str::<serde_json::Value>(version).unwrap()["ConfigHash"].clone()
    };
    assert_ne!(hash(&before), hash(&after));

    // Its tokens are removed, too.
    stage.write("over.toml", "");
    stage.reload().await.unwrap();
    let second = stage.get("client-002", "/v1/token").await;
    assert_eq!(second.outcome(), "200 Success");
    assert_ne!(first.body["AccessKeyId"], second.body["AccessKeyId"]);
    assert_eq!(hash(&before), hash(&stage.admin("/version").await.1));
    assert_eq!(metric(&stage, r#"config_reloads_total{outcome="applied"}"#).await, "2");
    stage.close().await;
}

#[tokio::test]
async fn cached_tokens_and_counters_of_others_survive_a_reload() {
    let limit = "[clients.client-003.limit]\nrequests_per_second = 1\nburst = 2\n";
    let stage = Stage::set(Setting { config: limit, ..Setting::default() }).await;
    let album = "/v1/token?Parameters.album=2015";
    let first = stage.get("client-003", album).await;
    stage.write("over.toml", &format!("{DISABLED}\n{limit}"));
    stage.reload().await.unwrap();
    let second = stage.get("client-003", album).await;
    assert_eq!(first.body["AccessKeyId"], second.body["AccessKeyId"]);
    assert_eq!(stage.assume_role_calls().len(), 1);
    // The burst of two is spent, one before and one after.
    assert_eq!(stage.get("client-003", album).await.outcome(), "429 Throttled.Client");
    stage.close().await;
}

#[tokio::test]
async fn a_clients_default_grant_applies_from_the_next_request_on() {
    let stage = Stage::demo().await;
    let album = "/v1/token?Parameters.album=2015";
    let named = |answer: &crate::stage::Answer| answer.body["Grant"].as_str().map(str::to_owned);
    assert_eq!(stage.get("client-004", album).await.outcome(), "400 InvalidParameter.Grant");
    assert!(stage.get("client-004", "/v1/whoami").await.body.get("DefaultGrant").is_none());
    for grant in ["album-guest", "shared-album"] {
        stage.write("over.toml", &format!("clients.client-004.default_grant = \"{grant}\""));
        stage.reload().await.unwrap();
        assert_eq!(named(&stage.get("client-004", album).await).as_deref(), Some(grant));
        let whoami = stage.get("client-004", "/v1/whoami").await;
        assert_eq!(whoami.body["DefaultGrant"], grant);
    }
    let other = stage.get("client-004", &format!("{album}&Grant=album-guest")).await;
    assert_eq!(named(&other).as_deref(), Some("album-guest"));
    stage.close().await;
}

/// The grant's policy file: the next request gets another token.
#[tokio::test]
async fn a_changed_policy_applies_to_the_next_request() {
    let config = "grants.daily-photos.policy = \"daily.json\"";
    let policy = |day: &str| {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/{day}/*"}}]}}"#
        )
    };
    let day = policy("2015/01/01");
    let files = [("daily.json", day.as_str())];
    let stage = Stage::set(Setting { config, files: &files, ..Setting::default() }).await;
    stage.get("client-002", "/v1/token").await;
    stage.write("daily.json", &policy("2015/01/02"));
    stage.reload().await.unwrap();
    stage.get("client-002", "/v1/token").await;
    let policies: Vec<_> =
        stage.assume_role_calls().iter().map(|call| call.parameters["Policy"].clone()).collect();
    assert_eq!(policies, [policy("2015/01/01"), policy("2015/01/02")]);
    stage.close().await;
}

/// A reload logs and audits what a changed template also allows and no longer allows, before the first token of it. A
/// template that is written differently and allows the same causes neither.
#[tokio::test]
async fn a_widened_grant_is_logged_and_audited_before_its_first_token() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let config = format!(
        "[grants.daily-photos]\npolicy = \"daily.json\"\n[audit]\nsink = \"file\"\nfile = {audit:?}\n"
    );
    let policy = |actions: &str, day: &str| {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":{actions},"Resource":"acs:oss:*:*:sample-bucket/{day}/*"}}]}}"#
        )
    };
    let own = policy(r#""oss:GetObject""#, "2015/01/01");
    let files = [("daily.json", own.as_str())];
    let stage = Stage::set(Setting { config: &config, files: &files, ..Setting::default() }).await;
    let start = logs::since(0).len();
    let same = policy(r#"["oss:GetObject","oss:GetObject"]"#, "2015/01/01");
    for text in [&same, &policy(r#"["oss:PutObject"]"#, "2015/01/01")] {
        stage.write("daily.json", text);
        stage.reload().await.unwrap();
        stage.get("client-002", "/v1/token").await;
    }
    let log = logs::since(start);
    let changed: Vec<_> =
        log.lines().filter(|line| line.contains("grant's policy changed")).collect();
    assert_eq!(changed.len(), 1, "{log}");
    for part in [
        " WARN ",
        "grant.name=\"daily-photos\"",
        "policy.also_allows=\"oss:PutObject on acs:oss:*:*:sample-bucket/2015/01/01/object\"",
        "policy.no_longer_allows=\"oss:GetObject on acs:oss:*:*:sample-bucket/2015/01/01/object\"",
    ] {
        assert!(changed[0].contains(part), "{part}: {}", changed[0]);
    }

    let without = "clients.client-002.grants = [\"read-all\"]\nclients.client-001.grants = [\"daily-photos\", \"read-all\"]\n";
    stage.write("over.toml", &format!("{without}{config}"));
    stage.reload().await.unwrap();
    stage.close().await;
    let text = std::fs::read_to_string(&audit).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = lines
        .iter()
        .map(|line| {
            ["Event", "Decision", "Code", "Grant"].map(|key| line[key].as_str().unwrap()).join(" ")
        })
        .collect();
    assert_eq!(
        events,
        [
            "Token Vended Success daily-photos",
            "Grant Changed Wider daily-photos",
            "Token Vended Success daily-photos",
            "Grant Changed Wider daily-photos",
            "Grant Changed Wider read-all",
        ]
    );
    let change = &lines[1];
    assert_eq!(
        change["AlsoAllows"],
        "oss:PutObject on acs:oss:*:*:sample-bucket/2015/01/01/object"
    );
    assert_eq!(
        change["NoLongerAllows"],
        "oss:GetObject on acs:oss:*:*:sample-bucket/2015/01/01/object"
    );
    assert_ne!(change["TemplateSha256"], change["TemplateSha256Before"]);
    assert_eq!(
        lines[3]["Reason"],
        "client `client-001` may use it now; client `client-002` may no longer use it"
    );
}

/// A reload that adds a grant, makes another incomparable, and one that removes the first: each is in the log and in the
/// audit, where `audit find` lists it.
#[tokio::test]
async fn added_removed_and_incomparable_grants_are_logged_and_audited() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let config = format!(
        "[grants.daily-photos]\npolicy = \"daily.json\"\n[audit]\nsink = \"file\"\nfile = {audit:?}\n"
    );
    let own = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket"}]}"#;
    let two_kinds = r#","Condition":{"StringLike":{"oss:Prefix":"a*"},"NumericLessThan":{"oss:Prefix":"5"}}}]}"#;
    let files = [("daily.json", own), ("extra.json", own)];
    let stage = Stage::set(Setting { config: &config, files: &files, ..Setting::default() }).await;
    let start = logs::since(0).len();
    stage.write("daily.json", &own.replace("}]}", two_kinds));
    let extra = "[grants.extra]\nrole = \"oss-readonly\"\npolicy = \"extra.json\"\n";
    for text in [format!("{extra}{config}"), config] {
        stage.write("over.toml", &text);
        stage.reload().await.unwrap();
    }
    stage.close().await;
    let log = logs::since(start);
    for parts in [
        [" INFO ", "grant added", "grant.name=\"extra\""],
        [" INFO ", "grant removed", "grant.name=\"extra\""],
        [" WARN ", "grant's policy changed", "policy.undecided=\"a condition key is compared"],
    ] {
        let lines = log.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
        assert_eq!(lines.count(), 1, "{parts:?}: {log}");
    }
    let found = |grant: &str| {
        let file = audit.display().to_string();
        text(&run(&["audit", "find", "--grant", grant, &file], &[]).stdout)
            .lines()
            .filter_map(|line| Some(line.split_once("Z  ")?.1.to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found("extra"),
        ["Added    -  grant extra  Wider: -", "Removed  -  grant extra  NotWider: -",]
    );
    let incomparable = found("daily-photos").concat();
    let expected = "Changed  -  grant daily-photos  Undecided: its templates cannot be compared: a condition key";
    assert!(incomparable.starts_with(expected), "{incomparable}");
}

/// An invalid configuration changes nothing, and is logged.
#[tokio::test]
async fn an_invalid_configuration_leaves_the_old_one_active() {
    let stage = Stage::demo().await;
    let start = logs::since(0).len();
    for (bad, problem) in [
        ("clients.client-002.enabled = \"maybe\"", "clients.client-002.enabled: "),
        ("clients.client-002.colour = 7", "clients.client-002.colour: there is no such key"),
        (
            "clients.client-002.grants = [\"nothing\"]",
            "clients.client-002.grants: there is no grant",
        ),
        ("grants.daily-photos.policy = \"missing.json\"", "grants.daily-photos.policy: "),
        ("clients = ", "over.toml:1:11: "),
        ("roles.oss-readonly.arn = \"acs:ram::55667788:role/oss-readonly\"", "roles: "),
    ] {
        stage.write("over.toml", bad);
        let refused = stage.reload().await.unwrap_err();
        assert!(refused.contains(problem), "{bad}: {refused}");
        assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "200 Success");
        assert_eq!(details(&stage).await, "config_last_reload_failed", "{bad}");
    }
    std::fs::remove_file(stage.folder().join("over.toml")).unwrap();
    stage.reload().await.unwrap_err();
    assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "200 Success");
    assert_eq!(metric(&stage, r#"config_reloads_total{outcome="refused"}"#).await, "7");
    assert_eq!(metric(&stage, "config_last_reload_successful").await, "0");
    assert!(logs::since(start).contains("the previous configuration stays active"));

    stage.write("over.toml", "");
    stage.reload().await.unwrap();
    assert_eq!(details(&stage).await, "");
    stage.close().await;
}

#[tokio::test]
async fn keys_that_need_a_restart_are_named() {
    let stage = Stage::demo().await;
    let start = logs::since(0).len();
    stage.write("over.toml", "vend.budget.burst = 7\nserver.drain_timeout_ms = 1");
    stage.reload().await.unwrap();
    assert_eq!(details(&stage).await, "config_needs_restart");
    assert!(logs::since(start).contains("server.drain_timeout_ms, vend.budget.burst"));
    stage.close().await;
}

/// Kubernetes swaps a link some folders above the files, without a signal and without writing to any of them.
#[tokio::test]
async fn a_config_maps_symlink_swap_reloads_configuration_and_policies() {
    let policy = |day: &str| {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/{day}/*"}}]}}"#
        )
    };
    let watching = "reload.watch_interval_ms = 20\ngrants.daily-photos.policy = \"daily.json\"\n";
    let first = policy("2015/01/01");
    let files = [("daily.json", first.as_str())];
    let stage = Stage::set(Setting { config: watching, files: &files, ..Setting::default() }).await;
    let at = |name: &str| stage.folder().join(name);
    // The files are the same ones in each version; only the folder behind `..data` is another.
    let swap = |version: &str, config: &str, day: &str| {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("over.toml"), config).unwrap();
        std::fs::write(at(version).join("daily.json"), policy(day)).unwrap();
        symlink(version, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    swap("v1", watching, "2015/01/01");
    for name in ["over.toml", "daily.json"] {
        std::fs::remove_file(at(name)).unwrap();
        symlink(format!("..data/{name}"), at(name)).unwrap();
    }

    let disabled = async || stage.get("client-002", "/v1/token").await.status == 403;
    let vended = async || stage.get("client-002", "/v1/token").await.status == 200;
    assert!(vended().await);
    swap("v2", &format!("{watching}{DISABLED}"), "2015/01/01");
    until("disabled by a swap", disabled).await;
    swap("v3", "not toml", "2015/01/02");
    until("refused", async || details(&stage).await == "config_last_reload_failed").await;
    assert!(disabled().await, "the last good configuration is active");
    swap("v4", watching, "2015/01/02");
    until("enabled by a swap", vended).await;
    // A swap that changes a policy alone.
    swap("v5", watching, "2015/01/03");
    let newest = async || {
        stage.get("client-002", "/v1/token").await;
        let calls = stage.assume_role_calls();
        calls.last().is_some_and(|call| call.parameters["Policy"] == policy("2015/01/03"))
    };
    until("the policy of a swap", newest).await;
    let asked: Vec<_> =
        stage.assume_role_calls().iter().map(|call| call.parameters["Policy"].clone()).collect();
    assert_eq!(asked, ["2015/01/01", "2015/01/02", "2015/01/03"].map(policy));
    stage.close().await;
}

const ROTATING: &str = r#"
[sts.identity.access_key]
source = "files"
id_file = "id"
secret_file = "secret"
"#;

/// The old key signs until STS accepts the new one.
#[tokio::test]
async fn an_access_key_is_rotated_without_a_failed_request() {
    let files = [("id", "testid\n"), ("secret", "testsecret\n")];
    let stage = Stage::set(Setting { config: ROTATING, files: &files, ..Setting::default() }).await;
    let signed_with = async |album: &str| {
        let path = format!("/v1/token?Parameters.album={album}");
        assert_eq!(stage.get("client-003", &path).await.outcome(), "200 Success");
        stage.assume_role_calls().last().unwrap().parameters["AccessKeyId"].clone()
    };
    assert_eq!(signed_with("one").await, "testid");

    // RAM has created the new key, and not every STS endpoint knows it yet.
    let unknown = Fault::Error {
        status: 404.try_into().unwrap(),
        code: "InvalidAccessKeyId.NotFound".to_owned(),
        message: "Specified access key is not found.".to_owned(),
    };
    stage.sts.script(unknown.times(1).only("GetCallerIdentity"));
    stage.write("id", "nextid");
    stage.write("secret", "nextsecret");
    stage.reload().await.unwrap();
    assert_eq!(details(&stage).await, "access_key_unverified");
    assert_eq!(signed_with("two").await, "testid");

    until("proven", async || details(&stage).await.is_empty()).await;
    assert_eq!(signed_with("three").await, "nextid");
    stage.close().await;
}

#[tokio::test]
async fn a_key_that_must_not_be_used_is_never_signed_with() {
    let files = [("id", "testid"), ("secret", "testsecret")];
    let stage = Stage::set(Setting { config: ROTATING, files: &files, ..Setting::default() }).await;
    stage.write("id", "rootid");
    stage.write("secret", "rootsecret");
    let start = logs::since(0).len();
    stage.reload().await.unwrap();
    until("refused", async || logs::since(start).contains("must not be used")).await;
    assert_eq!(details(&stage).await, "access_key_unverified");
    assert_eq!(stage.get("client-001", "/v1/token").await.outcome(), "200 Success");
    let signed: Vec<_> = stage
        .assume_role_calls()
        .iter()
        .map(|call| call.parameters["AccessKeyId"].clone())
        .collect();
    assert_eq!(signed, ["testid"]);

    // An empty file is an invalid configuration, not a missing key.
    stage.write("secret", "\n");
    stage.reload().await.unwrap_err();
    stage.write("id", "testid");
    stage.write("secret", "testsecret");
    stage.reload().await.unwrap();
    until("back", async || details(&stage).await.is_empty()).await;
    stage.close().await;
}

/// None of 10,000 requests during 20 reloads fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_do_not_notice_twenty_reloads() {
    const REQUESTS: usize = 10_000;
    const RELOADS: usize = 20;
    let stage = Stage::demo().await;
    let (sent, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let (sent, done, url) = (
                Arc::clone(&sent),
                Arc::clone(&done),
                stage.url("/v1/token?Parameters.album=2015"),
            );
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while sent.fetch_add(1, Ordering::Relaxed) < REQUESTS
                    || !done.load(Ordering::Relaxed)
                {
                    let request =
                        http.get(&url).basic_auth("client-003", Some(secret("client-003")));
                    match request.send().await {
                        Ok(answer) if answer.status() == 200 => {
                            answer.bytes().await.unwrap();
                        }
                        Ok(answer) => failed.push(answer.text().await.unwrap()),
                        Err(error) => failed.push(error.to_string()),
                    }
                }
                failed
            })
        })
        .collect();
    for reload in 1..=RELOADS {
        // During the load: each is active before the next 500 requests have ended.
        until("on its way", async || {
            sent.load(Ordering::Relaxed) >= reload * REQUESTS / (RELOADS + 1)
        })
        .await;
        let enabled = reload % 2 == 0;
        stage.write("over.toml", &format!("clients.client-002.enabled = {enabled}"));
        stage.reload().await.unwrap();
        let other = stage.get("client-002", "/v1/token").await;
        assert_eq!(other.status, if enabled { 200 } else { 403 }, "reload {reload}");
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Vec::<String>::new());
    }
    assert!(sent.load(Ordering::Relaxed) >= REQUESTS);
    // One for all of client-003's requests: its token stayed cached through all reloads.
    let albums = stage.assume_role_calls().into_iter();
    let albums = albums.filter(|call| call.parameters["RoleSessionName"] == "client-003");
    assert_eq!(albums.count(), 1);
    stage.close().await;
}
