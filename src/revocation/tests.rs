//! The shared list against the real script in a redis-server, which is restored, loses keys and is written to by others.

use std::collections::HashMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::shared::{Polled, SharedRevocations};
use super::{Revocation, RevocationList, RevokeOutcome, Revoked, RevokedKind};
use crate::seal::SealKey;
use crate::store::{Redis, RedisSettings, RedisTopology, Store, StoreSettings};
use crate::telemetry::StoreMetrics;
use appserver_domain::clock::Clock;

/// A redis-server of a test's own. Stopped on drop.
struct Server {
    child: Child,
    port: u16,
    prefixes: AtomicU32,
}

impl Server {
    async fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"]);
        command.args(["--port", &port.to_string()]).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("redis-server is installed: `apt-get install redis-server`");
        let server = Self { child, port, prefixes: AtomicU32::new(0) };
        for _ in 0..500 {
            if server.try_connect().await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("redis-server does not answer");
    }

    async fn try_connect(&self) -> ::redis::RedisResult<MultiplexedConnection> {
        let client = ::redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        client.get_multiplexed_async_connection().await
    }

    /// An empty list.
    async fn list(&self) -> List {
        let prefix = format!("test-{}", self.prefixes.fetch_add(1, Ordering::Relaxed));
        let store = self.store(&prefix, 1).await;
        let raw = self.try_connect().await.unwrap();
        let (start, commands_ahead) = (Clock::system().now(), TimeDelta::zero());
        List { store, raw, prefix, start, commands_ahead, replicas: Vec::new() }
    }

    async fn store(&self, prefix: &str, key: u8) -> Store {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let settings = RedisSettings {
            topology: RedisTopology::Single(url.try_into().unwrap()),
            username: None,
            password: None,
            sentinel_password: None,
            key_prefix: prefix.parse().unwrap(),
            seal_keys: vec![SealKey::for_tests(key)],
            expected_replicas: std::num::NonZeroU32::MIN,
            timeout: Duration::from_secs(20),
            lease: Duration::from_secs(1),
        };
        let settings = StoreSettings::Redis(Box::new(settings));
        Store::open(settings, Clock::system(), StoreMetrics::new()).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One list in Redis, and replicas that follow it.
struct List {
    store: Store,
    raw: MultiplexedConnection,
    prefix: String,
    start: DateTime<Utc>,
    /// How far the clock of commands is ahead.
    commands_ahead: TimeDelta,
    replicas: Vec<Replica>,
}

#[derive(Default)]
struct Replica {
    shared: SharedRevocations,
    active: RevocationList,
    /// How far its clock is ahead.
    ahead: TimeDelta,
}

/// Both keys as they were; `None` for a key that was not there.
type Snapshot = [Option<Vec<u8>>; 2];

fn user(name: &str) -> Revoked {
    Revoked::parse(RevokedKind::User, &format!("company/{name}")).unwrap()
}

impl List {
    fn redis(&self) -> &Redis {
        self.store.shared().unwrap()
    }

    fn keys(&self) -> [String; 2] {
        ["revocations", "revocations-until"]
            .map(|kind| format!("{}:2:{{common}}:{kind}", self.prefix))
    }

    async fn revoke(&self, name: &str, hours: i64, reason: &str) -> RevokeOutcome {
        let until = self.start + TimeDelta::hours(hours);
        let reason = reason.parse().unwrap();
        let revocation = Revocation::new(user(name), until, reason, self.start).unwrap();
        let now = self.start + self.commands_ahead;
        SharedRevocations::revoke(self.redis(), &revocation, now).await.unwrap()
    }

    async fn undo(&self, name: &str) -> bool {
        let now = self.start + self.commands_ahead;
        SharedRevocations::undo(self.redis(), &user(name), now).await.unwrap()
    }

    async fn look(&mut self, replica: usize) {
        let redis = self.store.shared().unwrap();
        let Replica { shared, active, ahead } = &mut self.replicas[replica];
        match shared.poll(redis, self.start + *ahead).await {
            Polled::Changed(list) => *active = list,
            Polled::Unchanged => {}
            Polled::Unreachable => panic!("Redis does not answer"),
        }
    }

    /// All replicas look often enough for all to know what one knows.
    async fn settle(&mut self) {
        for _ in 0..3 {
            for replica in 0..self.replicas.len() {
                self.look(replica).await;
            }
        }
    }

    /// For how many hours a replica refuses this user, and why.
    fn refused(&self, replica: usize, name: &str) -> Option<(i64, String)> {
        let found = self.replicas[replica].active.get(&user(name))?;
        Some(((found.until() - self.start).num_hours(), found.reason().to_string()))
    }

    fn hours(&self, name: &str) -> Vec<Option<i64>> {
        let replicas = 0..self.replicas.len();
        replicas.map(|replica| self.refused(replica, name).map(|(hours, _)| hours)).collect()
    }

    async fn run<T: ::redis::FromRedisValue>(&mut self, command: &str, arguments: &[&str]) -> T {
        let mut command = ::redis::cmd(command);
        command.arg(arguments);
        command.query_async(&mut self.raw).await.unwrap()
    }

    async fn snapshot(&mut self) -> Snapshot {
        let [values, times] = self.keys();
        [self.run("DUMP", &[&values]).await, self.run("DUMP", &[&times]).await]
    }

    async fn restore(&mut self, snapshot: &Snapshot) {
        for (key, dump) in self.keys().iter().zip(snapshot) {
            let () = self.run("DEL", &[key]).await;
            if let Some(dump) = dump {
                let mut restore = ::redis::cmd("RESTORE");
                restore.arg(key).arg(0).arg(dump.as_slice());
                let () = restore.query_async(&mut self.raw).await.unwrap();
            }
        }
    }
}

/// A list that two replicas follow.
async fn list_of_two(server: &Server) -> List {
    let mut list = server.list().await;
    list.replicas.resize_with(2, Replica::default);
    list
}

#[tokio::test]
async fn an_extended_revocation_survives_a_redis_that_is_restored_from_before() {
    let server = Server::start().await;
    let mut list = list_of_two(&server).await;
    list.revoke("alice", 1, "").await;
    list.settle().await;
    let before = list.snapshot().await;
    assert_eq!(list.revoke("alice", 12, "").await, RevokeOutcome::Done);
    list.settle().await;
    list.restore(&before).await;
    list.settle().await;
    assert_eq!(list.hours("alice"), [Some(12); 2]);
    // It is in Redis, too: a replica that starts now has it.
    list.replicas.push(Replica::default());
    list.look(2).await;
    assert_eq!(list.hours("alice"), [Some(12); 3]);
    assert!(matches!(list.revoke("alice", 2, "").await, RevokeOutcome::WouldShorten(_)));
}

/// A retry of another command, the other side of a partition with a change of its own, a version that somebody sets to that of a
/// later list, and rows that end.
#[tokio::test]
async fn a_restored_redis_that_changes_before_the_replicas_look_lifts_nothing() {
    let server = Server::start().await;
    let mut list = list_of_two(&server).await;
    let [values, times] = list.keys();
    list.revoke("base", 12, "").await;
    list.settle().await;
    let before = list.snapshot().await;
    list.revoke("thief", 12, "").await;
    list.settle().await;
    let (now, version): (i64, String) =
        (list.start.timestamp_millis(), list.run("HGET", &[&values, "version"]).await);
    for change in ["another command", "equal versions", "many ended rows", "a lost set"] {
        list.restore(&before).await;
        match change {
            "another command" => {}
            "equal versions" => {
                let () = list.run("HSET", &[&values, "version", &version]).await;
            }
            "many ended rows" => {
                for row in 0..1_100 {
                    let score = (now - 10_000).to_string();
                    let () = list.run("ZADD", &[&times, &score, &format!("ended-{row}")]).await;
                }
            }
            _ => {
                let () = list.run("DEL", &[&times]).await;
            }
        }
        assert_eq!(list.revoke("second", 12, change).await, RevokeOutcome::Done);
        list.settle().await;
        for name in ["base", "thief", "second"] {
            assert_eq!(list.hours(name), [Some(12); 2], "{change}: {name}");
        }
        list.replicas[1] = Replica::default();
        list.settle().await;
        assert_eq!(list.hours("thief"), [Some(12); 2], "{change}");
    }
    let left: usize = list.run("ZCARD", &[&times]).await;
    assert!(left < 110, "ended rows leave: {left}");
}

#[tokio::test]
async fn rows_that_end_while_a_long_list_is_read_hide_no_other() {
    let server = Server::start().await;
    let list = server.list().await;
    let [_, times] = list.keys();
    for number in 0..1_001 {
        list.revoke(&format!("user-{number}"), 1, "").await;
    }
    let nobody = crate::store::ReaderMark::default();
    let read = |offset| list.redis().read_revocations("", offset, &nobody, &nobody);
    let first = read(0).await.unwrap();
    assert_eq!((first.taken, first.is_last), (1_000, false));
    // Five of them have ended by the time of the second part.
    let mut raw = list.raw.clone();
    for value in &first.values[..5] {
        let mut end = ::redis::cmd("ZADD");
        end.arg(&times).arg(1).arg(&value.id);
        let () = end.query_async(&mut raw).await.unwrap();
    }
    let second = read(first.taken).await.unwrap();
    assert_eq!((second.taken, second.is_last), (1, true));
    assert!(first.values.iter().all(|value| value.id != second.values[0].id));
}

/// The clock of Redis may be ahead, or that of the machine with the command was.
#[tokio::test]
async fn a_revocation_that_has_ended_by_a_wrong_clock_only_is_enforced_by_a_replica_that_starts() {
    let server = Server::start().await;
    let mut list = list_of_two(&server).await;
    let [_, times] = list.keys();
    list.revoke("alice", 12, "").await;
    list.settle().await;
    let id = list.redis().revocation_id(&["revocation", "user", "company/alice"]);
    for is_removed in [false, true] {
        let () = list.run("ZADD", &[&times, "1", &id]).await;
        if is_removed {
            // What has ended makes space for this one.
            list.revoke("bob", 12, "").await;
        }
        list.replicas[1] = Replica::default();
        list.settle().await;
        assert_eq!(list.hours("alice"), [Some(12); 2], "removed: {is_removed}");
    }
}

#[tokio::test]
async fn a_version_that_somebody_else_wrote_hides_no_revocation() {
    let server = Server::start().await;
    let mut list = list_of_two(&server).await;
    let [values, _] = list.keys();
    list.revoke("alice", 1, "").await;
    let versions = ["9007199254740992", "inf", "nan", "-5", "", &"9".repeat(5_000)];
    for (number, version) in versions.into_iter().enumerate() {
        let () = list.run("HSET", &[&values, "version", version]).await;
        list.settle().await;
        let name = format!("user-{number}");
        assert_eq!(list.revoke(&name, 1, "").await, RevokeOutcome::Done);
        list.settle().await;
        assert_eq!(list.hours(&name), [Some(1); 2], "{number}");
    }
}

#[tokio::test]
async fn only_replicas_that_have_read_within_seconds_are_counted() {
    let server = Server::start().await;
    let mut list = list_of_two(&server).await;
    list.settle().await;
    let own = list.redis().replica().to_owned();
    let readers = format!("{}:2:{{common}}:revocations-readers", list.prefix);
    for (score, mark) in [("inf", "a 0 k p"), ("1e15", "b 0 k p"), ("0", "c 0 k p")] {
        let () = list.run("ZADD", &[&readers, score, mark]).await;
    }
    list.look(0).await;
    let read = list.redis().revocation_readers().await.unwrap();
    assert_eq!(read.replicas.keys().collect::<Vec<_>>(), [&own]);
}

/// What was taken back stays so, although Redis is restored from before or has lost the times alone.
#[tokio::test]
async fn what_was_taken_back_is_not_put_back_by_a_replica_or_an_older_redis() {
    let server = Server::start().await;
    let mut list = list_of_two(&server).await;
    let [values, times] = list.keys();
    for lost in [&times, &values] {
        list.revoke("alice", 12, "").await;
        list.settle().await;
        let () = list.run("DEL", &[lost]).await;
        if lost == &values {
            // The command waits until the replicas have put it back.
            assert!(!list.undo("alice").await);
            list.look(0).await;
        }
        assert!(list.undo("alice").await);
        list.settle().await;
        assert_eq!(list.hours("alice"), [None, None]);
    }
    list.revoke("bob", 12, "").await;
    list.look(0).await;
    let before = list.snapshot().await;
    assert!(list.undo("bob").await);
    assert!(!list.undo("bob").await);
    list.look(0).await;
    list.restore(&before).await;
    // This one has read neither the revocation nor that it was taken back.
    list.look(1).await;
    assert_eq!(list.hours("bob"), [None, Some(12)]);
    list.settle().await;
    assert_eq!(list.hours("bob"), [None, None]);
    // Whatever lies before it, a new revocation counts, and a shorter one is shorter.
    list.revoke("bob", 1, "").await;
    list.settle().await;
    list.restore(&before).await;
    list.settle().await;
    assert_eq!(list.hours("bob"), [Some(1); 2]);
}

#[tokio::test]
async fn a_value_that_cannot_be_decrypted_is_reported_unless_it_has_ended() {
    let server = Server::start().await;
    let mut list = list_of_two(&server).await;
    let [_, times] = list.keys();
    let unreadable = async |list: &List| {
        SharedRevocations::all(list.redis(), list.start).await.unwrap().unreadable
    };
    let own = std::mem::replace(&mut list.store, server.store(&list.prefix, 2).await);
    list.revoke("alice", 1, "").await;
    list.revoke("bob", 1, "").await;
    let other = std::mem::replace(&mut list.store, own);
    assert_eq!(unreadable(&list).await, 2);
    let own = std::mem::replace(&mut list.store, other);
    // That somebody was taken back cannot be known either without the key.
    assert!(list.undo("bob").await);
    let other = std::mem::replace(&mut list.store, own);
    assert_eq!(unreadable(&list).await, 2);
    // Where no replica can decrypt it, the command with its key removes it.
    let own = std::mem::replace(&mut list.store, other);
    let remove = async |list: &List, name| {
        SharedRevocations::remove(list.redis(), &user(name), list.start).await.unwrap()
    };
    assert!(!remove(&list, "bob").await && remove(&list, "alice").await);
    assert!(!remove(&list, "alice").await);
    list.store = own;
    assert_eq!(unreadable(&list).await, 1);
    let ids: Vec<String> = list.run("ZRANGE", &[&times, "0", "-1"]).await;
    for id in &ids {
        let () = list.run("ZADD", &[&times, "1", id]).await;
    }
    assert_eq!(unreadable(&list).await, 0);
}

/// Whatever the first byte of a damaged value is, and whatever time Redis has for it.
#[tokio::test]
async fn a_damaged_value_is_reported_by_all_and_is_taken_back_by_the_command() {
    let server = Server::start().await;
    let mut list = list_of_two(&server).await;
    let [values, times] = list.keys();
    let id = list.redis().revocation_id(&["revocation", "user", "company/alice"]);
    for damaged in ["-damaged by somebody", "+damaged by somebody", "-", "\u{2}damaged", "{}"] {
        list.revoke("alice", 12, "").await;
        list.settle().await;
        let () = list.run("HSET", &[&values, &id, damaged, "version", damaged]).await;
        list.replicas[1] = Replica::default();
        for is_ended in [false, true] {
            if is_ended {
                let () = list.run("ZADD", &[&times, "1", &id]).await;
                let () = list.run("HSET", &[&values, "version", "another"]).await;
            }
            list.settle().await;
            let unreadable = list.replicas.iter().map(|one| one.shared.unreadable(list.start));
            // The replica that knows the revocation knows its end.
            let expected = if is_ended { [1, 0] } else { [1, 1] };
            assert_eq!(unreadable.collect::<Vec<_>>(), expected, "{damaged:?} {is_ended}");
            assert_eq!(list.hours("alice"), [Some(12), None], "{damaged:?}");
        }
        // It may be one that the replicas know: the command repeats it until none has it.
        for _ in 0..2 {
            list.undo("alice").await;
            list.settle().await;
        }
        assert_eq!(list.hours("alice"), [None, None], "{damaged:?}");
        assert!(
            list.replicas.iter().all(|one| one.shared.unreadable(list.start) == 0),
            "{damaged:?}"
        );
    }
}

/// The clock that numbered the revocation that was taken back was ahead.
#[tokio::test]
async fn what_was_taken_back_by_a_clock_that_was_ahead_lifts_no_later_revocation() {
    let server = Server::start().await;
    let mut list = list_of_two(&server).await;
    list.commands_ahead = TimeDelta::hours(2);
    list.revoke("alice", 12, "").await;
    assert!(list.undo("alice").await);
    let before = list.snapshot().await;
    list.commands_ahead = TimeDelta::zero();
    list.restore(&[None, None]).await;
    list.revoke("alice", 1, "").await;
    list.settle().await;
    list.restore(&before).await;
    list.settle().await;
    list.replicas.push(Replica::default());
    list.settle().await;
    assert_eq!(list.hours("alice"), [Some(1); 3]);
    assert!(list.undo("alice").await);
    list.settle().await;
    assert_eq!(list.hours("alice"), [None; 3]);
}

/// What has ended by it is kept: Redis may lose its data meanwhile, and may have another list when the clock is right again.
#[tokio::test]
async fn a_replica_whose_clock_is_ahead_for_a_while_forgets_nothing() {
    let server = Server::start().await;
    let mut list = list_of_two(&server).await;
    for is_restarted in [false, true] {
        list.revoke("alice", 1, "").await;
        list.revoke("bob", 1, "").await;
        list.undo("bob").await;
        list.settle().await;
        let [values, times] = list.keys();
        for replica in &mut list.replicas {
            replica.ahead = TimeDelta::days(400);
        }
        if is_restarted {
            list.replicas[0] = Replica { ahead: TimeDelta::days(400), ..Replica::default() };
        }
        list.settle().await;
        let () = list.run("DEL", &[&values, &times]).await;
        list.revoke("carol", 1_000, "").await;
        list.settle().await;
        for replica in &mut list.replicas {
            replica.ahead = TimeDelta::zero();
        }
        list.settle().await;
        list.replicas.push(Replica::default());
        list.look(2).await;
        assert_eq!(list.hours("alice"), [Some(1); 3], "restarted: {is_restarted}");
        assert_eq!(list.hours("bob"), [None; 3], "restarted: {is_restarted}");
        list.replicas.truncate(2);
    }
}

/// What happens to the list, its replicas and its Redis.
#[derive(Clone, Debug)]
enum Event {
    Revoke {
        name: usize,
        hours: i64,
    },
    Undo {
        name: usize,
    },
    Look {
        replica: usize,
    },
    /// It forgets what it knows.
    Restart {
        replica: usize,
    },
    Snapshot,
    Restore,
    Lose {
        key: usize,
    },
    /// The clock of the commands is ahead, or right again.
    Commands {
        hours_ahead: i64,
    },
    /// That of a replica.
    Clock {
        replica: usize,
        hours_ahead: i64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..2_usize, 1..6_i64).prop_map(|(name, hours)| Event::Revoke { name, hours }),
        2 => (0..2_usize).prop_map(|name| Event::Undo { name }),
        6 => (0..2_usize).prop_map(|replica| Event::Look { replica }),
        1 => (0..2_usize).prop_map(|replica| Event::Restart { replica }),
        2 => Just(Event::Snapshot),
        2 => Just(Event::Restore),
        1 => (0..2_usize).prop_map(|key| Event::Lose { key }),
        1 => (0..3_i64).prop_map(|hours_ahead| Event::Commands { hours_ahead }),
        1 => (0..2_usize, 0..2_i64).prop_map(|(replica, one)| {
            Event::Clock { replica, hours_ahead: 10_000 * one }
        }),
    ]
}

const NAMES: [&str; 2] = ["alice", "bob"];

/// Runs the events, and checks after each look that the replica refuses no less than it did; and in the end, when both have
/// looked, that both refuse what either did. A replica that does not look is cut off. What was taken back after it was made does
/// not count: the reason of a revocation is the number of its event.
async fn run(server: &Server, events: &[Event]) {
    let mut list = list_of_two(server).await;
    let mut snapshot: Snapshot = [None, None];
    let mut undone = [0_usize; 2];
    // By replica and name.
    let mut refused: HashMap<(usize, usize), (i64, usize)> = HashMap::new();
    for (number, event) in events.iter().enumerate() {
        match *event {
            Event::Revoke { name, hours } => {
                // So that time passes for Redis between a change and the next one.
                tokio::time::sleep(Duration::from_millis(2)).await;
                list.revoke(NAMES[name], hours, &number.to_string()).await;
            }
            Event::Undo { name } => {
                if list.undo(NAMES[name]).await {
                    undone[name] = number;
                }
            }
            Event::Look { replica } => list.look(replica).await,
            Event::Restart { replica } => {
                let ahead = list.replicas[replica].ahead;
                list.replicas[replica] = Replica { ahead, ..Replica::default() };
                refused.retain(|(one, _), _| *one != replica);
            }
            Event::Snapshot => snapshot = list.snapshot().await,
            Event::Restore => list.restore(&snapshot).await,
            Event::Lose { key } => {
                let keys = list.keys();
                let () = list.run("DEL", &[&keys[key]]).await;
            }
            Event::Commands { hours_ahead } => list.commands_ahead = TimeDelta::hours(hours_ahead),
            Event::Clock { replica, hours_ahead } => {
                list.replicas[replica].ahead = TimeDelta::hours(hours_ahead);
            }
        }
        refused.retain(|(_, name), (_, made)| *made >= undone[*name]);
        let Event::Look { replica } = *event else { continue };
        for name in 0..NAMES.len() {
            let now = list.refused(replica, NAMES[name]);
            let now = now.map(|(hours, made)| (hours, made.parse::<usize>().unwrap()));
            let before = refused.get(&(replica, name)).map(|(hours, _)| *hours);
            assert!(
                now.map(|(hours, _)| hours) >= before,
                "{replica} {name}: {now:?} {before:?} in {events:?}"
            );
            if let Some(now) = now.filter(|(_, made)| *made >= undone[name]) {
                refused.insert((replica, name), now);
            }
        }
    }
    for replica in &mut list.replicas {
        replica.ahead = TimeDelta::zero();
    }
    list.settle().await;
    for ((_, name), (hours, _)) in refused {
        let now = list.hours(NAMES[name]);
        assert!(now.iter().all(|now| *now >= Some(hours)), "{name}: {now:?} {hours} in {events:?}");
    }
}

#[test]
fn no_sequence_of_events_lets_a_caller_through_that_a_living_replica_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(96));
    let events = proptest::collection::vec(event(), 1..24);
    runner
        .run(&events, |events| {
            runtime.block_on(run(&server, &events));
            Ok(())
        })
        .unwrap();
}
