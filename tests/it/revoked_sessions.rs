//! `appserver revoke --audit` and `--apply`: what a revoked user still has, and its sessions shut out of OSS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use appserver::app::App;
use appserver::config::{self, Environment, Mode};
use appserver_domain::clock::Clock;
use appserver_emulator::{Emulator, EmulatorSettings, demo_jwt};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sha1::Sha1;
use tokio_util::sync::CancellationToken;

use crate::binary::{run, text};
use crate::oss::read_object;
use crate::redis_server::RedisServer;
use crate::stage::{TIME_LIMIT, repository};
use crate::uploads::outcome;

const KEY: &str = "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=\n";
const ALICES: &str = "users/alice/garden.jpg";
const BOBS: &str = "users/bob/lake.jpg";

/// A policy that somebody else put.
const FOREIGN: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow", "Action":["oss:GetObject"],"Principal":["20214760404935"],"Resource":["acs:oss:*:11223344:sample-bucket/public/*"]}]}"#;

/// A service and an emulated cloud, by this machine's clock as the command has it.
struct Story {
    app: SocketAddr,
    oss: SocketAddr,
    http: Client,
    clock: Clock,
    folder: tempfile::TempDir,
    _redis: RedisServer,
    stop: CancellationToken,
}

impl Story {
    async fn begin() -> Self {
        let (clock, stop) = (Clock::system(), CancellationToken::new());
        let cloud = std::fs::read_to_string(repository("config/emulator.toml")).unwrap();
        let cloud = EmulatorSettings::from_toml(&cloud).unwrap();
        let loopback = || (Ipv4Addr::LOCALHOST, 0).into();
        let emulator = Emulator::bind(cloud, loopback(), clock.clone()).await.unwrap();
        let emulator = emulator.with_oss(loopback(), None).await.unwrap();
        let (sts, oss) = (emulator.sts_addr(), emulator.oss_addr().unwrap());
        tokio::spawn(emulator.serve(stop.clone()));

        let redis = RedisServer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let store = shared_config(folder.path(), &redis.url(), oss);
        let over = folder.path().join("over.toml");
        let audit = folder.path().join("audit.jsonl");
        let audit =
            format!("[audit]\nsink = \"file\"\nfile = {audit:?}\ninstance = \"replica-1\"\n");
        std::fs::write(&over, store + &audit).unwrap();
        let mut environment = Environment::new();
        for (key, value) in [
            ("SERVER__LISTEN", "127.0.0.1:0"),
            ("ADMIN__LISTEN", "127.0.0.1:0"),
            ("STS__ENDPOINTS", &format!("http://{sts}")),
        ] {
            environment.insert(format!("APPSERVER__{key}"), value.to_owned());
        }
        let files = [repository("config/dev.toml"), over];
        let settings = config::load(&files, &environment, Mode::Demo).unwrap();
        let app = Box::pin(App::start(settings, clock.clone())).await.unwrap();
        let (address, ready) = (app.public_addr(), app.ready());
        tokio::spawn(app.run(stop.clone()));
        tokio::time::timeout(TIME_LIMIT, ready.cancelled()).await.unwrap();
        let http = Client::builder().no_proxy().build().unwrap();
        Self { app: address, oss, http, clock, folder, _redis: redis, stop }
    }

    async fn token(&self, user: &str) -> Value {
        let request = self.http.get(format!("http://{}/v1/token", self.app));
        let request = request.bearer_auth(demo_jwt(user, self.clock.now()));
        json_of(request).await
    }

    /// A URL that reads the object.
    async fn url(&self, user: &str, key: &str) -> String {
        let request = self.http.post(format!("http://{}/v1/urls", self.app));
        let request = request.bearer_auth(demo_jwt(user, self.clock.now()));
        let body = json!({ "Method": "GET", "Key": key }).to_string();
        let request = request.header("Content-Type", "application/json").body(body);
        let answer = json_of(request).await;
        answer["Url"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    async fn reads(&self, token: &Value, key: &str) -> String {
        read_object(self.oss, self.clock.now(), token, key).await
    }

    async fn opens(&self, url: &str) -> String {
        outcome(self.http.get(url).send().await.unwrap()).await
    }

    /// A request for the policy of the bucket as the administrator, signed with V1: the status and the body.
    async fn policy(&self, method: Method, body: &str) -> (u16, String) {
        let date = self.clock.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let signed = format!("{method}\n\n\n{date}\nx-oss-date:{date}\n/sample-bucket/?policy");
        let mac = Hmac::<Sha1>::new_from_slice(b"adminsecret").unwrap();
        let signature = STANDARD.encode(mac.chain_update(signed).finalize().into_bytes());
        let request =
            self.http.request(method, format!("http://{}/sample-bucket/?policy", self.oss));
        let request = request.header("x-oss-date", date).body(body.to_owned());
        let request = request.header("authorization", format!("OSS adminid:{signature}"));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Runs the command for alice, as the administrator: exit code, standard output, standard error.
    fn revoke(&self, options: &[&str]) -> (Option<i32>, String, String) {
        let config = self.folder.path().join("command.toml").display().to_string();
        let audit = self.folder.path().join("audit.jsonl").display().to_string();
        let command = ["revoke", "user", "demo/alice", "--config", &config];
        let environment = [
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "adminid"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "adminsecret"),
        ];
        let audit = ["--audit", audit.as_str()];
        let output = run(&[&command[..], options, &audit].concat(), &environment);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
}

/// Writes `command.toml`, the service's configuration as the command reads it; returns what both share.
fn shared_config(folder: &Path, redis: &str, oss: SocketAddr) -> String {
    let key = folder.join("key");
    std::fs::write(&key, KEY).unwrap();
    let shared = format!(
        "[store]\nkind = \"redis\"\n[store.redis]\nurl = \"{redis}\"\nencryption_key_file = {key:?}\n\
         [grants.my-photos.oss]\nbucket = \"sample-bucket\"\nregion = \"cn-hangzhou\"\nendpoint = \"http://{oss}\"\n"
    );
    let own = format!(
        r#"
        [roles.oss-readwrite]
        arn = "acs:ram::11223344:role/oss-readwrite"
        [grants.my-photos]
        role = "oss-readwrite"
        policy = {:?}
        signed_urls = ["GET"]
        [clients.photo-app]
        grants = ["my-photos"]
        secret_sha256 = ["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
        [issuers.demo]
        issuer = "https://login.example.com/"
        algorithms = ["ES256"]
        jwks_url = "http://127.0.0.1:9/jwks"
        audiences.photo-app = ["photo-app"]
        "#,
        repository("config/policies/my-photos.json")
    );
    std::fs::write(folder.join("command.toml"), format!("{own}{shared}")).unwrap();
    shared
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_users_sessions_are_shut_out_of_oss_and_let_in_again_and_neighbours_are_served() {
    let story = Story::begin().await;
    assert_eq!(story.policy(Method::PUT, FOREIGN).await.0, 200);
    let (alice, bob) = (story.token("alice").await, story.token("bob").await);
    let (alices_url, bobs_url) = (story.url("alice", ALICES).await, story.url("bob", BOBS).await);
    let access = async || {
        [
            story.reads(&alice, ALICES).await,
            story.opens(&alices_url).await,
            story.reads(&bob, BOBS).await,
            story.opens(&bobs_url).await,
        ]
    };
    let denied = "403 AccessDenied";
    assert_eq!(access().await, ["200"; 4]);

    // The service refuses her within a second, and what she has already is named.
    let (code, out, warnings) = story.revoke(&["--for", "1h", "--reason", "lost phone"]);
    assert_eq!(code, Some(0), "{out}{warnings}");
    let until = alice["Expiration"].as_str().unwrap();
    let role = "acs:ram::11223344:role/oss-readwrite";
    for line in [
        format!("  1 token until {}", until.trim_end_matches('Z')),
        format!("  session photo-app.alice of {role}\n"),
        "of the replicas `replica-1`:\n".to_owned(),
        format!("  signed by the session grant@my-photos of {role}\n"),
        "Nothing is changed without --apply.\n".to_owned(),
        "bucket sample-bucket\n{\"Effect\":\"Deny\",\"Action\":[\"oss:*\"],\"Principal\":[\"arn:sts::11223344:assumed-role/\
         oss-readwrite/photo-app.alice\"],\"Resource\":[\"acs:oss:*:11223344:sample-bucket\",\
         \"acs:oss:*:11223344:sample-bucket/*\"]}\n"
            .to_owned(),
    ] {
        assert!(out.contains(&line), "{line}: {out}");
    }
    let left_alone = "without --whole-grant the session grant@my-photos is left alone: it signs for all callers of the grant \
                      `my-photos`";
    assert!(warnings.contains(left_alone), "{warnings}");
    assert!(warnings.contains("a token lives for up to 12 hours"), "{warnings}");
    assert_eq!(access().await, ["200"; 4]);
    assert_eq!(story.policy(Method::GET, "").await, (200, FOREIGN.to_owned()));
    let refused = async {
        while story.token("alice").await["Code"] != "Forbidden.Revoked" {
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(TIME_LIMIT, refused).await.expect("alice is refused");

    let (code, out, warnings) = story.revoke(&["--apply"]);
    assert_eq!(code, Some(0), "{out}{warnings}");
    assert!(
        out.contains("bucket sample-bucket: 1 session denied access; its policy has "),
        "{out}"
    );
    assert_eq!(access().await, [denied, "200", "200", "200"]);
    let (_, policy) = story.policy(Method::GET, "").await;
    assert!(policy.starts_with(FOREIGN.trim_end_matches("]}")), "{policy}");
    let (_, again, _) = story.revoke(&["--apply"]);
    assert!(
        again.contains("1 session had been denied access before, and nothing was changed;"),
        "{again}"
    );

    // Her URLs end only with those of everyone.
    let (code, out, _) = story.revoke(&["--apply", "--whole-grant"]);
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(access().await, [denied, denied, "200", denied]);

    // To take back only her own leaves her without her URLs, and says so.
    let (code, out, warnings) = story.revoke(&["--undo", "--apply"]);
    assert_eq!(code, Some(1), "{out}{warnings}");
    assert!(out.contains("bucket sample-bucket: 1 session no longer denied access;"), "{out}");
    let still = "bucket sample-bucket: still denied access, for all callers that use them: the sessions grant@my-photos. Add \
                 --whole-grant";
    assert!(warnings.contains(still), "{warnings}");

    // She is not revoked any more; that is no failure of taking back the statement.
    let (code, out, warnings) = story.revoke(&["--undo", "--apply", "--whole-grant"]);
    assert_eq!(code, Some(0), "{out}{warnings}");
    assert!(out.contains("user `demo/alice` is not revoked (any more)."), "{out}");
    let counts = "1 session no longer denied access, and 1 session had not been denied access;";
    assert!(out.contains(counts), "{out}");
    assert_eq!(access().await, ["200"; 4]);
    assert_eq!(story.policy(Method::GET, "").await, (200, FOREIGN.to_owned()));
    story.stop.cancel();
}

/// A session that signs for all is named in the audit, and its policy is read: that says nothing of the caller's own session.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_audit_has_a_hash_of_is_no_success_of_apply() {
    let story = Story::begin().await;
    let (alice, _) = (story.token("alice").await, story.url("alice", ALICES).await);
    let (code, out, warnings) = story.revoke(&["--apply"]);
    assert_eq!(code, Some(0), "{out}{warnings}");
    let audit = story.folder.path().join("audit.jsonl");
    let lines = std::fs::read_to_string(&audit).unwrap();
    std::fs::write(&audit, lines.replace("photo-app.alice", "hmac:00ff")).unwrap();
    let why = "the audit files have 1 session of the caller as hashes alone: ";
    for (options, fate) in [
        (&["--undo", "--apply"][..], "whether a bucket still denies these sessions is not known: "),
        (&["--undo", "--apply", "--whole-grant"], "whether a bucket still denies these sessions"),
        (&["--apply", "--whole-grant"], "these sessions are not denied access. "),
    ] {
        let (code, out, message) = story.revoke(options);
        assert_eq!(code, Some(2), "{options:?}: {out}{message}");
        assert!(message.contains(&format!("{why}{fate}")), "{options:?}: {message}");
        assert_eq!(story.reads(&alice, ALICES).await, "403 AccessDenied", "{options:?}");
    }
    story.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_without_permission_is_told_which_it_needs_and_nothing_changes() {
    let story = Story::begin().await;
    let alice = story.token("alice").await;
    let config = story.folder.path().join("command.toml").display().to_string();
    let audit = story.folder.path().join("audit.jsonl").display().to_string();
    let command =
        ["revoke", "user", "demo/alice", "--config", &config, "--apply", "--audit", &audit];
    let of = |id, secret| {
        let key =
            [("ALIBABA_CLOUD_ACCESS_KEY_ID", id), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", secret)];
        let output = run(&command, &key);
        (output.status.code(), text(&output.stderr))
    };
    let (code, message) = of("internid", "internsecret");
    assert_eq!(code, Some(2), "{message}");
    let needs = "the AccessKey needs oss:GetBucketPolicy and oss:PutBucketPolicy on the bucket";
    assert!(
        message.contains(
            "bucket sample-bucket: OSS refused GET of the bucket's policy with HTTP status 403"
        ),
        "{message}"
    );
    assert!(message.contains(needs), "{message}");
    let (code, message) = of("adminid", "wrongsecret");
    assert_eq!(code, Some(2), "{message}");
    assert!(
        message.contains("SignatureDoesNotMatch") && !message.contains("wrongsecret"),
        "{message}"
    );
    let (code, message) = of("", "");
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("ALIBABA_CLOUD_ACCESS_KEY_ID is not set"), "{message}");
    assert_eq!(story.reads(&alice, ALICES).await, "200");
    story.stop.cancel();
}

/// An audit line of a token that is valid for an hour from now on.
fn line(caller: &str, grant: &str, session: &str, id: &str) -> String {
    let now = Clock::system().now();
    let [time, end] = [now, now + chrono::TimeDelta::hours(1)].map(|time| time.to_rfc3339());
    let role = "acs:ram::11223344:role/oss-readwrite";
    format!(
        r#"{{"Time":"{time}","Event":"Token","Decision":"Vended","Code":"Success","Client":"photo-app",{caller},"Grant":"{grant}","Role":"{role}","SessionName":"{session}","StsAccessKeyId":"{id}","Expiration":"{end}"}}"#
    )
}

#[test]
fn sessions_that_others_use_are_left_alone_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let policy = repository("config/policies/daily-photos.json");
    let config = format!(
        "[grants.daily]\nrole = \"oss-readwrite\"\npolicy = {policy:?}\n\
         [clients.photo-app]\ngrants = [\"my-photos\", \"daily\"]\ndefault_grant = \"daily\"\n"
    );
    shared_config(folder.path(), "redis://127.0.0.1:9", "127.0.0.1:9".parse().unwrap());
    let more = folder.path().join("more.toml");
    std::fs::write(&more, config).unwrap();
    let of = |user: &str| format!(r#""Issuer":"demo","Subject":"{user}""#);
    let lines = [
        line(&of("alice"), "my-photos", "photo-app.alice", "STS.1"),
        line(&of("alice"), "daily", "photo-app", "STS.2"),
        line(&of("alice"), "removed", "removed.alice", "STS.3"),
        line(&of("alice"), "my-photos", "both", "STS.4"),
        line(&of("bob"), "my-photos", "both", "STS.4"),
        line(&of("alice"), "my-photos", "hmac:00ff", "STS.5"),
    ];
    let audit = folder.path().join("audit.jsonl");
    std::fs::write(&audit, lines.join("\n")).unwrap();
    let [command, more, audit] =
        [&folder.path().join("command.toml"), &more, &audit].map(|path| path.display().to_string());
    let look = |kind_and_name: &[&str], options: &[&str]| {
        let configs = ["--config", &command, "--config", &more];
        let all = [&["revoke"], kind_and_name, &configs, options, &["--audit", &audit]].concat();
        let output = run(&all, &[]);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let alice = &["user", "demo/alice"][..];
    let (code, out, warnings) = look(alice, &[]);
    assert_eq!(code, Some(0), "{out}{warnings}");
    assert_eq!(out.matches("1 token until").count(), 5, "{out}");
    assert!(
        out.contains(
            "\"Principal\":[\"arn:sts::11223344:assumed-role/oss-readwrite/photo-app.alice\"]"
        ),
        "{out}"
    );
    let left_alone: Vec<_> = warnings.lines().filter(|line| line.contains("left alone")).collect();
    insta::assert_snapshot!(left_alone.join("\n"), @r"
    warning: without --whole-grant the session both is left alone: others have tokens of it, too
    warning: the session hmac:00ff is left alone: the audit has a hash of its name: ActionTrail and OSS's logs have the name, by the AccessKeyId of its tokens
    warning: without --whole-grant the session photo-app is left alone: the session names of the grant `daily` do not tell its callers apart
    warning: without --whole-grant the session removed.alice is left alone: the configuration has no grant `removed`, so that nobody knows who else has it
    ");
    // The client's are its own, but for the grant that the configuration does not have.
    let (_, out, warnings) = look(&["client", "photo-app"], &[]);
    assert_eq!(warnings.matches("left alone").count(), 2, "{warnings}");
    assert!(out.contains("oss-readwrite/both\",") && out.contains("photo-app.alice\""), "{out}");
    assert!(warnings.contains("`[grants.daily.oss]` names no bucket"), "{warnings}");
    let (_, out, warnings) = look(alice, &["--whole-grant", "--bucket", "cn-beijing/other-bucket"]);
    assert_eq!(warnings.matches("left alone").count(), 1, "{warnings}");
    assert!(out.contains("bucket other-bucket\n") && out.contains("removed.alice"), "{out}");

    let (code, _, message) = look(&["jti", "f81d4fae"], &[]);
    assert_eq!(code, Some(64), "{message}");
    assert!(message.contains("the audit has no `jti`; look for what its user has"), "{message}");
    std::fs::write(&audit, "nothing of an audit\n").unwrap();
    let (code, _, message) = look(alice, &[]);
    assert_eq!(code, Some(64), "{message}");
    assert!(message.contains("this is not an audit file"), "{message}");
}

/// Files of another replica or user, a directory, and hashes of another key look like a caller that has nothing.
#[tokio::test(flavor = "multi_thread")]
async fn audit_files_without_a_session_of_the_caller_fail_before_or_after_but_never_silently() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    shared_config(folder.path(), &redis.url(), "127.0.0.1:9".parse().unwrap());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let hashing = format!("[audit]\nhash_subjects = true\nsubject_key_file = {:?}\n", path("key"));
    let of = |user: &str| format!(r#""Issuer":"demo","Subject":"{user}""#);
    for (name, content) in [
        ("hashing.toml", hashing),
        ("bob.jsonl", line(&of("bob"), "my-photos", "photo-app.bob", "STS.1")),
        ("hashed.jsonl", line(&of("hmac:00ff"), "my-photos", "hmac:00ff", "STS.1")),
        ("junk.jsonl", "nothing of an audit\n".to_owned()),
        ("empty.jsonl", String::new()),
    ] {
        std::fs::write(path(name), content).unwrap();
    }
    let revoke = |options: &[&str]| {
        let command = ["revoke", "user", "demo/alice", "--config", &path("command.toml")];
        let output = run(&[&command[..], options].concat(), &[]);
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    // Before anything is written.
    for (file, why) in
        [(path("."), "Is a directory"), (path("junk.jsonl"), "this is not an audit file")]
    {
        let (code, printed) = revoke(&["--for", "1h", "--audit", &file]);
        assert_eq!(code, 64, "{printed}");
        assert!(
            printed.starts_with("appserver: nothing was changed: --audit ")
                && printed.contains(why),
            "{printed}"
        );
    }
    let keys: i64 = redis::cmd("DBSIZE").query_async(&mut redis.connection().await).await.unwrap();
    assert_eq!(keys, 0, "something was written");
    let hashing = path("hashing.toml");
    for (file, more) in [
        ("bob.jsonl", &[][..]),
        ("empty.jsonl", &[]),
        ("hashed.jsonl", &[]),
        ("hashed.jsonl", &["--config", &hashing]),
    ] {
        let file = path(file);
        for (edit, why) in [
            (&["--apply"][..], "have nothing of the caller that is still valid"),
            (&["--undo", "--apply"], "name no session of the caller"),
        ] {
            let (code, printed) = revoke(&[edit, more, &["--audit", &file]].concat());
            assert_eq!(code, 2, "{file} {edit:?}: {printed}");
            let why = format!("no bucket policy is read or changed: the audit files {why}");
            assert!(printed.contains(&why), "{file} {edit:?}: {printed}");
        }
        let (code, printed) = revoke(&[&["--undo"], more, &["--audit", &file]].concat());
        assert!(code == 0 && printed.contains("warning: no bucket policy is read"), "{printed}");
    }
}
