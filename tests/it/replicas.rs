//! Replicas behave as one with a real redis-server; and each continues alone without it.

use std::collections::BTreeSet;
use std::time::Duration;

use appserver_emulator::{Fault, demo_jwt};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::fleet::Fleet;
use crate::stage::{repository, until};

/// A budget that delays no caller, and a time-out of Redis that suits a busy machine.
const AMPLE: &str = "store.redis.timeout_ms = 5000\nstore.redis.lease_ms = 20000\n[vend.budget]\ncalls_per_second = 5000\nburst = 1000\n";

fn success(answer: &(String, String)) -> bool {
    answer.0 == "Success" && answer.1.starts_with("STS.")
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_and_a_thousand_keys_cost_one_sts_call_for_each_key() {
    let fleet = Fleet::of(3, AMPLE).await;
    // All three get requests for the same key at once, two hundred keys at a time.
    for hundreds in 0..5 {
        let keys: Vec<_> = (0..200).map(|key| format!("album-{}", hundreds * 200 + key)).collect();
        let requests = keys.iter().map(|album| async {
            let (one, two, three) =
                tokio::join!(fleet.album(0, album), fleet.album(1, album), fleet.album(2, album));
            assert!(success(&one), "{one:?}");
            assert_eq!((&one, &one), (&two, &three), "{:?}", fleet.degraded().await);
        });
        join_all(requests).await;
    }
    assert_eq!(fleet.sts_calls(), 1000);
    assert_eq!(fleet.degraded().await, [false; 3]);
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_replica_uses_the_tokens_of_the_others() {
    let scarce = "store.redis.timeout_ms = 5000\n[vend.budget]\ncalls_per_second = 1\nburst = 1\n";
    let mut fleet = Fleet::of(1, scarce).await;
    let first = fleet.album(0, "2015").await;
    fleet.add(scarce).await;
    // Neither a spent budget nor a caller that waits for it delays this.
    let (waited, found) = tokio::join!(fleet.album(0, "2016"), async {
        let began = Instant::now();
        assert_eq!(fleet.album(1, "2015").await, first);
        began.elapsed()
    });
    assert!(success(&waited) && found < Duration::from_millis(800), "{found:?}");
    // Nor does an STS outage.
    fleet.add(scarce).await;
    fleet.sts.script(Fault::Cut { mid_body: false }.always());
    assert_eq!(fleet.album(2, "2015").await, first);
    assert_eq!(fleet.sts_calls(), 0);
    let metrics = fleet.admin(2, "/metrics").await;
    assert!(metrics.contains(r#"appserver_vend_lookups_total{outcome="shared"} 1"#), "{metrics}");
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_cached_by_all_replicas() {
    let fleet = Fleet::of(2, AMPLE).await;
    let message = "canary".to_owned();
    let status = 403.try_into().unwrap();
    fleet.sts.script(Fault::Error { status, code: "NoPermission".to_owned(), message }.always());
    for replica in [0, 1, 0] {
        assert_eq!(fleet.album(replica, "2015").await.0, "Upstream.Refused");
    }
    assert_eq!(fleet.sts_calls(), 1);
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_holds_no_secret_role_policy_or_caller_in_plain_text() {
    let fleet = Fleet::of(1, AMPLE).await;
    assert!(success(&fleet.album(0, "canary-album").await));
    let token = wait_for_values(&fleet, ":token", 1).await.pop().unwrap();
    let mut connection = fleet.redis.connection().await;
    let names: Vec<String> =
        redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let known = [
        ":token",
        "{common}:budget",
        "{common}:waiting",
        "{common}:probe",
        "{common}:revocations-readers",
    ];
    for kind in [":token", ":budget"] {
        assert!(names.iter().any(|name| name.ends_with(kind)), "{names:?}");
    }
    for name in &names {
        assert!(known.iter().any(|end| name.ends_with(end)), "{name}");
        assert!(name.starts_with("appserver:2:{"), "{name}");
    }
    let dump: Vec<Vec<u8>> = {
        let mut dumps = Vec::new();
        // The write probe lives for a second and is empty.
        for name in names.iter().filter(|name| !name.ends_with(":probe")) {
            let mut command = redis::cmd("DUMP");
            // An expired key has no dump; that differs from the dump of an empty value.
            let dump: Option<Vec<u8>> =
                command.arg(name).query_async(&mut connection).await.unwrap();
            let dump = dump.unwrap_or_else(|| panic!("{name} is gone"));
            assert!(dump.len() > 10, "{name} has a value besides its version and checksum");
            dumps.push(dump);
        }
        dumps
    };
    let all = [dump.concat(), token.1, names.concat().into_bytes()].concat();
    for text in ["STS.", "acs:", "oss", "canary", "client-003", "Statement", "2016"] {
        let found = all.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        assert!(!found, "`{text}` can be read in Redis");
    }
    fleet.close();
}

/// A replica hands its token out before it shares it.
async fn wait_for_values(fleet: &Fleet, ending: &str, count: usize) -> Vec<(String, Vec<u8>)> {
    let there = async || fleet.redis.values(ending).await.len() >= count;
    until("the values are in Redis", there).await;
    fleet.redis.values(ending).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_token_with_one_bit_changed_is_refused_and_fetched_again() {
    let fleet = Fleet::of(2, AMPLE).await;
    let first = fleet.album(0, "2015").await;
    let (name, mut sealed) = wait_for_values(&fleet, ":token", 1).await.pop().unwrap();
    let middle = sealed.len() / 2;
    sealed[middle] ^= 1;
    fleet.redis.replace(&name, &sealed).await;
    let second = fleet.album(1, "2015").await;
    assert!(success(&second) && second != first, "{second:?}");
    assert_eq!(fleet.sts_calls(), 2);
    let metrics = fleet.admin(1, "/metrics").await;
    assert!(!metrics.contains("appserver_store_decrypt_failures_total 0"), "{metrics}");
    // Its replacement is valid.
    let recovered = async {
        while fleet.redis.values(":token").await[0].1 == sealed {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), recovered).await.unwrap();
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_moved_to_another_name_is_refused() {
    let fleet = Fleet::of(2, AMPLE).await;
    let alices = fleet.album(0, "alice").await;
    let (alices_name, sealed) = wait_for_values(&fleet, ":token", 1).await.pop().unwrap();
    fleet.album(0, "bob").await;
    let names = wait_for_values(&fleet, ":token", 2).await;
    let bobs_name = names.into_iter().find(|(name, _)| *name != alices_name).unwrap().0;
    fleet.redis.replace(&bobs_name, &sealed).await;
    let bobs = fleet.album(1, "bob").await;
    assert!(success(&bobs) && bobs != alices, "one caller's token reached another");
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_caller_waits_for_a_lease_without_an_end() {
    let fleet = Fleet::of(2, AMPLE).await;
    assert!(success(&fleet.album(0, "2015").await));
    let (token, _) = wait_for_values(&fleet, ":token", 1).await.pop().unwrap();
    let lease = token.replace(":token", ":lease");
    let mut connection = fleet.redis.connection().await;
    let mut forge = redis::pipe();
    forge.del(&token).set(&lease, "somebody's");
    let () = forge.query_async(&mut connection).await.unwrap();
    let began = Instant::now();
    assert!(success(&fleet.album(1, "2015").await));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_that_is_put_back_is_not_handed_out() {
    let fleet = Fleet::of(2, AMPLE).await;
    let first = fleet.album(0, "2015").await;
    let (name, sealed) = wait_for_values(&fleet, ":token", 1).await.pop().unwrap();
    // By Redis an hour is left, by STS it has expired.
    fleet.clock.advance(chrono::TimeDelta::minutes(58));
    fleet.redis.replace(&name, &sealed).await;
    let second = fleet.album(1, "2015").await;
    assert!(success(&second) && second != first, "{second:?}");
    fleet.close();
}

/// The first key encrypts, both decrypt, and a replica with only the old one ignores what it cannot decrypt.
#[tokio::test(flavor = "multi_thread")]
async fn an_encryption_key_is_rotated_with_two_keys_and_a_wrong_one_decrypts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, base64: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, base64).unwrap();
        path.display().to_string()
    };
    let old = file("old", "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=\n");
    let new = file("new", "bmV3IGtleSBuZXcga2V5IG5ldyBrZXkgbmV3IGtleSE=\n");
    let before = format!("store.redis.encryption_key_file = \"{old}\"\n{AMPLE}");
    let between = format!(
        "store.redis.encryption_key_file = \"{new}\"\nstore.redis.previous_encryption_key_file = \"{old}\"\n{AMPLE}"
    );
    let mut fleet = Fleet::of(1, &before).await;
    let (by_old, _) = (fleet.album(0, "by-old").await, wait_for_values(&fleet, ":token", 1).await);
    fleet.add(&between).await;
    assert_eq!(fleet.album(1, "by-old").await, by_old, "the old key still opens");
    let by_new = fleet.album(1, "by-new").await;
    wait_for_values(&fleet, ":token", 2).await;
    let refetched = fleet.album(0, "by-new").await;
    assert!(success(&refetched) && refetched != by_new, "sealed by a key that it does not have");
    assert_eq!(fleet.sts_calls(), 2);
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_killed_in_flight_delays_others_by_no_more_than_the_lease() {
    let lease = Duration::from_millis(1500);
    let config = AMPLE.replace("20000", &lease.as_millis().to_string());
    let mut fleet = Fleet::of(2, &config).await;
    // Longer than a lease: it is renewed while its replica lives.
    fleet.sts.script(Fault::Slow { delay_ms: 3_000 }.times(1).only("AssumeRole"));
    let mut doomed = fleet.replicas.remove(0);
    let url = format!("http://{}/v1/token?Parameters.album=2015", doomed.public_addr());
    let secret = crate::stage::secret("client-003");
    let request = reqwest::Client::new().get(url).basic_auth("client-003", Some(secret));
    let dying = tokio::spawn(request.send());
    wait_for_values(&fleet, ":lease", 1).await;
    // Another replica waits for it, and does not call STS meanwhile.
    let waiting = fleet.album(0, "2015");
    let killed = async {
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        assert_eq!(fleet.sts.calls().len(), 1, "the lease was renewed, so no other replica called");
        doomed.kill();
        Instant::now()
    };
    let (answer, killed) = tokio::join!(waiting, killed);
    let delay = killed.elapsed();
    assert!(success(&answer), "{answer:?}");
    assert!(delay < lease + Duration::from_millis(1_500), "{delay:?}");
    assert_eq!(fleet.sts.calls().len(), 2);
    dying.abort();
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_under_load_and_no_caller_notices() {
    let mut fleet = Fleet::of(3, AMPLE).await;
    for round in 0..3 {
        let half = |from: usize| {
            let fleet = &fleet;
            async move {
                join_all((from..from + 60).map(|key| async move {
                    let album = format!("round-{round}-{}", key / 3);
                    let answer = fleet.album(key % 3, &album).await;
                    assert!(success(&answer), "{answer:?}");
                }))
                .await;
            }
        };
        half(0).await;
        let began = Instant::now();
        let second_half = half(60);
        // Killed while requests are in flight.
        let kill = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            fleet.redis.kill();
        };
        tokio::join!(second_half, kill);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        fleet.until_degraded(true).await;
        let alone: BTreeSet<_> = [
            fleet.album(0, &format!("alone-{round}")).await,
            fleet.album(1, &format!("alone-{round}")).await,
            fleet.album(2, &format!("alone-{round}")).await,
        ]
        .into();
        assert!(alone.iter().all(success) && alone.len() == 3, "each goes on by itself: {alone:?}");
        fleet.redis.start_again().await;
        fleet.until_degraded(false).await;
        let together = [0, 1, 2].map(|replica| (replica, format!("together-{round}")));
        let mut tokens = BTreeSet::new();
        for (replica, album) in together {
            tokens.insert(fleet.album(replica, &album).await);
        }
        assert_eq!(tokens.len(), 1, "they share again: {tokens:?}");
    }
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_does_not_answer_costs_one_time_out_and_not_one_for_each_caller() {
    let fleet = Fleet::of(2, "[vend.budget]\ncalls_per_second = 5000\n").await;
    assert!(success(&fleet.album(0, "before").await));
    fleet.redis.freeze();
    let began = Instant::now();
    for key in 0..30 {
        let answer = fleet.album(0, &format!("frozen-{key}")).await;
        assert!(success(&answer), "{answer:?}");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "30 callers one after the other took {took:?}");
    assert!(fleet.degraded().await[0]);
    fleet.redis.thaw();
    assert!(success(&fleet.album(1, "after").await));
    fleet.until_degraded(false).await;
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_spend_one_budget_and_take_turns() {
    let config = "store.redis.timeout_ms = 5000\n[vend.budget]\ncalls_per_second = 60\nburst = 6\n";
    let fleet = Fleet::of(3, config).await;
    let began = Instant::now();
    join_all((0..240).map(|key| {
        let fleet = &fleet;
        async move {
            let answer = fleet.album(key % 3, &format!("album-{key}")).await;
            assert!(success(&answer), "{answer:?}");
        }
    }))
    .await;
    let took = began.elapsed().as_secs_f64();
    // 6 at once and 60 a second.
    let dictated = f64::from(240 - 6) / 60.0;
    assert!(
        (dictated * 0.95..dictated * 1.3).contains(&took),
        "{took} s, {dictated} s are dictated"
    );
    assert_eq!(fleet.sts_calls(), 240);
    fleet.close();
}

/// A turn that comes for a key which another replica has fetched meanwhile is not lost: it goes to the next waiting caller.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_need_the_same_tokens_spend_the_budget_once() {
    let config = "store.redis.timeout_ms = 5000\nstore.redis.lease_ms = 20000\n\
                  [vend.budget]\ncalls_per_second = 30\nburst = 1\n";
    let fleet = Fleet::of(3, config).await;
    let began = Instant::now();
    join_all((0..180).map(|key| {
        let fleet = &fleet;
        async move {
            let answer = fleet.album(key % 3, &format!("album-{}", key / 3)).await;
            assert!(success(&answer), "{answer:?}");
        }
    }))
    .await;
    let took = began.elapsed().as_secs_f64();
    // 60 calls at 30 a second; with every replica's turns spent it would be 6 s.
    assert!(took < 4.0, "{took} s");
    assert_eq!(fleet.sts_calls(), 60);
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_replica_spends_its_part_of_the_budget() {
    let config =
        "[vend.budget]\ncalls_per_second = 60\nburst = 6\n[store.redis]\nexpected_replicas = 3\n";
    let fleet = Fleet::of(1, config).await;
    fleet.redis.kill();
    assert!(success(&fleet.album(0, "first").await));
    fleet.until_degraded(true).await;
    let began = Instant::now();
    join_all((0..60).map(|key| {
        let fleet = &fleet;
        async move {
            let answer = fleet.album(0, &format!("album-{key}")).await;
            assert!(success(&answer), "{answer:?}");
        }
    }))
    .await;
    let took = began.elapsed().as_secs_f64();
    // 20 a second, and at most 2 at once.
    assert!((2.7..4.5).contains(&took), "{took} s");
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_of_one_replica_slows_all_replicas() {
    let fleet = Fleet::of(2, "store.redis.timeout_ms = 5000").await;
    fleet.sts.script(Fault::Throttle { time_left_ms: 10 }.times(1).only("AssumeRole"));
    assert!(success(&fleet.album(0, "throttled").await));
    // The throttled replica does not wait any more: the other one has the whole rate.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(success(&fleet.album(1, "other").await));
    let metrics = fleet.admin(1, "/metrics").await;
    let rate = metrics.lines().find_map(|line| line.strip_prefix("appserver_vend_budget_rate "));
    let rate: f64 = rate.unwrap().parse().unwrap();
    assert!((45.0..60.0).contains(&rate), "{rate} calls a second of 90");
    fleet.close();
}

/// Tokens of a disabled client are removed everywhere, Redis included; those of others are not.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_disabled_client_are_removed_from_redis_too() {
    let config = |enabled| format!("{AMPLE}[clients.client-003]\nenabled = {enabled}\n");
    let fleet = Fleet::of(2, &config(true)).await;
    let first = fleet.album(0, "2015").await;
    assert_eq!(fleet.album(1, "2015").await, first);
    fleet.redis.until_there_is("token").await;

    for replica in 0..2 {
        fleet.reconfigure(replica, &config(false)).await;
        assert_eq!(fleet.album(replica, "2015").await.0, "Forbidden.ClientDisabled");
    }
    let gone = async {
        while !fleet.redis.values("token").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), gone).await.is_ok());

    for replica in 0..2 {
        fleet.reconfigure(replica, &config(true)).await;
    }
    let second = fleet.album(1, "2015").await;
    assert!(success(&second) && second != first, "{second:?}");
    assert_eq!(fleet.album(0, "2015").await, second);
    fleet.close();
}

/// The answer arrives after the client was disabled: the waiting caller gets it, and it is not cached.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_arrives_for_a_disabled_client_does_not_stay_in_redis() {
    let config = |enabled| format!("{AMPLE}[clients.client-003]\nenabled = {enabled}\n");
    let fleet = Fleet::of(1, &config(true)).await;
    fleet.sts.script(Fault::Slow { delay_ms: 500 }.times(1).only("AssumeRole"));
    let (answer, ()) = tokio::join!(fleet.album(0, "2015"), async {
        wait_for_values(&fleet, ":lease", 1).await;
        fleet.reconfigure(0, &config(false)).await;
    });
    assert!(success(&answer), "{answer:?}");
    // It completes, and is removed.
    let forgets =
        "appserver_store_call_duration_seconds_count{operation=\"forget\",outcome=\"success\"} 1";
    until("it is taken back", async || fleet.admin(0, "/metrics").await.contains(forgets)).await;
    assert_eq!(fleet.redis.values(":token").await, []);
    assert_eq!(fleet.redis.values(":lease").await, []);
    fleet.close();
}

/// The name by which replicas share includes everything that STS sees. Six grants with the same policy differ in one
/// value each, and none gets another's token.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_a_token_only_if_sts_sees_no_difference() {
    let policy = repository("config/policies/one-album.json").display().to_string();
    let grants = [
        ("one", "role = \"oss-readonly\""),
        ("another-role", "role = \"oss-readwrite\""),
        ("another-duration", "role = \"oss-readonly\"\ndefault_duration_secs = 900"),
        ("an-external-id", "role = \"oss-readonly\"\nexternal_id = \"partner-7\""),
        ("a-source-identity", "role = \"oss-readonly\"\nsource_identity = \"someone\""),
        ("another-name", "role = \"oss-readonly\"\nsession_name = \"another\""),
    ];
    let mut config = AMPLE.to_owned();
    for (name, terms) in grants {
        config += &format!(
            "[grants.{name}]\n{terms}\npolicy = \"{policy}\"\n\
             [grants.{name}.parameters.album]\nkind = \"segment\"\nmax_length_bytes = 64\n"
        );
        if name != "another-name" {
            config = config.replace(terms, &format!("{terms}\nsession_name = \"shared\""));
        }
    }
    let names = grants.map(|(name, _)| format!("\"{name}\"")).join(", ");
    for client in ["client-002", "client-003"] {
        config += &format!("[clients.{client}]\ngrants = [{names}]\n");
    }
    let fleet = Fleet::of(2, &config).await;
    let mut tokens = BTreeSet::new();
    for (number, (name, _)) in grants.into_iter().enumerate() {
        let query = format!("Grant={name}&Parameters.album=2015");
        let first = fleet.token(number % 2, "client-002", &query).await;
        assert!(success(&first), "{name}: {first:?}");
        wait_for_values(&fleet, ":token", number + 1).await;
        // The other client's session is equal for STS.
        assert_eq!(fleet.token(1 - number % 2, "client-003", &query).await, first, "{name}");
        tokens.insert(first.1);
    }
    assert_eq!((tokens.len(), fleet.sts_calls()), (grants.len(), grants.len() as u64));
    fleet.close();
}

/// Tokens of 70 s that are handed out while 60 s are left, so that a refresh happens within 9 s.
const REFRESHED_SOON: &str = "[vend]\nmin_remaining_secs = 60\nstale_remaining_secs = 60\n";

/// Makes a replica fetch a token of 70 s; returns the token, and its name in Redis.
async fn fetched_for_a_while(fleet: &Fleet, album: &str) -> ((String, String), String) {
    let before = fleet.redis.values(":token").await;
    fleet.sts.script(Fault::ShortLived { seconds: 70 }.times(1).only("AssumeRole"));
    let token = fleet.album(0, album).await;
    assert!(success(&token), "{token:?}");
    let mut after = wait_for_values(fleet, ":token", before.len() + 1).await;
    after.retain(|(name, _)| before.iter().all(|(other, _)| other != name));
    (token, after.pop().unwrap().0)
}

/// Waits until a refresh of the first replica has this outcome.
async fn until_refreshed(fleet: &Fleet, outcome: &str) {
    let line = format!("appserver_vend_refreshes_total{{outcome=\"{outcome}\"}} 1");
    let ended = async || fleet.admin(0, "/metrics").await.lines().any(|other| other == line);
    until(&format!("a refresh ends in `{outcome}`"), ended).await;
}

/// A token that another replica has refreshed is adopted, one that another is refreshing is left to it, and any other
/// is refreshed for all.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_refreshed_ahead_by_one_replica_for_all() {
    let fleet = Fleet::of(2, &format!("{AMPLE}{REFRESHED_SOON}")).await;
    // As if the other replica had refreshed it already: its token lives longer.
    let (_, name) = fetched_for_a_while(&fleet, "renewed-elsewhere").await;
    fleet.redis.delete(&name).await;
    let renewed = fleet.album(1, "renewed-elsewhere").await;
    wait_for_values(&fleet, ":token", 1).await;
    let (_, name) = fetched_for_a_while(&fleet, "under-way").await;
    fleet.redis.put(&name.replace(":token", ":lease"), "another's", 19_000).await;
    let (old, _) = fetched_for_a_while(&fleet, "renewed-here").await;
    let calls = fleet.sts_calls();
    // A used token is refreshed.
    for album in ["renewed-elsewhere", "under-way", "renewed-here"] {
        assert!(success(&fleet.album(0, album).await));
    }
    for outcome in ["shared", "under_way", "success"] {
        until_refreshed(&fleet, outcome).await;
    }
    assert_eq!(fleet.sts_calls(), calls + 1, "one of the three was renewed here");
    assert_eq!(fleet.album(0, "renewed-elsewhere").await, renewed);
    let new = fleet.album(0, "renewed-here").await;
    assert!(success(&new) && new != old, "{new:?}");
    until("it is shared", async || fleet.album(1, "renewed-here").await == new).await;
    assert_eq!(fleet.sts_calls(), calls + 1);
    fleet.close();
}

/// Refreshing ahead spends its own part of the shared budget, and only if it delays no caller.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_not_refreshed_ahead_without_spare_budget() {
    // No budget is added until a future time.
    let states = [("level", "499", "refresh", "1000"), ("level", "1000", "refresh", "0.5")];
    join_all(states.map(|(level, calls, refresh, refresh_calls)| async move {
        let fleet = Fleet::of(1, &format!("{AMPLE}{REFRESHED_SOON}")).await;
        let (old, _) = fetched_for_a_while(&fleet, "2015").await;
        let mut connection = fleet.redis.connection().await;
        let mut state = redis::cmd("HSET");
        state
            .arg("appserver:2:{common}:budget")
            .arg(level)
            .arg(calls)
            .arg(refresh)
            .arg(refresh_calls);
        let () = state.arg("at").arg("900000000000").query_async(&mut connection).await.unwrap();
        assert_eq!(fleet.album(0, "2015").await, old);
        until_refreshed(&fleet, "no_budget").await;
        assert_eq!(fleet.sts_calls(), 1);
        fleet.close();
    }))
    .await;
}

/// Tokens for users of any issuer are removed everywhere once a grant distinguishes issuers.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_from_before_a_policy_names_issuers_are_removed_from_redis_too() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("photos.json");
    let plain = std::fs::read_to_string(repository("config/policies/my-photos.json")).unwrap();
    std::fs::write(&policy, &plain).unwrap();
    let config = format!("{AMPLE}[grants.my-photos]\npolicy = \"{}\"\n", policy.display());
    let fleet = Fleet::of(2, &config).await;
    let alice = demo_jwt("alice", fleet.clock.now());
    let first = fleet.user(0, &alice).await;
    assert_eq!(fleet.user(1, &alice).await, first);
    fleet.redis.until_there_is("token").await;

    std::fs::write(&policy, plain.replace("users/", "users/${issuer}/")).unwrap();
    for replica in 0..2 {
        fleet.reconfigure(replica, &config).await;
    }
    let gone = async {
        while !fleet.redis.values("token").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), gone).await.is_ok());
    let second = fleet.user(0, &alice).await;
    assert!(success(&second) && second != first, "{second:?}");
    assert_eq!(fleet.user(1, &alice).await, second);
    fleet.close();
}
