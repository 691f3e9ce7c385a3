//! The store, if replicas share one.

use tokio::time::{Instant, timeout_at};

use super::Finding;
use crate::store::{RedisCheck, StoreSettings};
use crate::telemetry::with_causes;

const CHECK: &str = "store";
/// What the scripts were written for.
const OLDEST: u32 = 5;

pub(super) async fn findings(settings: &StoreSettings, deadline: Instant) -> Vec<Finding> {
    let StoreSettings::Redis(redis) = settings else {
        return vec![Finding::ok(CHECK, "in memory: one replica shares with nobody")];
    };
    let address = redis.address.to_string();
    let found = match timeout_at(deadline, redis.examine()).await {
        Ok(Ok(examined)) => judged(&examined),
        Ok(Err(problem)) => Finding::failed(CHECK, with_causes(&problem)).mend(
            "see `store.redis` and the server: its address, TLS or not, user and password; until then each replica \
             goes on by itself",
        ),
        Err(_) => Finding::failed(CHECK, "there was no time left to try it")
            .mend("try again with a longer --timeout"),
    };
    vec![found.of(address)]
}

fn judged(RedisCheck { version, forbidden }: &RedisCheck) -> Finding {
    if !forbidden.is_empty() {
        let rights: Vec<_> = forbidden.iter().map(|name| format!("+{name}")).collect();
        return Finding::failed(CHECK, "it answers, but does not allow all that is needed")
            .mend(format!("give the user these rights: {}", rights.join(" ")));
    }
    let Some(version) = version else {
        return Finding::ok(
            CHECK,
            "it answers and allows what is needed; its version it does not tell",
        );
    };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(..OLDEST) => Finding::failed(CHECK, format!("it is version {version}"))
            .mend(format!("use a Redis of version {OLDEST} or newer, or Valkey")),
        Some(OLDEST..) | None => {
            Finding::ok(CHECK, format!("it answers and allows what is needed; version {version}"))
        }
    }
}
