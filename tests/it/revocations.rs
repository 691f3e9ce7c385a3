//! Revoked users, clients, tickets and tokens: refused by every replica and every method, until their time or until they are
//! taken back.

use std::time::Duration;

use appserver_domain::clock::Clock;
use appserver_emulator::{DEMO_AUDIENCE, DEMO_ISSUER, Fault, demo_jwt, sign};
use chrono::TimeDelta;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::binary::{run, text};
use crate::fleet::Fleet;
use crate::redis_server::{RIGHTS, RedisServer};
use crate::stage::{Answer, START, Setting, Stage, TIME_LIMIT, configuration_and, secret, until};

/// A revocation's end on the clock of a stage.
const END: &str = "2016-01-14T00:00:00Z";

fn row(kind: &str, name: &str) -> String {
    format!("[[revoked]]\n{kind} = \"{name}\"\nuntil = {END}\nreason = \"a canary reason\"\n")
}

async fn stage_with(file: &str) -> Stage {
    let config = "revoked.file = \"{folder}/revoked.toml\"\naudit.sink = \"file\"\naudit.file = \"{folder}/audit.jsonl\"\n";
    let files = &[("revoked.toml", file)];
    Stage::set(Setting { config, files, ..Setting::default() }).await
}

async fn with_jwt(stage: &Stage, method: &str, path: &str, jwt: &str, body: &str) -> Answer {
    let request = stage.request(method, path).bearer_auth(jwt);
    let request = request.header("Content-Type", "application/json").body(body.to_owned());
    stage.send(request).await
}

/// A token of a user with this `jti`.
fn jwt_of(user: &str, jti: &str) -> String {
    let exp = START.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp() + 3600;
    sign(&json!({"iss": DEMO_ISSUER, "aud": DEMO_AUDIENCE, "sub": user, "exp": exp, "jti": jti}))
}

/// The outcomes of a user's requests by every route.
async fn by_every_route(stage: &Stage, user: &str) -> Vec<String> {
    let jwt = demo_jwt(user, stage.clock.now());
    let mut outcomes = Vec::new();
    for (method, path, body) in [
        ("GET", "/v1/token", ""),
        ("POST", "/v1/token", "{}"),
        ("POST", "/v1/tickets", "{}"),
        (
            "POST",
            "/v1/explain",
            r#"{"Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a"}"#,
        ),
        (
            "POST",
            "/v1/uploads",
            r#"{"Grant":"photo-upload","Name":"a.jpg","ContentType":"image/jpeg"}"#,
        ),
        ("POST", "/v1/urls", r#"{"Method":"GET","Key":"users/alice/a.jpg"}"#),
        ("GET", "/v1/whoami", ""),
        ("GET", "/v1/oss-sdk/token", ""),
    ] {
        outcomes.push(with_jwt(stage, method, path, &jwt, body).await.body["Code"].to_string());
    }
    outcomes
}

#[tokio::test]
async fn a_revoked_user_is_refused_by_every_route_and_the_reason_is_in_the_audit_alone() {
    let stage = stage_with(&row("user", "demo/alice")).await;
    let refused = by_every_route(&stage, "alice").await;
    assert_eq!(refused, vec!["\"Forbidden.Revoked\""; 8]);
    let jwt = demo_jwt("alice", stage.clock.now());
    let answer = with_jwt(&stage, "GET", "/v1/token", &jwt, "").await;
    assert_eq!(answer.outcome(), "403 Forbidden.Revoked");
    assert!(!answer.body.to_string().contains("canary"), "{}", answer.body);
    assert_eq!(answer.headers.get("www-authenticate"), None);
    // Nobody else is.
    let bob = demo_jwt("bob", stage.clock.now());
    assert_eq!(with_jwt(&stage, "GET", "/v1/token", &bob, "").await.outcome(), "200 Success");
    assert_eq!(stage.get("photo-app", "/v1/whoami").await.outcome(), "200 Success");
    // It is no failed attempt, and an expired revocation ends by itself.
    let (_, metrics) = stage.admin("/metrics").await;
    assert!(metrics.contains("appserver_revocations{source=\"file\"} 1"), "{metrics}");
    assert!(metrics.contains("appserver_revocations_up{source=\"file\"} 1"), "{metrics}");
    stage.clock.advance(chrono::TimeDelta::hours(10));
    let jwt = demo_jwt("alice", stage.clock.now());
    assert_eq!(with_jwt(&stage, "GET", "/v1/token", &jwt, "").await.outcome(), "200 Success");
    let mut files = String::new();
    for file in std::fs::read_dir(stage.folder()).unwrap().map(|file| file.unwrap().path()) {
        files += &std::fs::read_to_string(file).unwrap();
    }
    assert!(files.contains("Forbidden.Revoked"), "{files}");
    assert!(
        files.contains("the caller's user is revoked until 2016-01-14T00:00:00Z: a canary reason")
    );
}

#[tokio::test]
async fn each_kind_of_revocation_refuses_exactly_its_own() {
    let stage = stage_with("").await;
    let one = jwt_of("alice", "one");
    let two = jwt_of("alice", "two");
    let ticket = async |jwt: &str| {
        let made = with_jwt(&stage, "POST", "/v1/tickets", jwt, "{}").await;
        let url = made.body["Url"].as_str().unwrap().to_owned();
        let query = url.split_once("/v1/").unwrap().1.to_owned();
        (made.body["TicketId"].as_str().unwrap().to_owned(), format!("/v1/{query}"))
    };
    let (of_one, ticket_of_one) = ticket(&one).await;
    let (_, ticket_of_two) = ticket(&two).await;
    let outcomes = async || {
        let mut refused = Vec::new();
        for (name, jwt, path) in [
            ("one", Some(&one), "/v1/token"),
            ("two", Some(&two), "/v1/token"),
            ("ticket of one", None, ticket_of_one.as_str()),
            ("ticket of two", None, ticket_of_two.as_str()),
        ] {
            let request = stage.request("GET", path);
            let request = jwt.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
            match stage.send(request).await.outcome().as_str() {
                "200 Success" => {}
                "403 Forbidden.Revoked" => refused.push(name),
                other => panic!("{name}: {other}"),
            }
        }
        if stage.get("photo-app", "/v1/whoami").await.status != 200 {
            refused.push("the backend");
        }
        refused
    };
    assert_eq!(outcomes().await, Vec::<&str>::new());
    for (kind, name, expected) in [
        ("ticket", of_one.as_str(), &["ticket of one"][..]),
        ("jti", "one", &["one", "ticket of one"]),
        ("user", "demo/bob", &[]),
        ("user", "demo/alice", &["one", "two", "ticket of one", "ticket of two"]),
        ("issuer", "demo", &["one", "two", "ticket of one", "ticket of two"]),
        ("client", "photo-app", &["one", "two", "ticket of one", "ticket of two", "the backend"]),
    ] {
        stage.write("revoked.toml", &row(kind, name));
        until("the file is active", async || outcomes().await == expected).await;
    }
    // Verified tokens and the ticket's seal are remembered from before.
    stage.write("revoked.toml", "");
    until("all are served again", async || outcomes().await.is_empty()).await;
    stage.close().await;
}

/// A caller that waits for STS while it is revoked gets nothing of it.
#[tokio::test]
async fn a_caller_that_is_revoked_while_it_waits_for_sts_gets_no_token() {
    let stage = stage_with("").await;
    stage.sts.script(Fault::Slow { delay_ms: 2_500 }.times(1).only("AssumeRole"));
    let jwt = demo_jwt("alice", stage.clock.now());
    let waits = with_jwt(&stage, "GET", "/v1/token", &jwt, "");
    let revoked = async {
        until("it waits", async || {
            stage.admin("/metrics").await.1.contains("appserver_vend_waiting 1")
        })
        .await;
        stage.write("revoked.toml", &row("user", "demo/alice"));
    };
    let (answer, ()) = tokio::join!(waits, revoked);
    assert_eq!(answer.outcome(), "403 Forbidden.Revoked");
    stage.close().await;
}

#[tokio::test]
async fn a_revoked_users_cached_token_is_dropped_and_a_neighbours_is_kept() {
    let stage = stage_with("").await;
    let get = async |user: &str| {
        let jwt = demo_jwt(user, stage.clock.now());
        with_jwt(&stage, "GET", "/v1/token", &jwt, "").await.body["AccessKeyId"].clone()
    };
    let (alices, bobs) = (get("alice").await, get("bob").await);
    let cached = async || {
        let (_, metrics) = stage.admin("/metrics").await;
        let line = metrics.lines().find(|line| line.starts_with("appserver_vend_cached_tokens "));
        line.unwrap().to_owned()
    };
    assert_eq!(cached().await, "appserver_vend_cached_tokens 2");
    stage.write("revoked.toml", &row("user", "demo/alice"));
    until("alice's token is dropped", async || cached().await.ends_with(" 1")).await;
    stage.write("revoked.toml", "");
    until("alice is served", async || get("alice").await.is_string()).await;
    assert_ne!(get("alice").await, alices);
    assert_eq!(get("bob").await, bobs);
    stage.close().await;
}

#[tokio::test]
async fn a_file_that_becomes_wrong_leaves_the_last_list_active_loudly() {
    let stage = stage_with(&row("user", "demo/alice")).await;
    let jwt = demo_jwt("alice", stage.clock.now());
    let up = async |expected: &str| {
        let line = format!("appserver_revocations_up{{source=\"file\"}} {expected}");
        until(&line, async || stage.admin("/metrics").await.1.contains(&line)).await;
    };
    for wrong in ["[[revoked]]\nuser = \"alice\"\n", "[[revoked"] {
        stage.write("revoked.toml", wrong);
        up("0").await;
        let answer = with_jwt(&stage, "GET", "/v1/token", &jwt, "").await;
        assert_eq!(answer.outcome(), "403 Forbidden.Revoked");
        assert_eq!(stage.admin("/readyz").await.0, 200);
        // A reload is about the configuration, which is valid.
        stage.reload().await.unwrap();
        stage.write("revoked.toml", &row("user", "demo/alice"));
        up("1").await;
    }
    std::fs::remove_file(stage.folder().join("revoked.toml")).unwrap();
    up("0").await;
    let answer = with_jwt(&stage, "GET", "/v1/token", &jwt, "").await;
    assert_eq!(answer.outcome(), "403 Forbidden.Revoked");
    stage.close().await;
}

#[tokio::test]
async fn a_file_of_as_many_rows_as_it_may_have_is_read_whole_at_the_start_and_anew() {
    const MOST: usize = 100_000;
    let rows = |last: &str| {
        let others = (1..MOST).map(|number| row("user", &format!("demo/user-{number}")));
        others.chain([row("user", last)]).collect::<String>()
    };
    let stage = stage_with(&rows("demo/alice")).await;
    let outcome = async |user: &str| {
        let jwt = demo_jwt(user, stage.clock.now());
        with_jwt(&stage, "GET", "/v1/token", &jwt, "").await.outcome()
    };
    let (refused, served) = ("403 Forbidden.Revoked", "200 Success");
    let count = format!("appserver_revocations{{source=\"file\"}} {MOST}");
    assert!(stage.admin("/metrics").await.1.contains(&count));
    assert_eq!((&*outcome("alice").await, &*outcome("bob").await), (refused, served));
    assert_eq!(outcome("user-1").await, refused);
    stage.write("revoked.toml", &rows("demo/bob"));
    // Without optimisation a list of this length takes its time.
    let is_active = async {
        while outcome("bob").await != refused {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let is_active = tokio::time::timeout(TIME_LIMIT * 5, is_active).await;
    assert!(is_active.is_ok(), "the new list is not active");
    assert_eq!((&*outcome("alice").await, &*outcome("user-99999").await), (served, refused));
    assert!(stage.admin("/metrics").await.1.contains(&count));
    stage.close().await;
}

#[tokio::test]
async fn a_new_file_does_not_wait_for_a_long_one_that_it_replaces() {
    let rows = (0..100_000).map(|number| row("user", &format!("demo/user-{number}")));
    let long = rows.chain([String::new()]).collect::<String>();
    let stage = stage_with("").await;
    let outcome = async |user: &str| {
        let jwt = demo_jwt(user, stage.clock.now());
        with_jwt(&stage, "GET", "/v1/token", &jwt, "").await.outcome()
    };
    let refused = "403 Forbidden.Revoked";
    stage.write("revoked.toml", &long);
    // Without optimisation a list of this length takes seconds, which have begun by then.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    stage.write("revoked.toml", &row("user", "demo/alice"));
    until("alice is refused", async || {
        assert_ne!(outcome("user-1").await, refused, "the long list was active before");
        outcome("alice").await == refused
    })
    .await;
    stage.close().await;
}

/// As Kubernetes changes a mounted ConfigMap.
#[tokio::test]
async fn a_swapped_link_before_the_file_is_noticed() {
    let config = "revoked.file = \"{folder}/..data/revoked.toml\"\n";
    let folder = tempfile::tempdir().unwrap();
    for (version, text) in [("v1", String::new()), ("v2", row("user", "demo/alice"))] {
        std::fs::create_dir(folder.path().join(version)).unwrap();
        std::fs::write(folder.path().join(version).join("revoked.toml"), text).unwrap();
    }
    let swap = |version: &str| {
        std::os::unix::fs::symlink(version, folder.path().join("..next")).unwrap();
        std::fs::rename(folder.path().join("..next"), folder.path().join("..data")).unwrap();
    };
    swap("v1");
    let config = config.replace("{folder}", folder.path().to_str().unwrap());
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let jwt = demo_jwt("alice", stage.clock.now());
    let outcome = async || with_jwt(&stage, "GET", "/v1/whoami", &jwt, "").await.status;
    assert_eq!(outcome().await, 200);
    swap("v2");
    until("it is refused", async || outcome().await == 403).await;
    swap("v1");
    until("it is served", async || outcome().await == 200).await;
    stage.close().await;
}

/// A configuration for the command, of a Redis that the replicas share.
fn command_config(folder: &std::path::Path, redis: Option<&str>) -> String {
    std::fs::write(folder.join("key"), KEY).unwrap();
    let store = redis.map_or(String::new(), |url| {
        format!("[store]\nkind = \"redis\"\n[store.redis]\nurl = \"{url}\"\nencryption_key_file = \"key\"\n")
    });
    let path = folder.join("command.toml");
    std::fs::write(&path, configuration_and(&store)).unwrap();
    path.display().to_string()
}

const KEY: &str = "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=\n";

/// What a command printed, and its exit code.
fn revoke(config: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let ended = run(&[&["revoke", "--config", config], arguments].concat(), &[]);
    (ended.status.code(), text(&ended.stdout) + &text(&ended.stderr))
}

struct Phone<'a> {
    fleet: &'a Fleet,
    http: Client,
    user: &'static str,
}

impl Phone<'_> {
    fn url(&self, replica: usize, path: &str) -> String {
        format!("http://{}{path}", self.fleet.replicas[replica].public_addr())
    }

    async fn code(request: RequestBuilder) -> String {
        let text = request.send().await.unwrap().text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        body["Code"].as_str().unwrap_or_default().to_owned()
    }

    /// The codes of a token, a ticket's token, a form and a URL of each replica.
    async fn codes(&self, ticket: &str) -> Vec<String> {
        let jwt = demo_jwt(self.user, self.fleet.clock.now());
        let mut codes = Vec::new();
        let form = r#"{"Grant":"photo-upload","Name":"a.jpg","ContentType":"image/jpeg"}"#;
        let url = format!(r#"{{"Method":"GET","Key":"users/{}/a.jpg"}}"#, self.user);
        for replica in 0..self.fleet.replicas.len() {
            let at = |path: &str| self.url(replica, path);
            let post = |path: &str, body: &str| {
                let request = self.http.post(at(path)).bearer_auth(&jwt);
                request.header("Content-Type", "application/json").body(body.to_owned())
            };
            codes.push(Self::code(self.http.get(at("/v1/token")).bearer_auth(&jwt)).await);
            codes.push(Self::code(self.http.get(at(ticket))).await);
            codes.push(Self::code(post("/v1/uploads", form)).await);
            codes.push(Self::code(post("/v1/urls", &url)).await);
        }
        codes
    }

    async fn ticket(&self) -> String {
        let jwt = demo_jwt(self.user, self.fleet.clock.now());
        let request = self.http.post(self.url(0, "/v1/tickets")).bearer_auth(jwt);
        let request = request.header("Content-Type", "application/json").body("{}");
        let text = request.send().await.unwrap().text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        let url = body["Url"].as_str().unwrap();
        format!("/v1/{}", url.split_once("/v1/").unwrap().1)
    }
}

/// The replicas' share of the configuration: the key that the command has, and time on a busy machine.
fn fleet_config(folder: &std::path::Path) -> String {
    let key = folder.join("store-key");
    std::fs::write(&key, KEY).unwrap();
    format!(
        "store.redis.encryption_key_file = \"{}\"\nstore.redis.timeout_ms = 5000\n",
        key.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_stops_alice_on_three_replicas_and_another_brings_her_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = fleet_config(folder.path());
    let mut fleet = Fleet::of(3, &config).await;
    let command = command_config(folder.path(), Some(&fleet.redis.url()));
    let http = Client::builder().no_proxy().build().unwrap();
    let phone = |user| Phone { fleet: &fleet, http: http.clone(), user };
    let (alice, bob) = (phone("alice"), phone("bob"));
    let tickets = (alice.ticket().await, bob.ticket().await);
    let (served, refused) = (vec!["Success"; 12], vec!["Forbidden.Revoked"; 12]);
    assert_eq!(alice.codes(&tickets.0).await, served);
    assert_eq!(bob.codes(&tickets.1).await, served);

    let revoked = revoke(&command, &["user", "demo/alice", "--for", "12h", "--reason", "stolen"]);
    let began = Instant::now();
    assert!(
        revoked.0 == Some(0) && revoked.1.starts_with("user `demo/alice` is revoked until "),
        "{revoked:?}"
    );
    until("alice is refused", async || alice.codes(&tickets.0).await == refused).await;
    // The promise is a second; a busy machine takes some of the rest.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(bob.codes(&tickets.1).await, served);
    let (code, listed) = revoke(&command, &["--list"]);
    assert!(code == Some(0) && listed.starts_with("user `demo/alice` until "), "{listed}");
    assert!(listed.ends_with("(redis): stolen\n"), "{listed}");

    // Without Redis the last list stays active.
    fleet.redis.kill();
    fleet.until_degraded(true).await;
    let phone = |user| Phone { fleet: &fleet, http: http.clone(), user };
    assert_eq!(phone("alice").codes(&tickets.0).await, refused);
    // The list is looked at every half second.
    let down = "appserver_revocations_up{source=\"redis\"} 0";
    until(down, async || fleet.admin(0, "/metrics").await.contains(down)).await;
    let failed = revoke(&command, &["--list"]);
    assert!(failed.0 == Some(69) && failed.1.contains("Redis does not answer"), "{failed:?}");
    let (code, printed) = revoke(&command, &["user", "demo/bob", "--for", "1h"]);
    assert!(
        code == Some(69) && printed.starts_with("[[revoked]]\nuser = \"demo/bob\""),
        "{printed}"
    );
    assert!(printed.contains("The configuration names no `revoked.file`"), "{printed}");

    // It comes back empty, and gets back what the replicas know.
    fleet.redis.start_again().await;
    fleet.until_degraded(false).await;
    let known = async || revoke(&command, &["--list"]).1.starts_with("user `demo/alice` until ");
    until("the list is restored", known).await;
    fleet.add(&config).await;
    let phone = |user| Phone { fleet: &fleet, http: http.clone(), user };
    let (alice, bob) = (phone("alice"), phone("bob"));
    assert_eq!(alice.codes(&tickets.0).await, vec!["Forbidden.Revoked"; 16]);
    assert_eq!(bob.codes(&tickets.1).await, vec!["Success"; 16]);

    let undone = revoke(&command, &["--undo", "user", "demo/alice"]);
    assert_eq!(undone, (Some(0), "user `demo/alice` is no longer revoked in Redis.\n".to_owned()));
    let is_served = async || alice.codes(&tickets.0).await == vec!["Success"; 16];
    until("alice is served again", is_served).await;
    let again = revoke(&command, &["--undo", "user", "demo/alice"]);
    assert_eq!(again, (Some(1), "appserver: user `demo/alice` is not revoked\n".to_owned()));
    assert_eq!(revoke(&command, &["--list"]), (Some(0), "Nothing is revoked.\n".to_owned()));
    fleet.close();
}

/// The list of Redis is shown and changed although this machine's file cannot be read, which a warning and the exit code say.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_file_hides_nothing_of_redis_and_keeps_nothing_from_being_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    let command = command_config(folder.path(), Some(&redis.url()));
    let more = folder.path().join("more.toml");
    std::fs::write(&more, "revoked.file = \"revoked.toml\"\n").unwrap();
    let more = more.display().to_string();
    let file = folder.path().join("revoked.toml");
    let revoke = |arguments: &[&str]| {
        let revoke = ["revoke", "--config", &command, "--config", &more];
        let ended = run(&[&revoke, arguments].concat(), &[]);
        let place = folder.path().display().to_string();
        let [out, err] = [&ended.stdout, &ended.stderr].map(|one| text(one).replace(&place, "."));
        (ended.status.code().unwrap(), out, err)
    };
    // Without a replica, nobody enforces what is in Redis.
    assert_eq!(revoke(&["user", "demo/alice", "--for", "1h"]).0, 1);
    for (content, problem) in [
        (None, "./revoked.toml: No such file or directory (os error 2)"),
        (Some("[[revoked"), "./revoked.toml:1: unclosed array table"),
    ] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let (code, out, err) = revoke(&["--list"]);
        assert_eq!(code, 64, "{out}{err}");
        assert!(out.starts_with("user `demo/alice` until ") && out.ends_with("(redis)\n"), "{out}");
        assert!(err.starts_with(&format!("warning: revoked.file: {problem}")), "{err}");
        assert!(err.ends_with("what that file revokes is not in this list: correct the file, and run the command again\n"), "{err}");
    }
    let (code, out, err) = revoke(&["--undo", "user", "demo/alice"]);
    assert_eq!(
        (code, out.as_str()),
        (64, "user `demo/alice` is no longer revoked in Redis.\n"),
        "{err}"
    );
    assert!(err.contains("user `demo/alice` may still be revoked by that file"), "{err}");
    let (code, out, err) = revoke(&["--list"]);
    assert_eq!((code, out.as_str()), (64, ""), "not even that nothing is revoked: {err}");
    std::fs::write(&file, "").unwrap();
    let (code, out, _) = revoke(&["--list"]);
    assert_eq!((code, out.as_str()), (0, "Nothing is revoked.\n"));
}

/// A snapshot from before the revocation, and either key alone, as an eviction removes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_loses_a_part_of_its_list_gets_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = fleet_config(folder.path());
    let fleet = Fleet::of(2, &config).await;
    let command = command_config(folder.path(), Some(&fleet.redis.url()));
    let mut redis = fleet.redis.connection().await;
    let names = ["*:revocations", "*:revocations-until"];
    let revoked = |name: &str| revoke(&command, &["user", name, "--for", "12h"]).0;
    let listed = async |name: &str| {
        let start = format!("user `{name}` until ");
        until(&start, async || revoke(&command, &["--list"]).1.contains(&start)).await;
    };
    let jwt = |user: &str| demo_jwt(user, fleet.clock.now());
    let refused = async |user: &str| {
        for replica in [0, 1] {
            let what = format!("replica {replica} refuses {user}");
            let code = async || fleet.user(replica, &jwt(user)).await.0;
            until(&what, async || code().await == "Forbidden.Revoked").await;
        }
    };
    assert_eq!(revoked("demo/bob"), Some(0));
    refused("bob").await;
    let mut dumps = Vec::new();
    for pattern in names {
        let found: Vec<String> =
            redis::cmd("KEYS").arg(pattern).query_async(&mut redis).await.unwrap();
        let [name] = &found[..] else { panic!("{found:?}") };
        let dump: Vec<u8> = redis::cmd("DUMP").arg(name).query_async(&mut redis).await.unwrap();
        dumps.push((name.clone(), dump));
    }
    assert_eq!(revoked("demo/alice"), Some(0));
    refused("alice").await;
    let mut restore = redis::pipe();
    restore.atomic();
    for (name, dump) in &dumps {
        restore.cmd("RESTORE").arg(name).arg(0).arg(dump.as_slice()).arg("REPLACE");
    }
    let () = restore.query_async(&mut redis).await.unwrap();
    // Long enough for both to have looked.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    listed("demo/alice").await;
    refused("alice").await;
    for (name, _) in &dumps {
        let () = redis::cmd("DEL").arg(name).query_async(&mut redis).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        for user in ["alice", "bob"] {
            listed(&format!("demo/{user}")).await;
            refused(user).await;
        }
    }
    fleet.close();
}

/// A replica that knows the revocation enforces it to its end. It is reported until the value ends or is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_value_lifts_no_revocation_and_is_reported_until_it_ends_or_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::of(1, &fleet_config(folder.path())).await;
    let command = command_config(folder.path(), Some(&fleet.redis.url()));
    let mut redis = fleet.redis.connection().await;
    let revoked = |user: &str, lifetime: &str| {
        let name = format!("demo/{user}");
        assert_eq!(revoke(&command, &["user", &name, "--for", lifetime]).0, Some(0), "{user}");
    };
    let code = async |user: &str| fleet.user(0, &demo_jwt(user, fleet.clock.now())).await.0;
    let up = async |expected: u8| {
        let line = format!("appserver_revocations_up{{source=\"redis\"}} {expected}");
        until(&line, async || fleet.admin(0, "/metrics").await.contains(&line)).await;
    };
    let mut damage = async || {
        let names: Vec<String> =
            redis::cmd("KEYS").arg("*:revocations").query_async(&mut redis).await.unwrap();
        let fields: Vec<String> =
            redis::cmd("HKEYS").arg(&names[0]).query_async(&mut redis).await.unwrap();
        for field in fields.iter().filter(|field| *field != "version") {
            let set = redis::cmd("HSET").arg(&names[0]).arg(field).arg("damaged").to_owned();
            let _: i64 = set.query_async(&mut redis).await.unwrap();
        }
    };
    revoked("alice", "20s");
    until("alice is refused", async || code("alice").await == "Forbidden.Revoked").await;
    damage().await;
    // Another change, so that the list is read anew.
    revoked("bob", "12h");
    until("bob is refused", async || code("bob").await == "Forbidden.Revoked").await;
    up(0).await;
    assert_eq!(code("alice").await, "Forbidden.Revoked");
    assert_eq!(revoke(&command, &["--list"]).0, Some(1));
    // Nobody changes the list any more, and the revocation ends by the replica's clock.
    fleet.clock.advance(Clock::system().now() + TimeDelta::seconds(20) - fleet.clock.now());
    up(1).await;
    assert_eq!(revoke(&command, &["--list"]).0, Some(0));
    damage().await;
    revoked("carol", "1h");
    up(0).await;
    assert_eq!(code("bob").await, "Forbidden.Revoked");
    revoked("bob", "12h");
    up(1).await;
    assert_eq!(code("bob").await, "Forbidden.Revoked");
    fleet.close();
}

/// A replica that is cut off from Redis serves the caller, and no mark of it is left in Redis after seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stops_before_it_has_read_a_revocation_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::of(2, &fleet_config(folder.path())).await;
    let command = command_config(folder.path(), Some(&fleet.redis.url()));
    let revoked = |user: &str| revoke(&command, &["user", user, "--for", "1h"]);
    let (code, printed) = revoked("demo/alice");
    assert!(code == Some(0) && printed.contains("; 2 replicas have read it"), "{printed}");
    fleet.replicas[1].kill();
    let (code, printed) = revoked("demo/bob");
    assert_eq!(code, Some(1), "{printed}");
    let gone = "but 1 of 2 replicas read this list when the command began and stopped without having read it: ";
    let (_, rest) = printed.split_once(gone).unwrap_or_else(|| panic!("{printed}"));
    let id = rest.split(' ').next().unwrap();
    assert!(id.len() == 22 && printed.contains("One that runs is cut off from Redis"), "{printed}");
    let (code, printed) = revoked("demo/bob");
    assert!(code == Some(0) && printed.contains("; 1 replica has read it"), "{printed}");
    let bob = fleet.user(0, &demo_jwt("bob", fleet.clock.now())).await.0;
    assert_eq!(bob, "Forbidden.Revoked");
    fleet.close();
}

/// The command returns when no replica refuses the caller any more, and finds what the replicas alone know.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_redis_has_just_lost_is_taken_back_on_all_replicas() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::of(2, &fleet_config(folder.path())).await;
    let command = command_config(folder.path(), Some(&fleet.redis.url()));
    let mut redis = fleet.redis.connection().await;
    let codes = async || {
        let jwt = demo_jwt("alice", fleet.clock.now());
        [fleet.user(0, &jwt).await.0, fleet.user(1, &jwt).await.0]
    };
    for lost in [&["*:revocations-until"][..], &["*:revocations", "*:revocations-until"]] {
        assert_eq!(revoke(&command, &["user", "demo/alice", "--for", "1h"]).0, Some(0));
        assert_eq!(codes().await, ["Forbidden.Revoked"; 2]);
        for pattern in lost {
            let names: Vec<String> =
                redis::cmd("KEYS").arg(pattern).query_async(&mut redis).await.unwrap();
            let () = redis::cmd("DEL").arg(names).query_async(&mut redis).await.unwrap();
        }
        let undone = revoke(&command, &["--undo", "user", "demo/alice"]);
        let expected = "user `demo/alice` is no longer revoked in Redis.\n";
        assert_eq!(undone, (Some(0), expected.to_owned()), "{lost:?}");
        assert_eq!(codes().await, ["Success"; 2], "{lost:?}");
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(codes().await, ["Success"; 2], "{lost:?}");
    }
    fleet.close();
}

/// Somebody who can write to Redis hides each change from the replicas: the command must not count them.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_rewritten_all_the_time_makes_no_false_success() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::of(2, &fleet_config(folder.path())).await;
    let command = command_config(folder.path(), Some(&fleet.redis.url()));
    let alice = ["user", "demo/alice", "--for", "1h"];
    assert_eq!(revoke(&command, &["user", "demo/bob", "--for", "1h"]).0, Some(0));
    let mut redis = fleet.redis.connection().await;
    let names: Vec<String> =
        redis::cmd("KEYS").arg("*:revocations").query_async(&mut redis).await.unwrap();
    let get = redis::cmd("HGET").arg(&names[0]).arg("version").to_owned();
    let version: String = get.query_async(&mut redis).await.unwrap();
    let attacker = tokio::spawn(async move {
        loop {
            let set = redis::cmd("HSET").arg(&names[0]).arg("version").arg(&version).to_owned();
            let _: i64 = set.query_async(&mut redis).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let codes = async || {
        let jwt = demo_jwt("alice", fleet.clock.now());
        [fleet.user(0, &jwt).await.0, fleet.user(1, &jwt).await.0]
    };
    let (exit, printed) = revoke(&command, &alice);
    // A look in the millisecond between the change and the version would have seen it.
    if codes().await == ["Forbidden.Revoked"; 2] {
        assert_eq!(exit, Some(0), "{printed}");
    } else {
        assert_eq!(exit, Some(1), "{printed}");
        assert!(printed.contains("of 2 replicas have not read it yet"), "{printed}");
    }
    attacker.abort();
    let _ = attacker.await;
    let (exit, printed) = revoke(&command, &alice);
    assert_eq!(exit, Some(0), "{printed}");
    assert_eq!(codes().await, ["Forbidden.Revoked"; 2]);
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_a_replica_does_not_enforce_fails_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let command = command_config(folder.path(), None);
    let key = folder.path().join("key");
    let config = format!("store.redis.encryption_key_file = \"{}\"\n", key.display());
    let fleet = Fleet::of(2, &config).await;
    let command_of = |name: &str, more: &str| {
        let path = folder.path().join(name);
        let url = fleet.redis.url();
        let store = format!("[store]\nkind = \"redis\"\n[store.redis]\nurl = \"{url}\"\n{more}\n");
        std::fs::write(&path, store).unwrap();
        path.display().to_string()
    };
    let same = command_of("same.toml", "encryption_key_file = \"key\"");
    let other_prefix =
        command_of("prefix.toml", "encryption_key_file = \"key\"\nkey_prefix = \"other\"");
    let other_key = command_of("other.toml", "encryption_key_file = \"other-key\"");
    std::fs::write(folder.path().join("other-key"), KEY.replace("b2", "c2")).unwrap();
    let revoke = |with: &str, arguments: &[&str]| {
        let (code, printed) = revoke(&command, &[&["--config", with], arguments].concat());
        (code.unwrap(), printed)
    };
    let alice = ["user", "demo/alice", "--for"];
    let up = async |expected: u8| {
        let line = format!("appserver_revocations_up{{source=\"redis\"}} {expected}");
        until(&line, async || fleet.admin(0, "/metrics").await.contains(&line)).await;
    };

    let (code, printed) = revoke(&same, &[&alice[..], &["12h"]].concat());
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("; 2 replicas have read it and refuse it.\n"), "{printed}");
    up(1).await;
    let (code, printed) = revoke(&same, &[&alice[..], &["1h"]].concat());
    assert_eq!(code, 64, "{printed}");
    assert!(printed.ends_with("To shorten it, take it back with --undo first\n"), "{printed}");
    assert_eq!(revoke(&same, &[&alice[..], &["13h"]].concat()).0, 0);

    let (code, printed) = revoke(&other_prefix, &[&alice[..], &["12h"]].concat());
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("but no replica reads this list."), "{printed}");
    let (code, printed) = revoke(&other_prefix, &["--list"]);
    assert!(code == 0 && printed.contains("warning: no replica reads this list."), "{printed}");

    let (code, printed) = revoke(&other_key, &[&alice[..], &["12h"]].concat());
    assert_eq!(code, 1, "{printed}");
    assert!(
        printed.contains("2 of 2 replicas cannot decrypt it and do not refuse it"),
        "{printed}"
    );
    up(0).await;
    let (code, printed) = revoke(&same, &["--list"]);
    assert_eq!(code, 1, "{printed}");
    assert!(printed.starts_with("user `demo/alice` until "), "{printed}");
    assert!(printed.contains("Redis has 1 more that cannot be decrypted"), "{printed}");
    assert_eq!(revoke(&other_key, &["--undo", "user", "demo/alice"]).0, 0);
    up(1).await;

    // Of a replica that has another key it is not known what it refuses; and nobody is kept from revoking by what others write.
    let mut redis = fleet.redis.connection().await;
    let mut mark = async |marks: &str| {
        let script = format!(
            "local key = redis.call('KEYS', '*:revocations-readers')[1] local now = redis.call('TIME')[1] * 1000 {marks}"
        );
        redis::cmd("EVAL").arg(script).arg(0).query_async::<()>(&mut redis).await.unwrap();
    };
    mark("redis.call('ZADD', key, now, 'stranger v other-key p')").await;
    let (code, printed) = revoke(&same, &["--undo", "user", "demo/alice"]);
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("but 1 of 3 replicas cannot decrypt that"), "{printed}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    mark("local long = string.rep('x', 200000) for i = 1, 50 do redis.call('ZADD', key, now, i .. long) end").await;
    let (code, printed) = revoke(&same, &[&alice[..], &["12h"]].concat());
    assert_eq!(code, 0, "{printed}");
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_without_redis_has_the_file_and_gets_what_redis_has_later() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("revoked.toml");
    std::fs::write(&file, row("user", "demo/alice")).unwrap();
    let config = fleet_config(folder.path()) + &format!("revoked.file = \"{}\"\n", file.display());
    let mut fleet = Fleet::without_replicas().await;
    let command = command_config(folder.path(), Some(&fleet.redis.url()));
    fleet.redis.kill();
    fleet.add(&config).await;
    let code =
        async |fleet: &Fleet, user: &str| fleet.user(0, &demo_jwt(user, fleet.clock.now())).await.0;
    assert_eq!(code(&fleet, "alice").await, "Forbidden.Revoked");
    assert_eq!(code(&fleet, "bob").await, "Success");
    fleet.redis.start_again().await;
    fleet.until_degraded(false).await;
    let (exit, printed) = revoke(&command, &["user", "demo/bob", "--for", "1h"]);
    assert_eq!(exit, Some(0), "{printed}");
    until("bob is refused", async || code(&fleet, "bob").await == "Forbidden.Revoked").await;
    assert_eq!(code(&fleet, "alice").await, "Forbidden.Revoked");
    assert_eq!(code(&fleet, "carol").await, "Success");
    fleet.close();
}

#[test]
fn without_redis_the_command_prints_the_lines_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let command = command_config(folder.path(), None);
    let until = format!(
        "{}-01-02T03:04:05Z",
        chrono::Datelike::year(&appserver_domain::clock::Clock::system().now()) + 1
    );
    let (code, printed) =
        revoke(&command, &["user", "demo/alice", "--until", &until, "--reason", "stolen"]);
    assert_eq!(code, Some(64));
    let expected =
        format!("[[revoked]]\nuser = \"demo/alice\"\nuntil = {until}\nreason = \"stolen\"\n");
    assert!(printed.starts_with(&expected), "{printed}");
    insta::assert_snapshot!(printed[expected.len()..], @r#"appserver: nothing is revoked yet: without Redis (`store.kind`) each replica reads a file. Add the lines above to a file, and name it in the configuration: `[revoked] file = "revoked.toml"`"#);
}

#[test]
fn a_lifetime_ends_with_a_whole_second_and_no_sooner() {
    let folder = tempfile::tempdir().unwrap();
    let command = command_config(folder.path(), None);
    let asked = appserver_domain::clock::Clock::system().now() + chrono::TimeDelta::hours(1);
    let (_, printed) = revoke(&command, &["user", "demo/alice", "--for", "1h"]);
    let until = printed.lines().find_map(|line| line.strip_prefix("until = ")).unwrap();
    assert_eq!(until.len(), "2016-01-13T14:02:37Z".len(), "{until}");
    assert!(until.parse::<chrono::DateTime<chrono::Utc>>().unwrap() >= asked, "{until}");
}

#[test]
fn a_name_that_the_configuration_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let command = command_config(folder.path(), None);
    let mut shown = String::new();
    for arguments in [
        &["user", "demos/alice", "--for", "1h"][..],
        &["user", "alice", "--for", "1h"],
        &["client", "photos", "--for", "1h"],
        &["ticket", "1", "--for", "1h"],
        &["user", "demo/alice", "--for", "400days"],
        &["user", "demo/alice", "--until", "2016-01-13T14:02:37Z"],
        &["user", "demo/alice ", "--for", "1h"],
        &["user", "demo/alice", "--for", "1h", "--audit", "/nowhere/audit.jsonl"],
        &["jti", "f81d4fae", "--for", "1h", "--audit", "/nowhere/audit.jsonl"],
        &["--undo", "user", "demo/alice"],
        &["--list"],
    ] {
        let (code, printed) = revoke(&command, arguments);
        shown += &format!("{} {printed}", code.unwrap());
    }
    insta::assert_snapshot!(shown, @"
    64 appserver: the configuration has no issuer `demos`: it has demo
    64 appserver: a user is `ISSUER/SUBJECT`: the key of `issuers`, a slash, and the user's subject
    64 appserver: the configuration has no client `photos`: it has photo-app
    64 appserver: a ticket is named by its `TicketId`: 16 digits of 0-9 and a-f
    64 appserver: a revocation ends within 366 days: write an earlier time; what is to end for good is removed from the configuration or at the issuer
    64 appserver: the revocation would have ended already: write a time in the future
    64 appserver: the name `demo/alice ` begins or ends with a space: leave it out; a subject that has one is revoked in `revoked.file`
    64 appserver: nothing was changed: --audit /nowhere/audit.jsonl: No such file or directory (os error 2)
    64 appserver: nothing was changed: the audit has no `jti`; look for what its user has, with `revoke user ISSUER/SUBJECT --audit FILE`
    1 appserver: user `demo/alice` is not revoked
    0 Nothing is revoked.
    ");
}

/// A start refuses what is wrong, with every problem.
#[test]
fn check_lists_every_problem_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let command = command_config(folder.path(), None);
    let more = folder.path().join("more.toml");
    std::fs::write(&more, "revoked.file = \"revoked.toml\"\n").unwrap();
    let more = more.display().to_string();
    let check = || {
        let ended =
            run(&["check", "--without-access-key", "--config", &command, "--config", &more], &[]);
        let folder = folder.path().display().to_string();
        (ended.status.code().unwrap(), text(&ended.stdout).replace(&folder, "<folder>"))
    };
    let (code, printed) = check();
    assert_eq!(code, 64, "{printed}");
    insta::assert_snapshot!(printed, @"
    the configuration has 1 problem:
    revoked.file: <folder>/revoked.toml: No such file or directory (os error 2)
    ");
    std::fs::write(folder.path().join("revoked.toml"), "[[revoked]]\nclient = 1\n[[revoked]]\n")
        .unwrap();
    let (code, printed) = check();
    assert_eq!(code, 64, "{printed}");
    insta::assert_snapshot!(printed, @"
    the configuration has 4 problems:
    revoked.file: <folder>/revoked.toml:1: `client`: write a text in quotes
    revoked.file: <folder>/revoked.toml:1: `until` is missing: write when the revocation ends, as 2016-01-13T14:02:37Z
    revoked.file: <folder>/revoked.toml:3: write exactly one of `user`, `client`, `ticket`, `jti` and `issuer`
    revoked.file: <folder>/revoked.toml:3: `until` is missing: write when the revocation ends, as 2016-01-13T14:02:37Z
    ");
    let later = appserver_domain::clock::Clock::system().now() + chrono::TimeDelta::days(1);
    let active = |kind, name| row(kind, name).replace(END, &later.to_rfc3339());
    let rows =
        [row("client", "photo-app"), active("user", "demo/alice"), active("issuer", "demos")];
    std::fs::write(folder.path().join("revoked.toml"), rows.concat()).unwrap();
    let (code, printed) = check();
    assert_eq!(code, 0, "{printed}");
    let warnings: Vec<_> = printed.lines().filter(|line| line.contains("revoked.file")).collect();
    insta::assert_snapshot!(warnings.join("\n"), @"
    warning: revoked.file: issuer `demos` refuses nobody: the configuration has no such name
    warning: revoked.file: revocations that have ended: 1, at line 1; they refuse nobody, and can be removed
    ");
}

#[tokio::test]
async fn a_revoked_client_is_refused_by_its_secret_too() {
    let stage = stage_with(&row("client", "client-002")).await;
    assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "403 Forbidden.Revoked");
    assert_eq!(
        stage.get("client-003", "/v1/token?Parameters.album=a").await.outcome(),
        "200 Success"
    );
    let wrong = stage.request("GET", "/v1/token").basic_auth("client-002", Some("wrong"));
    assert_eq!(
        stage.send(wrong).await.outcome(),
        "401 Unauthenticated",
        "{}",
        secret("client-002")
    );
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_redis_is_told_from_silence_and_silence_names_the_modes_key() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = command_config(folder.path(), Some(&redis.url()));
    let password = folder.path().join("password");
    std::fs::write(&password, "abc").unwrap();
    let password = password.display().to_string();
    let rights = format!("other on >abc {}", RIGHTS.replace("~appserver:*", "~other:*"));
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg(rights.split_whitespace().collect::<Vec<_>>());
    let () = acl.query_async(&mut redis.connection().await).await.unwrap();
    let list = |variables: &[(&str, &str)]| {
        let variables: Vec<_> = variables
            .iter()
            .map(|(key, value)| (format!("APPSERVER__STORE__REDIS__{key}"), *value))
            .collect();
        let variables: Vec<_> =
            variables.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let ended = run(&["revoke", "--config", &config, "--list"], &variables);
        (ended.status.code(), text(&ended.stdout) + &text(&ended.stderr))
    };
    let user = [("USERNAME", "other"), ("PASSWORD_FILE", password.as_str())];
    let (code, refused) = list(&user);
    assert!(code == Some(69) && refused.contains("Redis refuses the user"), "{refused}");
    assert!(
        refused.contains("access one of the keys") && !refused.contains("does not answer"),
        "{refused}"
    );
    let cluster = [("MODE", "cluster"), ("URL", ""), ("CLUSTER__URLS", "redis://127.0.0.1:9")];
    let (code, silent) = list(&cluster);
    let expected = "Redis does not answer (`store.redis.cluster.urls`)";
    assert!(code == Some(69) && silent.contains(expected), "{silent}");
}
