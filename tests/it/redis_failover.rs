//! Replicas with a real Redis Cluster whose slots are moved and whose master is killed, and with Sentinels that name another
//! master: callers notice nothing, and what is shared stays shared.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::binary::{Service, emulated_sts, run, text};
use crate::fleet::Fleet;
use crate::redis_cluster::{RedisCluster, ask};
use crate::redis_sentinels::{
    MASTER, PASSWORD, RedisSentinels, SENTINEL_PASSWORD, SENTINEL_USER, USER,
};
use crate::redis_server::{CLUSTER_RIGHTS, RIGHTS, RedisServer, certify, words};
use crate::stage::until;

/// A budget that delays no caller, and a time-out of Redis that suits a busy machine.
const AMPLE: &str = "store.redis.timeout_ms = 5000\nstore.redis.lease_ms = 20000\n\
                     [vend.budget]\ncalls_per_second = 5000\nburst = 1000\n";
/// A budget that the load below spends.
const PER_SECOND: f64 = 40.0;
const BURST: f64 = 10.0;
const SCARCE: &str = "store.redis.timeout_ms = 1000\nstore.redis.expected_replicas = 3\n\
                      [vend.budget]\ncalls_per_second = 40\nburst = 10\n";
const BUDGET: &str = "appserver:2:{common}:budget";
/// Albums that are requested at once, each from all replicas.
const AT_ONCE: usize = 4;

/// What callers saw.
#[derive(Debug, Default)]
struct Load {
    albums: usize,
    /// Albums for which the replicas had different tokens.
    differing: usize,
    slowest: Duration,
}

/// Requests new albums from all three replicas until the future is ready. No request fails.
async fn under_load(fleet: &Fleet, name: &str, meanwhile: impl Future<Output = ()>) -> Load {
    let is_over = AtomicBool::new(false);
    let requests = async {
        let mut load = Load::default();
        while !is_over.load(Ordering::Relaxed) {
            let numbers = load.albums..load.albums + AT_ONCE;
            let began = Instant::now();
            let answers = join_all(numbers.map(|number| async move {
                let album = format!("{name}-{number}");
                tokio::join!(fleet.album(0, &album), fleet.album(1, &album), fleet.album(2, &album))
            }));
            for (one, two, three) in answers.await {
                for answer in [&one, &two, &three] {
                    assert!(answer.0 == "Success" && answer.1.starts_with("STS."), "{answer:?}");
                }
                load.differing += usize::from(one != two || two != three);
            }
            load.slowest = load.slowest.max(began.elapsed());
            load.albums += AT_ONCE;
        }
        load
    };
    let (load, ()) = tokio::join!(requests, async {
        meanwhile.await;
        is_over.store(true, Ordering::Relaxed);
    });
    load
}

/// Each album costs one call, also if three replicas need it at once.
async fn is_shared(fleet: &Fleet, name: &str) {
    let calls = fleet.sts_calls();
    let load = under_load(fleet, name, sleep(Duration::from_secs(1))).await;
    assert_eq!(load.differing, 0, "{load:?}");
    assert_eq!(fleet.sts_calls() - calls, load.albums as u64);
    assert_eq!(fleet.degraded().await, [false; 3]);
}

/// The calls since `began` are within the budget: the shared one, and the share of a replica that works alone, which begins
/// empty.
fn is_within_budget(fleet: &Fleet, began: Instant) {
    let secs = began.elapsed().as_secs_f64();
    let most = BURST + PER_SECOND * secs;
    let calls = fleet.sts_calls();
    assert!((calls as f64) <= most, "{calls} calls in {secs} s, at most {most}");
    report(&format!("{calls} calls in {secs:.1} s, of {most:.0} that the budget allows"));
}

#[expect(clippy::print_stderr, reason = "`--nocapture` shows the figures of a run")]
fn report(figures: &str) {
    eprintln!("{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_of_a_cluster_are_moved_under_load_and_no_token_is_lost_or_fetched_twice() {
    let cluster = RedisCluster::start(false).await;
    let mut fleet = Fleet::with_store(3, cluster.store(), AMPLE).await;
    is_shared(&fleet, "before").await;
    fleet.sts.clear_calls();
    let (common, from) = cluster.place_of(BUDGET).await;
    let to = (from + 1) % 3;
    let mut slots = 0;
    let load = under_load(&fleet, "moved", async {
        // That of the budget first, of which one key is here and one there for a while.
        cluster.move_slot(common, from, to, Duration::from_millis(100)).await;
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            let Some(slot) = cluster.slot_with_keys(from).await else {
                sleep(Duration::from_millis(5)).await;
                continue;
            };
            cluster.move_slot(slot, from, to, Duration::from_millis(10)).await;
            slots += 1;
        }
    })
    .await;
    let mut errors = Vec::new();
    for code in ["MOVED", "ASK", "TRYAGAIN", "CROSSSLOT"] {
        errors.push((code, cluster.errors(code).await));
    }
    report(&format!("{slots} slots moved; {load:?}; {} calls; {errors:?}", fleet.sts_calls()));
    assert!(slots >= 5, "{slots} slots were moved");
    // Calls were redirected, and none had keys of two slots.
    assert!(errors[0].1 + errors[1].1 > 0 && errors[3].1 == 0, "{errors:?}");
    assert_eq!(fleet.sts_calls(), load.albums as u64, "{load:?}");
    assert_eq!(load.differing, 0);
    assert_eq!(fleet.degraded().await, [false; 3]);
    // A new replica finds every token, wherever it is now.
    fleet.add(AMPLE).await;
    for number in 0..load.albums {
        let album = format!("moved-{number}");
        assert_eq!(fleet.album(3, &album).await, fleet.album(0, &album).await);
    }
    assert_eq!(fleet.sts_calls(), 0);
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_a_cluster_is_killed_under_load_and_no_caller_notices() {
    let cluster = RedisCluster::start(true).await;
    let fleet = Fleet::with_store(3, cluster.store(), SCARCE).await;
    let began = Instant::now();
    is_shared(&fleet, "before").await;
    let (_, lost) = cluster.place_of(BUDGET).await;
    let calls = fleet.sts_calls();
    let killed = Instant::now();
    let load = under_load(&fleet, "killed", async {
        cluster.node(lost).kill();
        until("a replica notices", async || fleet.degraded().await.contains(&true)).await;
        fleet.until_degraded(false).await;
    })
    .await;
    report(&format!(
        "shared again after {:?}; {load:?}; {} calls",
        killed.elapsed(),
        fleet.sts_calls() - calls
    ));
    is_shared(&fleet, "after").await;
    is_within_budget(&fleet, began);
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_name_another_master_under_load_and_no_caller_notices() {
    let redis = RedisSentinels::start(None).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let store = vec![
        ("MODE", "sentinel".to_owned()),
        ("USERNAME", USER.to_owned()),
        ("PASSWORD_FILE", file("password", PASSWORD)),
        ("SENTINEL__URLS", redis.urls()),
        ("SENTINEL__MASTER", MASTER.to_owned()),
        ("SENTINEL__USERNAME", SENTINEL_USER.to_owned()),
        ("SENTINEL__PASSWORD_FILE", file("sentinel-password", SENTINEL_PASSWORD)),
    ];
    let fleet = Fleet::with_store(3, store, SCARCE).await;
    let began = Instant::now();
    is_shared(&fleet, "before").await;
    let calls = fleet.sts_calls();
    let frozen = Instant::now();
    let has_role = async |server: &RedisServer, role: &str| {
        // It closes its connections when it becomes the master.
        let Ok(mut connection) = server.try_connection().await else { return false };
        let info: redis::RedisResult<String> = ask(&mut connection, "INFO replication").await;
        info.is_ok_and(|info| info.contains(&format!("role:{role}")))
    };
    let load = under_load(&fleet, "failover", async {
        // Its connections stay open, as those of a machine that is gone without a word.
        redis.master.freeze();
        until("the replica is the master", async || has_role(&redis.replica, "master").await).await;
        fleet.until_degraded(false).await;
    })
    .await;
    report(&format!(
        "shared again after {:?}; {load:?}; {} calls",
        frozen.elapsed(),
        fleet.sts_calls() - calls
    ));
    is_shared(&fleet, "after").await;
    // The old master returns, takes itself for one at first, and is demoted.
    redis.master.thaw();
    until("it is a replica", async || has_role(&redis.master, "slave").await).await;
    is_shared(&fleet, "returned").await;
    is_within_budget(&fleet, began);
    fleet.close();
}

/// Two services with this store, of which one has the token of the other; and what the doctor says.
async fn two_services_share(store: &[(&str, &str)], authority: &str) -> String {
    let (sts, control) = emulated_sts().await;
    let mut tokens = Vec::new();
    let mut running = Vec::new();
    let mut said = String::new();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..2 {
        let service = Service::new(sts, "11223344");
        let file = |name: &str, text: &str| {
            let path = service.folder().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let password = file("password", PASSWORD);
        let sentinel_password = file("sentinel-password", SENTINEL_PASSWORD);
        let seal_key = file("seal-key", "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=\n");
        let mut environment: Vec<(String, &str)> = [
            ("KIND", "redis"),
            ("REDIS__USERNAME", USER),
            ("REDIS__PASSWORD_FILE", &password),
            ("REDIS__ENCRYPTION_KEY_FILE", &seal_key),
            ("REDIS__TIMEOUT_MS", "5000"),
            // Not used in the other modes.
            ("REDIS__SENTINEL__PASSWORD_FILE", &sentinel_password),
        ]
        .map(|(key, value)| (format!("APPSERVER__STORE__{key}"), value))
        .into();
        environment.extend(
            store.iter().map(|(key, value)| (format!("APPSERVER__STORE__REDIS__{key}"), *value)),
        );
        let environment: Vec<_> = environment
            .iter()
            .map(|(key, value)| (key.as_str(), *value))
            .chain([("SSL_CERT_FILE", authority)])
            .collect();
        running.push(service.start_with(("testid", "testsecret"), &environment));
        service.ready().await;
        let url = format!("http://127.0.0.1:{}/v1/token", service.public());
        let answer = client.get(&url).basic_auth("client-002", Some("abc")).send().await.unwrap();
        let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        tokens.push(body["AccessKeyId"].as_str().unwrap().to_owned());
        let key = [
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
        ];
        let output =
            run(&["doctor", "--config", &service.config()], &[&key[..], &environment[..]].concat());
        said = text(&output.stdout) + &text(&output.stderr);
    }
    // The first had shared its token before the doctor was done.
    assert_eq!(tokens[0], tokens[1]);
    // Each doctor has tried the role too.
    assert_eq!(control.totals()["AssumeRole"]["Success"], 3);
    let finding = said.lines().find(|line| line.contains("  store")).unwrap_or(&said).to_owned();
    for mut service in running {
        service.terminate();
        let log = text(&service.ended().stderr);
        assert!(log.contains("sharing tokens and the budget"), "{log}");
        for secret in [PASSWORD, SENTINEL_PASSWORD] {
            assert!(!log.contains(secret), "{log}");
        }
    }
    finding
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_reached_by_tls_with_a_user_and_a_password() {
    let certificate = tempfile::tempdir().unwrap();
    certify(certificate.path());
    let authority = certificate.path().join("authority.pem").display().to_string();
    // The words of docs/operate/redis.md.
    let user = format!("--user {USER} on >{PASSWORD} {RIGHTS} {CLUSTER_RIGHTS}");
    let cluster = RedisCluster::start_with(false, Some(certificate.path()), &words(&user)).await;
    let urls = cluster.tls_urls();
    let store = [("MODE", "cluster"), ("CLUSTER__URLS", urls.as_str())];
    let finding = two_services_share(&store, &authority).await;
    assert!(finding.contains("every command that is needed works"), "{finding}");
    // As a server of its own, a node is no store, also for a user who may not ask what it is.
    let url = cluster.node(0).tls_url();
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let key = service.folder().join("seal-key");
    std::fs::write(&key, "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=\n").unwrap();
    let key = key.display().to_string();
    let password = service.folder().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let password = password.display().to_string();
    for login in [("", ""), (USER, password.as_str())] {
        let output = run(
            &["doctor", "--config", &service.config()],
            &[
                ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
                ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
                ("APPSERVER__STORE__KIND", "redis"),
                ("APPSERVER__STORE__REDIS__URL", &url),
                ("APPSERVER__STORE__REDIS__USERNAME", login.0),
                ("APPSERVER__STORE__REDIS__PASSWORD_FILE", login.1),
                ("APPSERVER__STORE__REDIS__ENCRYPTION_KEY_FILE", &key),
                ("SSL_CERT_FILE", &authority),
            ],
        );
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("this server is a node of a Redis Cluster"), "{said}");
        assert!(said.contains("set `store.redis.mode` to `cluster`"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_of_sentinels_is_reached_by_tls_with_a_user_and_a_password() {
    let certificate = tempfile::tempdir().unwrap();
    certify(certificate.path());
    let authority = certificate.path().join("authority.pem").display().to_string();
    let redis = RedisSentinels::start(Some(certificate.path())).await;
    let urls = redis.tls_urls();
    let store = [
        ("MODE", "sentinel"),
        ("SENTINEL__URLS", urls.as_str()),
        ("SENTINEL__MASTER", MASTER),
        ("SENTINEL__MASTER_TLS", "true"),
        ("SENTINEL__USERNAME", SENTINEL_USER),
    ];
    let finding = two_services_share(&store, &authority).await;
    assert!(finding.contains("every command that is needed works"), "{finding}");
    // Of two wrong passwords, the finding says whose is wrong.
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let file = |name: &str, text: &str| {
        let path = service.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let seal_key = file("seal-key", "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=\n");
    let wrong = file("wrong", "no-such-password");
    let right = file("password", PASSWORD);
    let of_sentinels = file("sentinel-password", SENTINEL_PASSWORD);
    for (passwords, whose) in [
        ([&wrong, &of_sentinels], "the Sentinels answer, and their master cannot be used: "),
        ([&right, &wrong], "no Sentinel can be used: "),
    ] {
        let more = [
            ("KIND", "redis"),
            ("REDIS__USERNAME", USER),
            ("REDIS__PASSWORD_FILE", passwords[0]),
            ("REDIS__SENTINEL__PASSWORD_FILE", passwords[1]),
            ("REDIS__ENCRYPTION_KEY_FILE", &seal_key),
        ];
        let more = more.into_iter().map(|(key, value)| (key.to_owned(), value));
        let store = store.iter().map(|(key, value)| (format!("REDIS__{key}"), *value));
        let named: Vec<_> = more.chain(store).collect();
        let named = named.iter().map(|(key, value)| (format!("APPSERVER__STORE__{key}"), *value));
        let named: Vec<_> = named.collect();
        let mut environment: Vec<_> =
            named.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        environment.extend([
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
            ("SSL_CERT_FILE", authority.as_str()),
        ]);
        let output = run(&["doctor", "--config", &service.config()], &environment);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains(whose), "{said}");
    }
}
