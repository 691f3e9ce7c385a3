//! The cached tokens against a reload, in many thousands of schedules of a few threads.
//!
//! The sources of the tokens, of their refresh schedule and of the calls in flight are compiled here once more, with locks of
//! a scheduler that decides at each of them who runs next.

use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, thread};
use tokio::time::Instant;

use super::super::token::tests::{now, token_for};
use super::super::{GrantHolders, Key, KeyHashing, Token, grant_holder, key, token};
use crate::vend::tests::{holder, session};
use calls::{Entry, InFlightCalls};
use tokens::Tokens;

#[expect(clippy::duplicate_mod, reason = "it is the same source with other locks")]
#[path = "../tokens.rs"]
mod tokens;

#[expect(clippy::duplicate_mod, reason = "it is the same source with other locks")]
#[expect(dead_code, reason = "nothing becomes due here")]
#[path = "../refresh_schedule.rs"]
mod refresh_schedule;

#[expect(clippy::duplicate_mod, reason = "it is the same source with other locks")]
#[expect(dead_code, reason = "no caller leaves here: the tests of single flight have those")]
#[path = "../../../single_flight/calls.rs"]
mod calls;

/// The lock of `parking_lot` and the cache of `quick_cache`, as far as the tokens use them.
mod sync {
    use std::hash::{BuildHasher, Hash};

    use quick_cache::{Equivalent, Lifecycle, Weighter};
    use shuttle::sync;

    pub(super) use shuttle::sync::MutexGuard;

    #[derive(Debug, Default)]
    pub(super) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(super) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }

    /// The real cache as one shard of it. A thread that waits for the shard waits here, where the scheduler sees it.
    #[derive(Debug)]
    pub(super) struct Cache<K, V, W, B, L>(sync::RwLock<quick_cache::sync::Cache<K, V, W, B, L>>);

    impl<K, V, W, B, L> Cache<K, V, W, B, L>
    where
        K: Eq + Hash,
        V: Clone,
        W: Weighter<K, V> + Clone,
        B: BuildHasher + Clone,
        L: Lifecycle<K, V> + Clone,
    {
        pub(super) fn with(
            items: usize,
            weight: u64,
            weighter: W,
            hasher: B,
            lifecycle: L,
        ) -> Self {
            let cache = quick_cache::sync::Cache::with(items, weight, weighter, hasher, lifecycle);
            assert_eq!(cache.num_shards(), 1);
            Self(sync::RwLock::new(cache))
        }

        pub(super) fn get<Q: Hash + Equivalent<K>>(&self, key: &Q) -> Option<V> {
            self.0.read().unwrap().get(key)
        }

        pub(super) fn peek<Q: Hash + Equivalent<K>>(&self, key: &Q) -> Option<V> {
            self.0.read().unwrap().peek(key)
        }

        pub(super) fn insert(&self, key: K, value: V) {
            self.0.write().unwrap().insert(key, value);
        }

        pub(super) fn retain(&self, stays: impl Fn(&K, &V) -> bool) {
            self.0.write().unwrap().retain(stays);
        }

        pub(super) fn len(&self) -> usize {
            self.0.read().unwrap().len()
        }
    }
}

/// So many of each kind. With 40,000 the three tests take some minutes.
const SCHEDULES: usize = 1_000;

/// In schedules that are drawn at random, and in those that let one thread run for long.
fn in_schedules(test: impl Fn() + Clone + Send + Sync + 'static) {
    let schedulers: [Box<dyn Scheduler + Send>; 2] = [
        Box::new(RandomScheduler::new_from_seed(1, SCHEDULES)),
        Box::new(PctScheduler::new_from_seed(1, 3, SCHEDULES)),
    ];
    // Timers belong to a runtime. None of them is waited for.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    for scheduler in schedulers {
        assert_eq!(Runner::new(scheduler, Config::default()).run(test.clone()), SCHEDULES);
    }
}

/// The tokens, whose `removed` client the reload takes away.
struct Shared {
    tokens: Tokens,
    hashing: KeyHashing,
}

impl Shared {
    fn new(max_cached_tokens: usize) -> Arc<Self> {
        let (tokens, hashing) = (Tokens::new(max_cached_tokens), KeyHashing::default());
        Arc::new(Self { tokens, hashing })
    }

    fn token(&self, client: &str, name: &str, life_secs: i64) -> Arc<Token> {
        Arc::new(token_for(&self.hashing, &holder(client), name, life_secs))
    }

    /// Inserts a token, whose first hit follows at once. Returns the one that was handed out.
    fn insert(&self, client: &str, name: &str, life_secs: i64) -> Arc<Token> {
        let token = self.tokens.insert(self.token(client, name, life_secs), now());
        self.tokens.schedule_refresh(&token, Instant::now());
        token
    }

    /// As a hit: the client's token of this name, whoever it was fetched for.
    fn lookup(&self, client: &str, name: &str) -> Option<Arc<Token>> {
        let (session, holder) = (session(name), holder(client));
        self.tokens.get(&self.hashing.key_of(session.role_session(), &holder))
    }

    fn reload(&self) -> Vec<Arc<Key>> {
        self.tokens.retain_holders(GrantHolders::Only([holder("kept")].into()))
    }

    /// At the end every token has had its first hit, so each has a timer, and nothing else has.
    fn check_timers(&self, names: &[&str]) {
        let found: Vec<_> = names.iter().filter_map(|name| self.lookup("kept", name)).collect();
        let schedule = self.tokens.refresh_schedule();
        for token in &found {
            assert!(schedule.contains(token.key()), "a token that is used has no timer");
        }
        assert_eq!((self.tokens.len(), schedule.len()), (found.len(), found.len()));
    }
}

fn is_of(token: &Token, client: &str) -> bool {
    token.key().holder().client.as_str() == client
}

fn spawn<T: Send + 'static>(
    shared: &Arc<Shared>,
    run: impl FnOnce(&Shared) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let shared = Arc::clone(shared);
    thread::spawn(move || run(&shared))
}

#[test]
fn after_a_reload_no_token_of_a_removed_holder_is_found_and_none_of_a_kept_holder_is_lost() {
    in_schedules(|| {
        let shared = Shared::new(32);
        // Two clients have the same session, so one token serves both: which lives longer is drawn.
        let removed_life = [3000, 3600, 4000][thread_rng().gen_range(0..3)];
        let removed = ["shared", "own"].map(|name| {
            spawn(&shared, move |shared| {
                shared.insert("removed", name, removed_life);
            })
        });
        let kept = ["shared", "other"].map(|name| {
            spawn(&shared, move |shared| {
                let reloaded = !shared.tokens.may_keep(shared.token("removed", name, 1).key());
                let token = shared.insert("kept", name, 3600);
                assert!(!reloaded || is_of(&token, "kept"), "a new request got a removed token");
                reloaded
            })
        });
        let reload = spawn(&shared, |shared| {
            let keys = shared.reload();
            assert!(keys.iter().all(|key| key.holder().client.as_str() == "removed"));
            for name in ["shared", "own", "other", "shared"] {
                let found = shared.lookup("kept", name);
                assert!(
                    found.is_none_or(|token| is_of(&token, "kept")),
                    "a removed token is found"
                );
            }
        });
        for thread in removed {
            thread.join().unwrap();
        }
        let [shared_after_reload, _] = kept.map(|thread| thread.join().unwrap());
        reload.join().unwrap();
        let [one, own, other] =
            ["shared", "own", "other"].map(|name| shared.lookup("kept", name).is_some());
        assert!(!own && other, "what is kept is {own}, {other}");
        // A token of the removed client that lived longer may have taken its place before the reload.
        assert!(one || !shared_after_reload && removed_life >= 3600, "a kept token is lost");
        shared.check_timers(&["shared", "other"]);
    });
}

#[test]
fn callers_of_one_session_make_one_call_and_those_that_are_kept_no_more_through_a_reload() {
    type Calls = InFlightCalls<Arc<Key>, Arc<Token>, (), RandomState>;
    in_schedules(|| {
        let (shared, calls) = (Shared::new(32), Arc::new(Calls::default()));
        let [of_removed, of_kept] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let callers = ["removed", "kept", "kept", "removed"].map(|client| {
            let (calls, sts) = (
                Arc::clone(&calls),
                Arc::clone(if client == "kept" { &of_kept } else { &of_removed }),
            );
            spawn(&shared, move |shared| {
                if shared.lookup(client, "device").is_some() {
                    return;
                }
                let token = shared.token(client, "device", 3600);
                let found = || shared.tokens.peek(token.key());
                match calls.join_or_start(token.key(), || found().map_or(Ok(((), ())), Err)) {
                    Err(_found) => {}
                    Ok(Entry::Joined(waiter, _)) => {
                        block_on(waiter.result()).expect("the call has a result");
                    }
                    Ok(Entry::Started(_, call, ())) => {
                        sts.fetch_add(1, Ordering::Relaxed);
                        call.complete(shared.tokens.insert(token, now()));
                    }
                }
            })
        });
        let reloads = thread_rng().gen_bool(0.7);
        let reload = reloads.then(|| spawn(&shared, Shared::reload));
        for caller in callers {
            caller.join().unwrap();
        }
        if let Some(reload) = reload {
            reload.join().unwrap();
        }
        let [of_removed, of_kept] =
            [of_removed, of_kept].map(|calls| calls.load(Ordering::Relaxed));
        assert!(of_kept <= 1, "the kept client called {of_kept} times");
        assert!(reloads || of_removed + of_kept == 1, "{of_removed} and {of_kept} calls");
        let found = shared.lookup("kept", "device");
        assert_eq!(found.is_some(), of_kept == 1 || !reloads);
        assert!(!reloads || found.is_none_or(|token| is_of(&token, "kept")));
    });
}

#[test]
fn the_tokens_are_never_more_than_the_most_and_none_that_is_gone_has_a_timer() {
    const MOST: usize = 2;
    const NAMES: [&str; 4] = ["one", "two", "three", "four"];
    in_schedules(|| {
        let shared = Shared::new(MOST);
        let inserts = NAMES.map(|name| {
            spawn(&shared, move |shared| {
                let client = if name == "one" { "removed" } else { "kept" };
                shared.insert(client, name, 3600);
                assert!(shared.tokens.len() <= MOST, "there are too many tokens");
                shared.insert("kept", name, 4000);
            })
        });
        let reload = spawn(&shared, Shared::reload);
        let revocation = spawn(&shared, |shared| {
            shared.tokens.remove_unless(|key| key.session().name.as_str() != "two")
        });
        for insert in inserts {
            insert.join().unwrap();
        }
        let (_, revoked) = (reload.join().unwrap(), revocation.join().unwrap());
        assert!(revoked.iter().all(|key| key.session().name.as_str() == "two"));
        shared.check_timers(&NAMES);
        assert!(shared.tokens.len() <= MOST, "there are too many tokens");
    });
}
