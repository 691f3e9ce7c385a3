//! Somebody else writes to the keys of the replicas' Redis. Whatever stands there, callers are served soon, the
//! connection stays, and what is not ours is replaced and counted.

use std::time::Duration;

use appserver_emulator::Fault;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, cmd};
use tokio::time::{Instant, timeout};

use crate::fleet::Fleet;
use crate::stage::until;

/// So much budget that no sound wait is felt, and a limit for each of whose requests Redis is asked.
const CONFIG: &str = "store.redis.timeout_ms = 5000\nstore.redis.lease_ms = 20000\n\
                      [vend.budget]\ncalls_per_second = 500\nburst = 50\n\
                      [clients.client-003.limit]\nrequests_per_second = 20\nburst = 1000\n";
/// Of a busy machine; what waits for what stands in Redis takes longer.
const SOON: Duration = Duration::from_secs(5);

const BUDGET: &str = "appserver:{common}:budget";
const WAITING: &str = "appserver:{common}:waiting";

/// What no field of ours holds, or what one holds at the end of what it can.
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

/// Replaces a key by one of another type than `ours`, of each in turn; the commands that do.
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

/// Asks a replica for a token that it does not have yet, and again where the limit is used up for a moment.
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

/// A counter of a replica's, all its labels together.
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
    let mut asked = 0;
    for (key, field, sound) in fields {
        for number in NUMBERS {
            asked += 1;
            let what = format!("{key} {field} {number:?}");
            let _: i64 = run(&mut redis, &["HSET", key, field, number]).await;
            is_served(&fleet, asked % 2, &format!("album-{asked}"), &what).await;
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
    let mut asked = 0;
    for (key, ours) in [(BUDGET, "hash"), (WAITING, "zset"), (limit, "hash")] {
        for foreign in of_other_types(key, ours) {
            asked += 1;
            let _: i64 = run(&mut redis, &["DEL", key]).await;
            let _: redis::Value = run(&mut redis, &foreign).await;
            is_served(&fleet, 0, &format!("album-{asked}"), &foreign.join(" ")).await;
            let kind: String = run(&mut redis, &["TYPE", key]).await;
            assert_eq!(kind, ours, "{foreign:?}");
        }
    }
    assert_eq!(is_replaced(&fleet, "budget").await, 10.0);
    assert_eq!(is_replaced(&fleet, "limit").await, 5.0);
    fleet.close();
}

/// Those who wait take turns, so a crowd that nobody has would make each replica's turns rare.
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
        // Of each poison one: the key's name is that of a token which was there before.
        for poison in 0..10 {
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
                // A lease like that may be another replica's, and is waited for.
                vec!["SET", &key, "", "PX", if kind == "lease" { "300" } else { "15000" }],
                vec!["SET", &key, &huge, "PX", "15000"],
                // An hour is no refusal's life, nor a lease's; a token has it, and this is none.
                vec!["SET", &key, "foreign", "EX", "3600"],
                vec!["SET", &key, "foreign", "PX", "9000000000000"],
            ]);
            let foreign = &poisons[poison];
            let shown = format!("{kind}: {:.60}", foreign.join(" "));
            let _: redis::Value = run(&mut redis, foreign).await;
            is_served(&fleet, 1, &album, &shown).await;
            // The flight lands when its caller has been answered already.
            let landed = async || {
                let ours = [("token", "string"), ("refusal", "none"), ("lease", "none")];
                let mut redis = fleet.redis.connection().await;
                let mut are_ours = true;
                for (kind, ours) in ours {
                    let key = token.replace(":token", &format!(":{kind}"));
                    are_ours &= run::<String>(&mut redis, &["TYPE", &key]).await == ours;
                }
                are_ours
            };
            until(&format!("{shown} is healed"), landed).await;
            let left: i64 = run(&mut redis, &["PTTL", token]).await;
            assert!((1..=3_600_000).contains(&left), "{shown}: {left}");
            let _: i64 = run(&mut redis, &["DEL", token]).await;
        }
    }
    assert!(is_replaced(&fleet, "read").await >= 20.0);
    for replica in [0, 1] {
        assert_eq!(counted(&fleet, replica, "appserver_panics_total").await, 0.0);
    }
    fleet.close();
}

/// A refusal is sealed with its end, so nobody can make it last.
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

/// What Redis promised is void when it is gone: nobody waits for the turns of a budget that is no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_turn_is_void_when_redis_is_gone() {
    let config = "[store.redis]\ntimeout_ms = 5000\nexpected_replicas = 1\n\
                  [vend.budget]\ncalls_per_second = 2\nburst = 1\n";
    let fleet = Fleet::of(2, config).await;
    let mut redis = fleet.redis.connection().await;
    let now: (i64, i64) = cmd("TIME").query_async(&mut redis).await.unwrap();
    // Sixty reservations, as of sixty replicas: sound, and half a minute.
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
        // Somebody notices.
        fleet.album(0, "noticed").await
    };
    let (answer, _) = tokio::join!(waiting, killed);
    assert_eq!(answer.0, "Success");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    fleet.close();
}
