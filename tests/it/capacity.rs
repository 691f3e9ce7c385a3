//! What `appserver plan-capacity` counts with, against a real redis-server.

use appserver_emulator::demo_jwt;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use crate::binary::run;
use crate::fleet::Fleet;
use crate::redis_server::RedisServer;
use crate::stage::{TIME_LIMIT, repository};

/// Commands of the script that shares the result of a call.
const SHARING: u32 = 5;

/// Every command that a redis-server executes, from now on.
struct Monitor {
    lines: Lines<BufReader<TcpStream>>,
    redis: redis::aio::MultiplexedConnection,
}

impl Monitor {
    async fn of(redis: &RedisServer) -> Self {
        let redis_connection = redis.connection().await;
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).await.unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "+OK");
        Self { lines, redis: redis_connection }
    }

    /// The scripts of tokens, the budget and limits since the last call, and no others, such as probes.
    async fn scripts(&mut self) -> Vec<(String, u32)> {
        let mut scripts = self.all().await;
        scripts.retain(|(kind, _)| ["token", "budget", "limit"].contains(&kind.as_str()));
        scripts
    }

    /// The same until so many results of calls to STS have been shared, which is after the answer to the caller.
    async fn scripts_until_shared(&mut self, results: usize) -> Vec<(String, u32)> {
        let mut scripts = Vec::new();
        let shared = async {
            while scripts.iter().filter(|(kind, n)| kind == "token" && *n == SHARING).count()
                < results
            {
                scripts.extend(self.scripts().await);
            }
        };
        let shared = tokio::time::timeout(TIME_LIMIT, shared).await;
        assert!(shared.is_ok(), "not shared after {TIME_LIMIT:?}: {scripts:?}");
        scripts
    }

    /// The kind of each script's first key, or `eval`, and the number of its commands, its own included.
    async fn all(&mut self) -> Vec<(String, u32)> {
        const END: &str = "the end of what is counted";
        let () = redis::cmd("ECHO").arg(END).query_async(&mut self.redis).await.unwrap();
        let mut scripts: Vec<(String, u32)> = Vec::new();
        loop {
            let line = tokio::time::timeout(TIME_LIMIT, self.lines.next_line()).await;
            let line = line.expect("redis-server answers").unwrap().unwrap();
            if line.contains(END) {
                break;
            }
            let words: Vec<_> = line.split('"').skip(1).step_by(2).collect();
            if line.contains(" lua] ") {
                scripts.last_mut().expect("a script was called").1 += 1;
            } else {
                let first_key = words.get(3).copied().unwrap_or_default();
                let kind = first_key.rsplit(':').next().unwrap_or_default();
                let kind = if words.first() == Some(&"EVAL") { "eval" } else { kind };
                scripts.push((kind.to_owned(), 1));
            }
        }
        scripts
    }
}

fn sum(scripts: &[(String, u32)]) -> u32 {
    scripts.iter().map(|(_, commands)| commands).sum()
}

/// The commands of a script of the budget for a refresh.
async fn commands_of_a_refresh_in_the_budget(redis: &RedisServer) -> u32 {
    let folder = repository("src/store/scripts");
    let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let mut monitor = Monitor::of(redis).await;
    let mut eval = redis::cmd("EVAL");
    eval.arg(text("untrusted.lua") + &text("budget.lua")).arg(2).arg("a:budget").arg("a:waiting");
    eval.arg("refresh").arg(1).arg("replica");
    for term in ["90", "10", "18", "18", "0.5", "0.1", "0.02", "1", "64", "64"] {
        eval.arg(term);
    }
    let taken: Vec<i64> = eval.query_async(&mut redis.connection().await).await.unwrap();
    assert_eq!(taken[0], 1, "the refresh was paid");
    let scripts = monitor.all().await;
    scripts.iter().find(|(kind, _)| kind == "eval").expect("it was called").1
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_redis_that_a_plan_counts_with_are_those_of_a_real_one() {
    let config = "[clients.photo-app.subject_limit]\nrequests_per_minute = 60\nburst = 20\n";
    let ample = "store.redis.timeout_ms = 5000\nstore.redis.lease_ms = 60000\n";
    let fleet = Fleet::of(2, &format!("{ample}{config}")).await;
    let mut monitor = Monitor::of(&fleet.redis).await;

    // The first call of each script loads it.
    assert_eq!(fleet.album(0, "2014").await.0, "Success");
    assert_eq!(fleet.user(0, &demo_jwt("bob", fleet.clock.now())).await.0, "Success");
    monitor.scripts_until_shared(2).await;

    assert_eq!(fleet.album(0, "2015").await.0, "Success");
    let new_token = monitor.scripts_until_shared(1).await;
    let kinds: Vec<_> = new_token.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["token", "budget", "token", "token"], "{new_token:?}");

    assert_eq!(fleet.album(1, "2015").await.0, "Success");
    let other_replica = monitor.scripts().await;

    let jwt = demo_jwt("alice", fleet.clock.now());
    assert_eq!(fleet.user(0, &jwt).await.0, "Success");
    let mut limited = monitor.scripts().await;
    limited.retain(|(kind, _)| kind == "limit");

    let for_refresh = commands_of_a_refresh_in_the_budget(&fleet.redis).await;
    let refreshed = sum(&new_token) - new_token[1].1 + for_refresh;

    let plan = run(&["plan-capacity", "--users", "1000000", "--json"], &[]).stdout;
    let plan: Value = serde_json::from_slice(&plan).unwrap();
    let counted = |name: &str| plan["Model"][name].as_f64().unwrap();
    for (name, real) in [
        ("RedisCommandsPerNewToken", sum(&new_token)),
        ("RedisCommandsPerRefreshedToken", refreshed),
        ("RedisCommandsPerTokenOfAnotherReplica", sum(&other_replica)),
        ("RedisCommandsPerLimitedRequest", sum(&limited)),
    ] {
        assert_eq!(counted(name), f64::from(real), "{name}");
    }
    fleet.close();
}
