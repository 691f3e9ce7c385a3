//! The list that replicas share through Redis, as one replica keeps up with it.
//!
//! Redis may lose what it keeps, or be restored from an older state, and a value in it may be damaged. So Redis lifts nothing by
//! what it does not have: each replica joins what it reads with what it knows, and puts back what Redis lacks.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::entry::Revocation;
use super::list::RevocationList;
use super::revoked::Revoked;
use super::state::RevocationState;
use crate::store::{
    ReaderMark, Redis, ReplaceOutcome, RevocationPage, RevocationValue, StoredRevocation,
};

/// Reads of a list that changes while it is read in parts.
const TRIES: usize = 5;
/// What a look puts back at most, so that it also sees what is new. The next look goes on.
const PUT_BACK_AT_ONCE: usize = 2_000;
/// Changes of others that come between a read and a write of one value, before that counts as a failure.
const MAX_CONFLICTS: usize = 100;
/// The life of what nobody can read: the longest that a revocation has.
const UNKNOWN_LIFE: TimeDelta = TimeDelta::days(366);

/// The shared list, as this replica knows it.
#[derive(Debug, Default)]
pub(crate) struct SharedRevocations {
    /// The states of all names, by their ids: all that this replica has ever read, until they end.
    known: HashMap<String, RevocationState>,
    /// The version of the list that has all of `known`, and that `known` has all of; empty if there is none.
    version: String,
    /// Whether `known` has something that the last list returned had not.
    is_new: bool,
    /// How this replica is counted among the readers.
    mark: ReaderMark,
    /// What the last read list has that this replica cannot read.
    unreadable: Unreadable,
}

/// The whole list, as it was read.
#[derive(Debug, Default)]
pub(crate) struct ReadRevocations {
    pub(crate) list: RevocationList,
    /// Revocations that have not ended, and cannot be decrypted with the configured keys or are of a form that this version does
    /// not know.
    pub(crate) unreadable: usize,
}

/// The result of a look at the shared list.
#[derive(Debug)]
pub(crate) enum Polled {
    Unchanged,
    Changed(RevocationList),
    /// Redis does not answer: the last list stays active.
    Unreachable,
}

/// What became of a revocation on its way into Redis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RevokeOutcome {
    Done,
    /// It is revoked until a later time.
    WouldShorten(DateTime<Utc>),
    Full,
}

/// A state that Redis lacks, or has otherwise.
struct Lacking {
    id: String,
    there: Option<RevocationValue>,
}

/// What one look has read.
#[derive(Default)]
struct Look {
    ids: HashSet<String>,
    lacking: Vec<Lacking>,
    unreadable: Unreadable,
}

/// What cannot be read of a list.
#[derive(Clone, Copy, Debug, Default)]
struct Unreadable {
    count: usize,
    /// When the last of them ends by Redis, where anybody who can write there sets it.
    end: Option<Instant>,
    /// When the last of those ends that the replica has read before.
    known_end: Option<DateTime<Utc>>,
}

impl Unreadable {
    fn add(&mut self, remaining: Duration, known: Option<&RevocationState>, now: DateTime<Utc>) {
        let known_end = known.map(RevocationState::kept_until).filter(|end| *end > now);
        if remaining.is_zero() && known_end.is_none() {
            return;
        }
        self.count += 1;
        self.end = self.end.max(Some(Instant::now() + remaining));
        self.known_end = self.known_end.max(known_end);
    }

    /// How many; 0 once all of them have ended.
    fn count(&self, now: DateTime<Utc>) -> usize {
        let is_left = self.end > Some(Instant::now()) || self.known_end > Some(now);
        if is_left { self.count } else { 0 }
    }
}

impl SharedRevocations {
    /// Looks for a change, and puts back what Redis has lost.
    pub(crate) async fn poll(&mut self, redis: &Redis, now: DateTime<Utc>) -> Polled {
        let mark = redis.reader_mark(&self.version);
        let before = std::mem::replace(&mut self.mark, mark);
        let reader = (&self.mark.clone(), &before);
        let known = std::mem::take(&mut self.version);
        self.known.retain(|_, state| state.kept_until() > now);
        let mut look = Look::default();
        let read = read_list(redis, &known, reader, |value| self.join(&mut look, value, now)).await;
        let read = match read {
            Some(ReadVersion::Known) => {
                self.version = known;
                return Polled::Unchanged;
            }
            Some(ReadVersion::Read(version)) => {
                self.unreadable = look.unreadable;
                let lost = self.known.keys().filter(|id| !look.ids.contains(*id));
                look.lacking.extend(lost.map(|id| Lacking { id: id.clone(), there: None }));
                self.put_back(redis, look.lacking, now).await.map(|changed| (version, changed))
            }
            None => None,
        };
        if let Some((version, false)) = &read {
            self.version.clone_from(version);
        }
        // What was read is active also if Redis does not answer any more: the next look says so.
        if std::mem::take(&mut self.is_new) {
            return Polled::Changed(self.list());
        }
        if read.is_some() { Polled::Unchanged } else { Polled::Unreachable }
    }

    /// Adds a value to what is known. Half a list that is read does no harm: nothing is lifted by what is not read.
    fn join(&mut self, look: &mut Look, value: RevocationValue, now: DateTime<Utc>) {
        look.ids.insert(value.id.clone());
        let Some(state) = state_of(&value) else {
            return look.unreadable.add(value.remaining, self.known.get(&value.id), now);
        };
        if state.kept_until() <= now {
            return;
        }
        let known = self.known.get(&value.id);
        let joined = known.map_or_else(|| state.clone(), |known| known.join(&state));
        self.is_new |= known != Some(&joined);
        let lacks = joined != state;
        self.known.insert(value.id.clone(), joined);
        if lacks {
            look.lacking.push(Lacking { id: value.id.clone(), there: Some(value) });
        }
    }

    /// Returns whether the list has changed since it was read; `None` if Redis does not answer.
    async fn put_back(
        &mut self,
        redis: &Redis,
        lacking: Vec<Lacking>,
        now: DateTime<Utc>,
    ) -> Option<bool> {
        if lacking.is_empty() {
            return Some(false);
        }
        tracing::warn!(
            revocation.count = lacking.len(),
            "Redis has lost revocations, or which of them were taken back; putting back what this replica knows"
        );
        let (mut changed, mut full) = (lacking.len() > PUT_BACK_AT_ONCE, 0);
        for Lacking { id, there } in lacking.into_iter().take(PUT_BACK_AT_ONCE) {
            let Some(known) = self.known.get_mut(&id) else { continue };
            let there = StoredRevocation { now: 0, value: there };
            let updated = update(redis, &id, there, now, |_, there| {
                let Some(value) = there else { return Some(known.clone()) };
                // What nobody can read here may be of a key that is being rolled out.
                let there = state_of(value)?;
                let joined = known.join(&there);
                self.is_new |= *known != joined;
                *known = joined;
                // Another replica may have been faster.
                (there != *known).then(|| known.clone())
            });
            match updated.await? {
                Updated::Full => full += 1,
                Updated::Done | Updated::Left => changed = true,
            }
        }
        if full > 0 {
            tracing::error!(
                revocation.count = full,
                "Redis has no space for revocations that it has lost; only the replicas that know them enforce them"
            );
        }
        Some(changed)
    }

    fn list(&self) -> RevocationList {
        self.known.values().filter_map(RevocationState::revocation).cloned().collect()
    }

    /// How many revocations of the last read list this replica cannot read; 0 once all of them have ended.
    pub(crate) fn unreadable(&self, now: DateTime<Utc>) -> usize {
        self.unreadable.count(now)
    }

    /// The whole shared list; `None` if Redis does not answer.
    pub(crate) async fn all(redis: &Redis, now: DateTime<Utc>) -> Option<ReadRevocations> {
        let nobody = ReaderMark::default();
        let (mut all, mut look) = (Self::default(), Look::default());
        for _ in 0..TRIES {
            look = Look::default();
            let join = |value| all.join(&mut look, value, now);
            let read = read_list(redis, "", (&nobody, &nobody), join).await?;
            // One that changes all the time is as it was read.
            if matches!(read, ReadVersion::Read(version) if !version.is_empty()) {
                break;
            }
        }
        Some(ReadRevocations { list: all.list(), unreadable: look.unreadable.count(now) })
    }

    /// Adds a revocation for all replicas, or extends the one of the same.
    pub(crate) async fn revoke(
        redis: &Redis,
        revocation: &Revocation,
        now: DateTime<Utc>,
    ) -> Option<RevokeOutcome> {
        let (id, mut longer) = (id_of(redis, revocation.what()), None);
        let there = redis.stored_revocation(&id).await?;
        let updated = update(redis, &id, there, now, |redis_now, there| {
            let before = there.and_then(state_of);
            let held = before.as_ref().and_then(|before| before.active(now));
            longer = held.map(|held| held.until()).filter(|until| *until > revocation.until());
            longer
                .is_none()
                .then(|| RevocationState::revoke(before.as_ref(), revocation.clone(), redis_now))
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
        let updated = update(redis, &id, there, now, |redis_now, there| {
            let value = there?;
            match state_of(value) {
                Some(state) => state.active(now).is_some().then(|| state.undo()),
                None => Some(RevocationState::undo_unknown(redis_now, now + UNKNOWN_LIFE)),
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
        let Some(value) = redis.stored_revocation(&id).await?.value else { return Some(false) };
        if state_of(&value).is_none_or(|state| state.active(now).is_none()) {
            return Some(false);
        }
        let removed = redis.replace_revocation(&id, Some(&value), None, Duration::ZERO).await?;
        Some(matches!(removed, ReplaceOutcome::Done))
    }

    /// Until when this is revoked in Redis; `None` inside if it is not.
    pub(crate) async fn revoked_until(
        redis: &Redis,
        what: &Revoked,
        now: DateTime<Utc>,
    ) -> Option<Option<DateTime<Utc>>> {
        let there = redis.stored_revocation(&id_of(redis, what)).await?;
        let state = there.value.as_ref().and_then(state_of);
        Some(state.and_then(|state| state.active(now).map(|revocation| revocation.until())))
    }
}

/// What became of one value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Updated {
    Done,
    /// Nothing had to be written.
    Left,
    Full,
}

/// Replaces a value by what `change` makes of it at the time of Redis, and again of another one that is there meanwhile.
async fn update(
    redis: &Redis,
    id: &str,
    mut there: StoredRevocation,
    now: DateTime<Utc>,
    mut change: impl FnMut(u64, Option<&RevocationValue>) -> Option<RevocationState>,
) -> Option<Updated> {
    for _ in 0..MAX_CONFLICTS {
        let Some(state) = change(there.now, there.value.as_ref()) else {
            return Some(Updated::Left);
        };
        let life = (state.kept_until() - now).to_std().unwrap_or_default();
        let (before, written) = (there.value.as_ref(), state.write());
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
fn state_of(value: &RevocationValue) -> Option<RevocationState> {
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

/// The version of a list that was read.
enum ReadVersion {
    /// It is the known one, and nothing was read.
    Known,
    /// Empty if Redis has no list, or if it changed while it was read.
    Read(String),
}

/// Reads the list, unless its version is the known one; `None` if Redis does not answer.
async fn read_list(
    redis: &Redis,
    known: &str,
    (reader, before): (&ReaderMark, &ReaderMark),
    mut take: impl FnMut(RevocationValue),
) -> Option<ReadVersion> {
    let (mut offset, mut first) = (0, None);
    loop {
        let known = if offset == 0 { known } else { "" };
        let page = redis.read_revocations(known, offset, reader, before).await?;
        let RevocationPage { version, is_known, taken, is_last, values } = page;
        if is_known {
            return Some(ReadVersion::Known);
        }
        values.into_iter().for_each(&mut take);
        let is_same = *first.get_or_insert_with(|| version.clone()) == version;
        offset += taken;
        if is_last || offset >= RevocationList::MOST {
            return Some(ReadVersion::Read(if is_same { version } else { String::new() }));
        }
    }
}
