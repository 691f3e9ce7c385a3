//! The list that replicas share through Redis, as one replica keeps up with it.
//!
//! Redis may lose what it keeps, or be restored from an older state, and a value in it may be damaged. So Redis lifts nothing by
//! what it does not have: each replica joins what it reads with what it knows, and puts back what Redis lacks.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::list::RevocationList;
use super::state::RevocationState;
use super::stored_state::{Updated, state_of, update};
use crate::store::{KnownRevocation, ReaderMark, Redis, RevocationPage, RevocationValue};

/// Reads of a list that changes while it is read in parts.
const TRIES: usize = 5;
/// What a look puts back at most, so that it also sees what is new. The next look goes on.
const PUT_BACK_AT_ONCE: usize = 2_000;
/// States that a replica proves to know: those that have changed last. A command waits seconds for its own among them.
const PROVEN: usize = 32;

/// How long a replica keeps what has ended by its clock, which may be ahead for a while. It passes by the monotonic clock.
const ENDED_KEPT: Duration = Duration::from_hours(24);
/// The most names that a replica keeps because they may not have ended.
const MOST_KNOWN: usize = 2 * RevocationList::MOST;

/// The shared list, as this replica knows it.
#[derive(Debug, Default)]
pub(crate) struct SharedRevocations {
    /// The states of all names, by their ids: all that this replica has ever read, until a day after their end.
    known: HashMap<String, RevocationState>,
    /// Those of them that have ended, each with the time at which that was seen.
    ended: HashMap<String, Instant>,
    /// When this replica looked last, by its clock.
    looked: DateTime<Utc>,
    /// The version of the list that has all of `known`, and that `known` has all of; empty if there is none.
    version: String,
    /// Whether `known` has something that the last list returned had not.
    is_new: bool,
    /// How this replica is counted among the readers.
    mark: ReaderMark,
    /// The ids of what has changed last, in that order: a command may wait for them.
    recent: Vec<String>,
    /// Those of the present look.
    changed: Vec<String>,
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
        self.note_recent();
        let known = self.recent.iter().filter_map(|id| {
            Some(KnownRevocation { id: id.clone(), statement: self.known.get(id)?.statement() })
        });
        let mark = redis.reader_mark(&self.version, &known.collect::<Vec<_>>());
        let before = std::mem::replace(&mut self.mark, mark);
        let reader = (&self.mark.clone(), &before);
        let mut known = std::mem::take(&mut self.version);
        if now < std::mem::replace(&mut self.looked, now) {
            // The clock was set back: what had ended may not have, and Redis may lack it.
            known.clear();
        }
        self.forget_ended(now);
        let mut look = Look::default();
        let read = read_list(redis, &known, reader, |value| self.join(&mut look, value, now)).await;
        let read = match read {
            Some(ReadVersion::Known) => {
                self.version = known;
                return Polled::Unchanged;
            }
            Some(ReadVersion::Read(version)) => {
                self.unreadable = look.unreadable;
                let lost = self
                    .known
                    .iter()
                    .filter(|(id, state)| state.kept_until() > now && !look.ids.contains(*id));
                look.lacking.extend(lost.map(|(id, _)| Lacking { id: id.clone(), there: None }));
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

    /// Forgets what has ended for long. Whether something has ended by the clock as it is now is judged by each who asks.
    fn forget_ended(&mut self, now: DateTime<Utc>) {
        let (moment, ended) = (Instant::now(), &mut self.ended);
        self.known.retain(|id, state| {
            if state.kept_until() > now {
                ended.remove(id);
                return true;
            }
            match ended.get(id) {
                Some(since) if moment.duration_since(*since) >= ENDED_KEPT => {
                    ended.remove(id);
                    return false;
                }
                Some(_) => {}
                None => drop(ended.insert(id.clone(), moment)),
            }
            true
        });
        let excess = self.known.len().saturating_sub(MOST_KNOWN);
        if excess > 0 {
            let mut oldest: Vec<_> = ended.iter().map(|(id, since)| (*since, id.clone())).collect();
            oldest.sort_unstable();
            for (_, id) in oldest.into_iter().take(excess) {
                self.known.remove(&id);
                self.ended.remove(&id);
            }
        }
    }

    /// Adds the changes of the last look, whose list is active now.
    fn note_recent(&mut self) {
        let mut changed = std::mem::take(&mut self.changed);
        // Of a whole list that was read at once the latest, as far as the clocks of the commands tell.
        let known = &self.known;
        changed.sort_by_cached_key(|id| known.get(id).map(RevocationState::last_revision));
        for id in changed.split_off(changed.len().saturating_sub(PROVEN)) {
            self.recent.retain(|recent| *recent != id);
            self.recent.push(id);
        }
        self.recent.drain(..self.recent.len().saturating_sub(PROVEN));
    }

    /// Adds a value to what is known. Half a list that is read does no harm: nothing is lifted by what is not read.
    fn join(&mut self, look: &mut Look, value: RevocationValue, now: DateTime<Utc>) {
        look.ids.insert(value.id.clone());
        let Some(state) = state_of(&value) else {
            return look.unreadable.add(value.remaining, self.known.get(&value.id), now);
        };
        let known = self.known.get(&value.id);
        let joined = known.map_or_else(|| state.clone(), |known| known.join(&state));
        let (is_new, lacks) = (known != Some(&joined), joined != state);
        self.is_new |= is_new;
        if is_new || lacks {
            self.changed.push(value.id.clone());
        }
        let has_ended = joined.kept_until() <= now;
        self.known.insert(value.id.clone(), joined);
        if lacks && !has_ended {
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
            self.changed.push(id.clone());
            let updated = update(redis, &id, there, now, |there| {
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
