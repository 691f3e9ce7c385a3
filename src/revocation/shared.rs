//! The list that replicas share through Redis, as one replica keeps up with it.
//!
//! Redis may lose what it keeps. Then its version is gone, or older than one that a replica has read, and each replica puts back
//! what it still knows before any of them trusts the list again. A value that cannot be decrypted lifts nothing: what the replica
//! knows of it stays active.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::entry::{Reason, Revocation};
use super::list::RevocationList;
use super::revoked::{Revoked, RevokedKind};
use crate::store::{ReaderMark, Redis, RevocationPage, RevocationValue};

/// Reads of a list that changes while it is read.
const TRIES: usize = 5;

/// The shared list, with the version that was read last.
#[derive(Debug, Default)]
pub(crate) struct SharedRevocations {
    version: String,
    /// How this replica is counted among the readers.
    mark: ReaderMark,
    /// How many revocations the last read list has that this replica cannot read, until the last of them ends.
    unreadable: Option<(usize, Instant)>,
}

/// The whole list, as it was read.
#[derive(Debug, Default)]
pub(crate) struct ReadRevocations {
    pub(crate) list: RevocationList,
    pub(crate) unreadable: Unreadable,
    version: String,
}

/// Revocations that have not ended, and cannot be decrypted with the configured keys or are of a form that this version does not
/// know.
#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    ids: HashSet<String>,
    /// Until the last of them ends.
    remaining: Duration,
}

impl Unreadable {
    pub(crate) fn count(&self) -> usize {
        self.ids.len()
    }

    fn add(&mut self, id: String, remaining: Duration) {
        if !remaining.is_zero() {
            self.ids.insert(id);
            self.remaining = self.remaining.max(remaining);
        }
    }

    /// What of `own` the list has, but nobody can read there.
    fn known<'a>(
        &self,
        own: &'a RevocationList,
        redis: &Redis,
    ) -> impl Iterator<Item = &'a Arc<Revocation>> {
        // Nearly always there is none, and then nothing is hashed.
        let own = (!self.ids.is_empty()).then(|| own.iter()).into_iter().flatten();
        own.filter(|one| self.ids.contains(&redis.revocation_id(&parts(one.what()))))
    }
}

/// The result of a look at the shared list.
#[derive(Debug)]
pub(crate) enum Polled {
    Unchanged,
    Changed(RevocationList),
    /// Redis does not answer: the last list stays active.
    Unreachable,
}

impl SharedRevocations {
    /// Looks for a change. `own` is what this replica read last, and is put back if Redis has lost it.
    pub(crate) async fn poll(
        &mut self,
        redis: &Redis,
        own: &RevocationList,
        now: DateTime<Utc>,
    ) -> Polled {
        let mark = redis.reader_mark(&self.version);
        let before = std::mem::replace(&mut self.mark, mark);
        let Some(read) = read_list(redis, &self.version, &self.mark, &before).await else {
            return Polled::Unreachable;
        };
        let Some(ReadRevocations { mut version, mut list, unreadable }) = read else {
            return Polled::Unchanged;
        };
        if is_older(&version, &self.version) {
            // Redis was restored from an earlier state, or another one that knows less has taken its place.
            if redis.distrust_revocations(&version).await.is_none() {
                return Polled::Unreachable;
            }
            version.clear();
        }
        let count = unreadable.count();
        self.unreadable = (count > 0).then(|| (count, Instant::now() + unreadable.remaining));
        unreadable.known(own, redis).for_each(|one| list.insert(Arc::clone(one)));
        if version.is_empty() {
            let lost: Vec<_> = own.since(&list, now).iter().cloned().collect();
            let lost: Vec<_> = lost.into_iter().filter(|one| one.is_active(now)).collect();
            if lost.is_empty() && list.iter().next().is_none() && count == 0 {
                return Polled::Unchanged;
            }
            if !lost.is_empty() {
                tracing::warn!(
                    revocation.count = lost.len(),
                    "Redis has lost revocations; putting back those that this replica knows"
                );
            }
            for revocation in lost {
                if put(redis, &revocation, false, now).await.is_none() {
                    return Polled::Unreachable;
                }
                list.insert(revocation);
            }
            if redis.settle_revocations(&self.version).await.is_none() {
                return Polled::Unreachable;
            }
            // Another replica may have put some back as well: the next look reads all of them.
            return Polled::Changed(list);
        }
        self.version = version;
        Polled::Changed(list)
    }

    /// How many revocations of the last read list this replica cannot read; 0 once all of them have ended.
    pub(crate) fn unreadable(&self) -> usize {
        self.unreadable.filter(|(_, end)| Instant::now() < *end).map_or(0, |(count, _)| count)
    }

    /// The whole shared list; `None` if Redis does not answer.
    pub(crate) async fn all(redis: &Redis) -> Option<ReadRevocations> {
        let nobody = ReaderMark::default();
        let read = read_list(redis, "", &nobody, &nobody).await?;
        Some(read.unwrap_or_default())
    }

    /// Adds a revocation for all replicas, or replaces the one of the same. Returns whether there was space.
    pub(crate) async fn put(
        redis: &Redis,
        revocation: &Revocation,
        now: DateTime<Utc>,
    ) -> Option<bool> {
        put(redis, revocation, true, now).await
    }

    /// Takes a revocation back. Returns whether there was one.
    pub(crate) async fn undo(redis: &Redis, what: &Revoked) -> Option<bool> {
        redis.remove_revocation(&parts(what)).await
    }
}

/// Whether both are versions, and the first is the older one.
fn is_older(version: &str, known: &str) -> bool {
    let number = |version: &str| version.parse::<u64>().ok();
    number(version).zip(number(known)).is_some_and(|(version, known)| version < known)
}

/// The list, unless its version is the known one; `None` if Redis does not answer.
async fn read_list(
    redis: &Redis,
    known: &str,
    reader: &ReaderMark,
    before: &ReaderMark,
) -> Option<Option<ReadRevocations>> {
    for _ in 0..TRIES {
        let (mut list, mut unreadable) = (RevocationList::default(), Unreadable::default());
        let (mut offset, mut first) = (0, None);
        loop {
            let known = if offset == 0 { known } else { "" };
            let page = redis.read_revocations(known, offset, reader, before).await?;
            let RevocationPage { version, is_known, taken, values } = page;
            if is_known {
                return Some(None);
            }
            if *first.get_or_insert_with(|| version.clone()) != version {
                break;
            }
            for RevocationValue { id, plain, remaining } in values {
                match plain.as_ref().and_then(read) {
                    Some(revocation) => list.insert(revocation),
                    None => unreadable.add(id, remaining),
                }
            }
            offset += taken;
            if taken == 0 || offset >= RevocationList::MOST {
                return Some(Some(ReadRevocations { list, unreadable, version }));
            }
        }
    }
    // It changes all the time; the next look may find it at rest.
    Some(None)
}

async fn put(
    redis: &Redis,
    revocation: &Revocation,
    replace: bool,
    now: DateTime<Utc>,
) -> Option<bool> {
    let life = (revocation.until() - now).to_std().unwrap_or_default();
    redis.put_revocation(&parts(revocation.what()), &write(revocation), life, replace).await
}

/// What the value's name in Redis is derived from.
fn parts(what: &Revoked) -> [String; 3] {
    ["revocation".to_owned(), what.kind().as_str().to_owned(), what.name()]
}

/// A revocation in Redis, before encryption. A new field needs a default, so that replicas of two versions can read it.
#[derive(Deserialize, Serialize)]
struct Record {
    kind: String,
    name: String,
    until: DateTime<Utc>,
    reason: String,
}

fn write(revocation: &Revocation) -> SecretSlice<u8> {
    let record = Record {
        kind: revocation.what().kind().as_str().to_owned(),
        name: revocation.what().name(),
        until: revocation.until(),
        reason: revocation.reason().as_str().to_owned(),
    };
    serde_json::to_vec(&record).expect("text and times can be written").into()
}

/// A decrypted value may still fail to parse: another version may have written it. Such a one is ignored.
fn read(plain: &SecretSlice<u8>) -> Option<Arc<Revocation>> {
    let revocation = (|| {
        let record: Record = serde_json::from_slice(plain.expose_secret()).ok()?;
        let what = Revoked::parse(RevokedKind::named(&record.kind)?, &record.name).ok()?;
        let reason = Reason::try_from(record.reason).ok()?;
        Some(Revocation::accepted(what, record.until, reason))
    })();
    if revocation.is_none() {
        tracing::warn!(
            "a revocation in Redis is of a form that this version does not know; ignoring it"
        );
    }
    revocation.map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_survives_write_and_read_and_other_values_are_none() {
        let now: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        let what = Revoked::parse(RevokedKind::User, "company/alice").unwrap();
        let until = now + chrono::TimeDelta::hours(12);
        let revocation = Revocation::new(what, until, "stolen".parse().unwrap(), now).unwrap();
        assert_eq!(read(&write(&revocation)).as_deref(), Some(&revocation));
        for other in
            ["", "{}", r#"{"kind":"device","name":"a","until":"2016-01-13T14:02:37Z","reason":""}"#]
        {
            assert!(read(&other.as_bytes().to_vec().into()).is_none(), "{other}");
        }
    }
}
