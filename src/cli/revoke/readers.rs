//! Which replicas have read a revocation in Redis: one that nobody reads refuses nobody.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::EXIT_NOT_ENFORCED;
use crate::cli::failure::Failure;
use crate::cli::output::say;
use crate::revocation::Revocation;
use crate::store::{Redis, RevocationReaders};
use appserver_domain::clock::Stamp;

/// How long replicas are waited for: they read twice a second, and one that is gone is forgotten within three seconds.
const MAX_WAIT: Duration = Duration::from_secs(4);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

pub(super) const NOBODY_READS: &str = "no replica reads this list. If replicas run, they use another `store.redis.url` or \
                                       `store.redis.key_prefix`, or do not reach Redis";

/// Waits until all replicas have read the list; `None` if Redis does not answer.
pub(super) async fn until_read(redis: &Redis) -> Option<RevocationReaders> {
    let began = Instant::now();
    loop {
        let readers = redis.revocation_readers().await?;
        if (readers.all > 0 && readers.current == readers.all) || began.elapsed() >= MAX_WAIT {
            return Some(readers);
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

/// Says who enforces the revocation; fails unless every replica does.
pub(super) fn result(
    revocation: &Revocation,
    readers: Option<RevocationReaders>,
) -> Result<(), Failure> {
    let (what, until) = (revocation.what(), Stamp::of(revocation.until()));
    let until = until.as_str();
    let not_enforced = |why| {
        Err(Failure::new(EXIT_NOT_ENFORCED, format!("{what} is in Redis until {until}, but {why}")))
    };
    let Some(RevocationReaders { all, with_other_keys, current }) = readers else {
        return not_enforced(
            "Redis does not answer any more: see with --list whether it is there".to_owned(),
        );
    };
    if all == 0 {
        return not_enforced(NOBODY_READS.to_owned());
    }
    if with_other_keys > 0 {
        return not_enforced(format!(
            "{with_other_keys} of {all} replicas cannot decrypt it and do not refuse it: their `store.redis.encryption_key_file` \
             is another. Run the command with the replicas' configuration"
        ));
    }
    if current < all {
        let behind = all - current;
        return not_enforced(format!(
            "{behind} of {all} replicas have not read it yet: see their log, and run the command again"
        ));
    }
    let replicas =
        if all == 1 { "1 replica has".to_owned() } else { format!("{all} replicas have") };
    say(format_args!(
        "{what} is revoked until {until}; {replicas} read it and refuse it.\n\
         Tokens, forms and URLs that were handed out before are valid to their own ends."
    ))
}
