//! A hundred well-behaved clients, for tests of an abusive one.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;

use crate::stage::{Stage, secret};

const CLIENTS: usize = 100;
/// The requests of each client; together they stay far within STS's quota of one second.
const ROUNDS: usize = 5;

/// The number of their served requests, and of the abuser's refused and served ones.
#[derive(Debug)]
pub(crate) struct Crowd {
    served: usize,
    pub(crate) abuser_refused: usize,
    pub(crate) abuser_passed: usize,
}

/// The abuser's requests before the others start, which spend its limit, and its concurrent requests.
const AHEAD: usize = 400;
const AT_A_TIME: usize = 10;

/// Their configuration. They share the secret of `client-001`, to have one.
pub(crate) fn config() -> String {
    let mut config = "[vend.budget]\ncalls_per_second = 1000\nburst = 100\n".to_owned();
    for n in 0..CLIENTS {
        let hash = "a99e98c8dd052205dfaea33d86f72b73d9b7d64b4be3c5d1ded0379f9f15c544";
        let grants = "grants = [\"daily-photos\"]";
        writeln!(config, "[clients.normal-{n}]\n{grants}\nsecret_sha256 = [\"{hash}\"]").unwrap();
    }
    config
}

impl Crowd {
    /// All clients send requests at once, repeatedly, while the abuser sends without a pause; `abuse` is one request of
    /// the abuser and returns whether it was refused with 429.
    pub(crate) async fn beside(stage: &Stage, abuse: impl AsyncFn() -> bool) -> Self {
        let [refused, passed] = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let abuse = async || {
            let count = if abuse().await { &refused } else { &passed };
            count.fetch_add(1, Ordering::Relaxed);
        };
        for _ in 0..AHEAD / AT_A_TIME {
            join_all((0..AT_A_TIME).map(|_| abuse())).await;
        }
        let done = AtomicBool::new(false);
        let abusers = join_all((0..AT_A_TIME).map(async |_| {
            while !done.load(Ordering::Relaxed) {
                abuse().await;
            }
        }));
        let crowd = async {
            let served = join_all((0..CLIENTS).map(|n| client(stage, n))).await;
            done.store(true, Ordering::Relaxed);
            served.into_iter().sum()
        };
        let (served, _) = tokio::join!(crowd, abusers);
        Self { served, abuser_refused: refused.into_inner(), abuser_passed: passed.into_inner() }
    }

    pub(crate) fn served_percent(&self) -> f64 {
        100.0 * self.served as f64 / (CLIENTS * ROUNDS) as f64
    }
}

/// The number of one client's served requests.
async fn client(stage: &Stage, n: usize) -> usize {
    let mut served = 0;
    for _ in 0..ROUNDS {
        let request = stage.request("GET", "/v1/token");
        let request = request.basic_auth(format!("normal-{n}"), Some(secret("client-001")));
        served += usize::from(stage.send(request).await.status == 200);
    }
    served
}
