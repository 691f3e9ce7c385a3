//! Changes of the list in Redis, and what the replicas make of them.

use chrono::{DateTime, Utc};

use super::EXIT_NOT_ENFORCED;
use super::readers::{NOBODY_READS, ReadBy, Readers, Waited};
use crate::cli::failure::Failure;
use crate::cli::output::{note, say_line};
use crate::revocation::{CurrentState, Revocation, RevokeOutcome, Revoked, SharedRevocations};
use crate::store::Redis;
use appserver_domain::clock::Stamp;

/// A replica may know more than a Redis that was restored, and lift by it what the command has written. Each one puts back what
/// it knows, and the next try knows that.
const TRIES: usize = 10;

/// What became of a change in Redis.
pub(super) enum SharedChange {
    /// With the replicas that have read it; `None` if Redis does not answer any more.
    Done(Option<ReadBy>),
    /// What the replicas know has undone it at each try.
    Overruled,
}

/// What became of a revocation.
pub(super) enum SharedRevoke {
    Changed(SharedChange),
    Refused(RevokeOutcome),
}

/// Revokes, and waits until the replicas have read it.
pub(super) async fn revoke(
    redis: &Redis,
    revocation: &Revocation,
    now: DateTime<Utc>,
) -> Option<SharedRevoke> {
    // Revoking comes first: who cannot be counted may still read it.
    let readers = Readers::before_change(redis).await;
    let outcome = SharedRevocations::revoke(redis, revocation, now).await?;
    if outcome != RevokeOutcome::Done {
        return Some(SharedRevoke::Refused(outcome));
    }
    let Some(mut readers) = readers else {
        return Some(SharedRevoke::Changed(SharedChange::Done(None)));
    };
    let until = Some(revocation.until());
    let is_done = |state: &CurrentState| matches!(state, CurrentState::Readable { until: held, .. } if *held >= until);
    let change = settle(redis, revocation.what(), now, &mut readers, is_done, async || {
        SharedRevocations::revoke(redis, revocation, now).await.map(drop)
    });
    Some(SharedRevoke::Changed(change.await))
}

/// Takes a revocation back, and waits until the replicas have read it. `None` inside if there was none.
pub(super) async fn undo(
    redis: &Redis,
    what: &Revoked,
    now: DateTime<Utc>,
) -> Option<Option<SharedChange>> {
    let mut readers = Readers::before_change(redis).await?;
    let is_removed =
        readers.all_have_other_keys() && SharedRevocations::remove(redis, what, now).await?;
    if !is_removed && !SharedRevocations::undo(redis, what, now).await? {
        // It may be one that Redis has lost, and that the replicas are about to put back.
        Readers::until_put_back(redis).await?;
        if !SharedRevocations::undo(redis, what, now).await? {
            return Some(None);
        }
    }
    let is_done = |state: &CurrentState| match state {
        CurrentState::Readable { until, .. } => until.is_none(),
        CurrentState::Nothing => true,
        CurrentState::Unreadable => false,
    };
    let change = settle(redis, what, now, &mut readers, is_done, async || {
        SharedRevocations::undo(redis, what, now).await.map(drop)
    });
    let mut change = change.await;
    if let (true, SharedChange::Done(Some(read_by))) = (is_removed, &mut change) {
        // What none of them could decrypt, none of them has refused.
        read_by.with_other_keys = 0;
    }
    Some(Some(change))
}

/// Waits until all replicas know a state that is what was meant, and repeats the change while Redis has another one.
async fn settle(
    redis: &Redis,
    what: &Revoked,
    now: DateTime<Utc>,
    readers: &mut Readers,
    is_done: impl Fn(&CurrentState) -> bool,
    repeat: impl AsyncFn() -> Option<()>,
) -> SharedChange {
    for _ in 0..TRIES {
        match readers.until_known(redis, what, now, &is_done).await {
            None => return SharedChange::Done(None),
            Some(Waited::Known(read_by)) => return SharedChange::Done(Some(read_by)),
            Some(Waited::Overruled) => {}
        }
        if repeat().await.is_none() {
            return SharedChange::Done(None);
        }
    }
    SharedChange::Overruled
}

/// Says who enforces the revocation; fails unless every replica does.
pub(super) fn say_revoked(revocation: &Revocation, change: SharedChange) -> Result<(), Failure> {
    let (what, until) = (revocation.what(), Stamp::of(revocation.until()));
    let until = until.as_str();
    let not_enforced = |why: &str| {
        Err(Failure::new(EXIT_NOT_ENFORCED, format!("{what} is in Redis until {until}, but {why}")))
    };
    let read_by = match change {
        SharedChange::Done(Some(read_by)) => read_by,
        SharedChange::Done(None) => {
            return not_enforced(
                "Redis does not answer any more: see with --list whether it is there",
            );
        }
        SharedChange::Overruled => {
            let message = format!(
                "{what} may not be revoked: others change it at the same time. See with --list, and run the command again"
            );
            return Err(Failure::new(EXIT_NOT_ENFORCED, message));
        }
    };
    let ReadBy { all, with_other_keys, .. } = read_by;
    if all == 0 {
        return not_enforced(NOBODY_READS);
    }
    if with_other_keys > 0 {
        return not_enforced(&format!(
            "{with_other_keys} of {all} replicas cannot decrypt it and do not refuse it: their `store.redis.encryption_key_file` \
             is another. Run the command with the replicas' configuration"
        ));
    }
    if let Some(missing) = read_by.missing() {
        return not_enforced(&missing);
    }
    let replicas =
        if all == 1 { "1 replica has".to_owned() } else { format!("{all} replicas have") };
    say_line(format_args!("{what} is revoked until {until}; {replicas} read it and refuse it."))?;
    say_line("Tokens, forms and URLs that were handed out before are valid to their own ends.")
}

/// Says that a revocation was taken back; fails if a replica that reads the list may still enforce it.
pub(super) fn say_undone(what: &Revoked, change: SharedChange) -> Result<(), Failure> {
    let fails = |why: &str| {
        let message = format!("{what} is taken back in Redis, but {why}");
        Err(Failure::new(EXIT_NOT_ENFORCED, message))
    };
    let read_by = match change {
        SharedChange::Done(Some(read_by)) => read_by,
        SharedChange::Done(None) => {
            return fails("Redis does not answer any more: see with --list whether it is gone");
        }
        SharedChange::Overruled => {
            let message = format!(
                "{what} may still be revoked: others revoke it at the same time, or replicas whose keys are not in this \
                 configuration put it back. Run the command again, with the configuration that has all keys"
            );
            return Err(Failure::new(EXIT_NOT_ENFORCED, message));
        }
    };
    say_line(format_args!("{what} is no longer revoked in Redis."))?;
    let ReadBy { all, with_other_keys, .. } = read_by;
    if all == 0 {
        note(format_args!("warning: {NOBODY_READS}"));
    }
    if with_other_keys > 0 {
        return fails(&format!(
            "{with_other_keys} of {all} replicas cannot decrypt that, and one that refuses it still does: their \
             `store.redis.encryption_key_file` is another. Run the command with the replicas' configuration"
        ));
    }
    read_by.missing().map_or(Ok(()), |missing| fails(&missing))
}
