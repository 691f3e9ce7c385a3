//! The state of one name in Redis, as commands change it and as replicas put it back.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::entry::Revocation;
use super::revoked::Revoked;
use super::shared::SharedRevocations;
use super::state::RevocationState;
use crate::store::{KnownRevocation, Redis, ReplaceOutcome, RevocationReader, RevocationValue};

/// Changes of others that come between a read and a write of one value, before that counts as a failure.
const MAX_CONFLICTS: usize = 100;
/// The life of what nobody can read: the longest that a revocation has.
const UNKNOWN_LIFE: TimeDelta = TimeDelta::days(366);

/// What became of a revocation on its way into Redis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RevokeOutcome {
    Done,
    /// It is revoked until a later time.
    WouldShorten(DateTime<Utc>),
    Full,
}

/// What Redis has of one name.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum CurrentState {
    Nothing,
    /// It cannot be decrypted.
    Unreadable,
    Readable {
        /// Until when it is revoked; `None` if it is not.
        until: Option<DateTime<Utc>>,
        known: KnownRevocation,
    },
}

impl CurrentState {
    /// Whether this replica has proven that it knows this state.
    pub(crate) fn is_known_to(&self, redis: &Redis, id: &str, reader: &RevocationReader) -> bool {
        match self {
            Self::Readable { known, .. } => redis.knows_revocation(id, reader, known),
            Self::Nothing | Self::Unreadable => false,
        }
    }
}

impl SharedRevocations {
    /// Adds a revocation for all replicas, or extends the one of the same.
    pub(crate) async fn revoke(
        redis: &Redis,
        revocation: &Revocation,
        now: DateTime<Utc>,
    ) -> Option<RevokeOutcome> {
        let (id, mut longer) = (id_of(redis, revocation.what()), None);
        let there = redis.stored_revocation(&id).await?;
        let updated = update(redis, &id, there, now, |there| {
            let before = there.and_then(state_of);
            let held = before.as_ref().and_then(|before| before.active(now));
            longer = held.map(|held| held.until()).filter(|until| *until > revocation.until());
            longer
                .is_none()
                .then(|| RevocationState::revoke(before.as_ref(), revocation.clone(), now))
        });
        let updated = updated.await?;
        Some(match (updated, longer) {
            (Updated::Full, _) => RevokeOutcome::Full,
            (_, Some(until)) => RevokeOutcome::WouldShorten(until),
            (Updated::Done | Updated::Left, None) => RevokeOutcome::Done,
        })
    }

    /// Takes a revocation back. Returns whether there was one.
    pub(crate) async fn undo(redis: &Redis, what: &Revoked, now: DateTime<Utc>) -> Option<bool> {
        let id = id_of(redis, what);
        let there = redis.stored_revocation(&id).await?;
        let updated = update(redis, &id, there, now, |there| {
            let value = there?;
            match state_of(value) {
                Some(state) => state.active(now).is_some().then(|| state.undo()),
                None => Some(RevocationState::unknown(now + UNKNOWN_LIFE)),
            }
        });
        Some(match updated.await? {
            Updated::Done => true,
            Updated::Left | Updated::Full => false,
        })
    }

    /// Removes a revocation that no replica can decrypt: they could not decrypt that it was taken back, either, and report it to
    /// its end. One that has read it all the same puts it back. Returns whether there was one that this program can decrypt.
    pub(crate) async fn remove(redis: &Redis, what: &Revoked, now: DateTime<Utc>) -> Option<bool> {
        let id = id_of(redis, what);
        let Some(value) = redis.stored_revocation(&id).await? else { return Some(false) };
        if state_of(&value).is_none_or(|state| state.active(now).is_none()) {
            return Some(false);
        }
        let removed = redis.replace_revocation(&id, Some(&value), None, Duration::ZERO).await?;
        Some(matches!(removed, ReplaceOutcome::Done))
    }

    /// What Redis has of this name.
    pub(crate) async fn current(
        redis: &Redis,
        what: &Revoked,
        now: DateTime<Utc>,
    ) -> Option<CurrentState> {
        let id = id_of(redis, what);
        let Some(value) = redis.stored_revocation(&id).await? else {
            return Some(CurrentState::Nothing);
        };
        Some(match state_of(&value) {
            None => CurrentState::Unreadable,
            Some(state) => CurrentState::Readable {
                until: state.active(now).map(|revocation| revocation.until()),
                known: KnownRevocation { id, statement: state.statement() },
            },
        })
    }
}

/// What became of one value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Updated {
    Done,
    /// Nothing had to be written.
    Left,
    Full,
}

/// Replaces a value by what `change` makes of it, and again of another one that is there meanwhile.
pub(super) async fn update(
    redis: &Redis,
    id: &str,
    mut there: Option<RevocationValue>,
    now: DateTime<Utc>,
    mut change: impl FnMut(Option<&RevocationValue>) -> Option<RevocationState>,
) -> Option<Updated> {
    for _ in 0..MAX_CONFLICTS {
        let Some(state) = change(there.as_ref()) else {
            return Some(Updated::Left);
        };
        let life = (state.kept_until() - now).to_std().unwrap_or_default();
        let (before, written) = (there.as_ref(), state.write());
        let outcome = redis.replace_revocation(id, before, Some(&written), life).await?;
        there = match outcome {
            ReplaceOutcome::Done => return Some(Updated::Done),
            ReplaceOutcome::Full => return Some(Updated::Full),
            ReplaceOutcome::Changed(there) => there,
        };
    }
    None
}

/// The state of a value; `None` if it cannot be decrypted or is of a form that this version does not know.
pub(super) fn state_of(value: &RevocationValue) -> Option<RevocationState> {
    let plain = value.plain.as_ref()?;
    let state = RevocationState::read(plain);
    if state.is_none() {
        tracing::warn!(
            "a revocation in Redis is of a form that this version does not know; ignoring it"
        );
    }
    state
}

/// How the state of this is called in Redis.
fn id_of(redis: &Redis, what: &Revoked) -> String {
    redis.revocation_id(&["revocation", what.kind().as_str(), &what.name()])
}
