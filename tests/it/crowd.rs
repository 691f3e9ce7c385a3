//! A hundred clients that do nothing wrong, for tests of somebody who does.

use std::fmt::Write;

use futures_util::future::join_all;

use crate::stage::{Stage, secret};

const CLIENTS: usize = 100;
/// Each asks so often; together they stay far within what one second may cost STS.
const ROUNDS: usize = 5;

/// How many of their requests were served.
#[derive(Debug)]
pub(crate) struct Crowd {
    served: usize,
}

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
    /// All of them ask at once, again and again.
    pub(crate) async fn asks(stage: &Stage) -> Self {
        let client = async |n| {
            let mut served = 0;
            for _ in 0..ROUNDS {
                let name = format!("normal-{n}");
                let request = stage.request("GET", "/v1/token");
                let request = request.basic_auth(name, Some(secret("client-001")));
                served += usize::from(stage.send(request).await.status == 200);
            }
            served
        };
        let served = join_all((0..CLIENTS).map(client)).await;
        Self { served: served.into_iter().sum() }
    }

    pub(crate) fn served_percent(&self) -> f64 {
        100.0 * self.served as f64 / (CLIENTS * ROUNDS) as f64
    }
}
