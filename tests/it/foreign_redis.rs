//! Another program writes to the keys of the replicas in Redis. With any value there, callers are served soon, the
//! connection stays open, and foreign values are replaced and counted.

use std::time::Duration;

use appserver_emulator::Fault;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, cmd};
use tokio::time::{Instant, timeout};

use crate::fleet::Fleet;
use crate::stage::until;

/// A budget without noticeable waits, and a limit that asks Redis for each request.
const CONFIG: &str = "store.redis.timeout_ms = 5000\nstore.redis.lease_ms = 20000\n\
                      [vend.budget]\ncalls_per_second = 500\nburst = 50\n\
                      [clients.client-003.limit]\nrequests_per_second = 20\nburst = 1000\n";
/// The time limit on a busy machine; a wait caused by a foreign value would take longer.
const SOON: Duration = Duration::from_secs(5);

const BUDGET: &str = "appserver:2:{common}:budget";
const WAITING: &str = "appserver:2:{common}:waiting";

/// Invalid values of fields, and extreme ones.
const NUMBERS: [&str; 18] = [
    "",
    "abc",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "0",
    "-0",
    "-1",
    "-1e9",
    "-9e12",
    "1e300",
    "-1e300",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999999999",
    "0x7fffffff",
    "1e-300",
];

async fn run<T: FromRedisValue>(connection: &mut MultiplexedConnection, words: &[&str]) -> T {
    let (name, arguments) = words.split_first().unwrap();
    let mut command: Cmd = cmd(name);
    command.arg(arguments);
    command.query_async(connection).await.unwrap()
}

/// The commands that replace a key by one of each type other than `ours`.
fn of_other_types<'a>(key: &'a str, ours: &str) -> Vec<Vec<&'a str>> {
    [
        ("string", vec!["SET", key, "foreign"]),
        ("list", vec!["RPUSH", key, "foreign"]),
        ("set", vec!["SADD", key, "foreign"]),
        ("zset", vec!["ZADD", key, "1", "foreign"]),
        ("hash", vec!["HSET", key, "level", "foreign"]),
        ("stream", vec!["XADD", key, "*", "level", "1"]),
    ]
    .into_iter()
    .filter(|(kind, _)| *kind != ours)
    .map(|(_, command)| command)
    .collect()
}

/// Requests a token that the replica does not have yet, and again while the limit is used up.
async fn is_served(fleet: &Fleet, replica: usize, album: &str, what: &str) {
    let answer = async {
        loop {
            let answer = fleet.album(replica, album).await;
            if answer.0 != "Throttled.Client" {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let answer = timeout(SOON, answer).await;
    let (code, id) = answer.unwrap_or_else(|_| panic!("{what}: no answer within {SOON:?}"));
    assert!(code == "Success" && id.starts_with("STS."), "{what}: {code}");
    assert_eq!(fleet.degraded().await, [false; 2], "{what}: the connection was dropped");
}

/// A counter of a replica, summed over its labels.
async fn counted(fleet: &Fleet, replica: usize, name: &str) -> f64 {
    let metrics = fleet.admin(replica, "/metrics").await;
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

async fn is_replaced(fleet: &Fleet, operation: &str) -> f64 {
    let name = format!("appserver_store_replaced_total{{operation=\"{operation}\"}}");
    counted(fleet, 0, &name).await + counted(fleet, 1, &name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_numbers_in_the_budget_or_a_limit_stop_no_replica_and_are_replaced() {
    let fleet = Fleet::of(2, CONFIG).await;
    let mut redis = fleet.redis.connection().await;
    is_served(&fleet, 0, "first", "as it is").await;
    let [limit] = &run::<Vec<String>>(&mut redis, &["KEYS", "*:limit"]).await[..] else {
        panic!("not one limit")
    };
    let fields = [
        (BUDGET, "level", -320.0..=50.0),
        (BUDGET, "rate", 50.0..=500.0),
        (BUDGET, "refresh", 0.0..=500.0),
        (BUDGET, "at", 1e9..=1e10),
        (BUDGET, "cut", 0.0..=1e12),
        (limit, "level", -0.01..=1000.0),
        (limit, "at", 1e9..=1e10),
    ];
    let mut requests = 0;
    for (key, field, sound) in fields {
        for number in NUMBERS {
            requests += 1;
            let what = format!("{key} {field} {number:?}");
            let _: i64 = run(&mut redis, &["HSET", key, field, number]).await;
            is_served(&fleet, requests % 2, &format!("album-{requests}"), &what).await;
            let stored: String = run(&mut redis, &["HGET", key, field]).await;
            let stored: f64 = stored.parse().unwrap();
            assert!(sound.contains(&stored), "{what} became {stored}");
        }
    }
    for operation in ["budget", "limit"] {
        assert!(is_replaced(&fleet, operation).await >= 10.0, "{operation}");
    }
    for replica in [0, 1] {
        assert_eq!(counted(&fleet, replica, "appserver_panics_total").await, 0.0);
    }
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_budget_or_a_limit_with_another_type_is_replaced() {
    let fleet = Fleet::of(2, CONFIG).await;
    let mut redis = fleet.redis.connection().await;
    is_served(&fleet, 0, "first", "as it is").await;
    let [limit] = &run::<Vec<String>>(&mut redis, &["KEYS", "*:limit"]).await[..] else {
        panic!("not one limit")
    };
    let mut requests = 0;
    for (key, ours) in [(BUDGET, "hash"), (WAITING, "zset"), (limit, "hash")] {
        for foreign in of_other_types(key, ours) {
            requests += 1;
            let _: i64 = run(&mut redis, &["DEL", key]).await;
            let _: redis::Value = run(&mut redis, &foreign).await;
            is_served(&fleet, 0, &format!("album-{requests}"), &foreign.join(" ")).await;
            let kind: String = run(&mut redis, &["TYPE", key]).await;
            assert_eq!(kind, ours, "{foreign:?}");
        }
    }
    assert_eq!(is_replaced(&fleet, "budget").await, 10.0);
    assert_eq!(is_replaced(&fleet, "limit").await, 5.0);
    fleet.close();
}

/// Waiting replicas take turns, so invented replicas would make the turns of the real ones rare.
#[tokio::test(flavor = "multi_thread")]
async fn invented_replicas_do_not_slow_the_real_ones() {
    let fleet = Fleet::of(2, CONFIG).await;
    let mut redis = fleet.redis.connection().await;
    for (number, score) in ["+inf", "1e300", "99999999999", "-inf"].into_iter().enumerate() {
        let mut crowd = cmd("ZADD");
        crowd.arg(WAITING);
        for member in 0..20_000 {
            crowd.arg(score).arg(format!("{number}-{member}"));
        }
        let _: i64 = crowd.query_async(&mut redis).await.unwrap();
        is_served(&fleet, 0, &format!("one-{number}"), score).await;
        is_served(&fleet, 0, &format!("two-{number}"), score).await;
        let waiting: i64 = run(&mut redis, &["ZCARD", WAITING]).await;
        assert!(waiting <= 2, "{score}: {waiting}");
    }
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_foreign_values_in_redis_is_fetched_and_shared_again() {
    let fleet = Fleet::of(2, CONFIG).await;
    let mut redis = fleet.redis.connection().await;
    let huge = "x".repeat(2 << 20);
    let mut number = 0;
    for kind in ["token", "refusal", "lease"] {
        // One of each kind: the key's name is that of an earlier token.
        for index in 0..10 {
            number += 1;
            let album = format!("album-{number}");
            is_served(&fleet, 0, &album, "as it is").await;
            fleet.redis.until_there_is("token").await;
            let [token] = &run::<Vec<String>>(&mut redis, &["KEYS", "*:token"]).await[..] else {
                panic!("not one token")
            };
            let key = token.replace(":token", &format!(":{kind}"));
            let _: i64 = run(&mut redis, &["DEL", token, &key]).await;
            let mut poisons = of_other_types(&key, "string");
            poisons.extend([
                vec!["SET", &key, "foreign"],
                // Such a lease may be another replica's, so it is waited for.
                vec!["SET", &key, "", "PX", if kind == "lease" { "300" } else { "15000" }],
                vec!["SET", &key, &huge, "PX", "15000"],
                // No refusal and no lease lives for an hour; a token does, and this is none.
                vec!["SET", &key, "foreign", "EX", "3600"],
                vec!["SET", &key, "foreign", "PX", "9000000000000"],
            ]);
            let foreign = &poisons[index];
            let case = format!("{kind}: {:.60}", foreign.join(" "));
            let _: redis::Value = run(&mut redis, foreign).await;
            is_served(&fleet, 1, &album, &case).await;
            // The call completes after its caller has been answered.
            let completed = async || {
                let ours = [("token", "string"), ("refusal", "none"), ("lease", "none")];
                let mut redis = fleet.redis.connection().await;
                let mut are_ours = true;
                for (kind, ours) in ours {
                    let key = token.replace(":token", &format!(":{kind}"));
                    are_ours &= run::<String>(&mut redis, &["TYPE", &key]).await == ours;
                }
                are_ours
            };
            until(&format!("{case} is healed"), completed).await;
            let left: i64 = run(&mut redis, &["PTTL", token]).await;
            assert!((1..=3_600_000).contains(&left), "{case}: {left}");
            let _: i64 = run(&mut redis, &["DEL", token]).await;
        }
    }
    assert!(is_replaced(&fleet, "read").await >= 20.0);
    for replica in [0, 1] {
        assert_eq!(counted(&fleet, replica, "appserver_panics_total").await, 0.0);
    }
    fleet.close();
}

/// A refusal is encrypted together with its expiry, so its lifetime cannot be extended.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_refusal_that_is_kept_or_put_back_is_ignored() {
    let fleet = Fleet::of(2, CONFIG).await;
    let mut redis = fleet.redis.connection().await;
    for (album, keep, later) in [
        ("persisted", &["PERSIST"][..], 0),
        ("prolonged", &["PEXPIRE", "3600000"], 0),
        ("put-back", &["PEXPIRE", "59000"], 61),
    ] {
        let (status, message) = (403.try_into().unwrap(), String::new());
        let code = "NoPermission".to_owned();
        fleet.sts.script(Fault::Error { status, code, message }.times(1).only("AssumeRole"));
        assert_eq!(fleet.album(0, album).await.0, "Upstream.Refused");
        fleet.redis.until_there_is(":refusal").await;
        let (key, _) = fleet.redis.values(":refusal").await.pop().unwrap();
        let mut words = vec![keep[0], key.as_str()];
        words.extend(&keep[1..]);
        let _: i64 = run(&mut redis, &words).await;
        fleet.clock.advance(chrono::TimeDelta::seconds(later));
        is_served(&fleet, 1, album, album).await;
        let _: i64 = run(&mut redis, &["DEL", &key]).await;
    }
    fleet.close();
}

/// Reservations are void when Redis is gone: no caller waits for turns of the lost budget.
#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_turn_is_void_when_redis_is_gone() {
    let config = "[store.redis]\ntimeout_ms = 5000\nexpected_replicas = 1\n\
                  [vend.budget]\ncalls_per_second = 2\nburst = 1\n";
    let fleet = Fleet::of(2, config).await;
    let mut redis = fleet.redis.connection().await;
    let now: (i64, i64) = cmd("TIME").query_async(&mut redis).await.unwrap();
    // Sixty valid reservations, as of sixty replicas: half a minute.
    let (at, level) = (now.0.to_string(), "-60");
    let state =
        ["HSET", BUDGET, "level", level, "rate", "2", "refresh", "0", "at", &at, "cut", "0"];
    let _: i64 = run(&mut redis, &state).await;
    let began = Instant::now();
    let waiting = fleet.album(0, "waiting");
    let killed = async {
        let reserved = async || {
            let mut redis = fleet.redis.connection().await;
            run::<i64>(&mut redis, &["ZCARD", WAITING]).await > 0
        };
        until("a turn is reserved", reserved).await;
        fleet.redis.kill();
        // A replica detects it.
        fleet.album(0, "noticed").await
    };
    let (answer, _) = tokio::join!(waiting, killed);
    assert_eq!(answer.0, "Success");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    fleet.close();
}
