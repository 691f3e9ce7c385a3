//! The list that replicas share through Redis, as one replica keeps up with it.
//!
//! Redis may lose what it keeps. Then its version is gone, and each replica puts back what it still knows before any of them
//! trusts the list again.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};

use super::entry::{Reason, Revocation};
use super::list::RevocationList;
use super::revoked::{Revoked, RevokedKind};
use crate::store::{Redis, RevocationPage};

/// Reads of a list that changes while it is read.
const TRIES: usize = 5;

/// The shared list, with the version that was read last.
#[derive(Debug, Default)]
pub(crate) struct SharedRevocations {
    version: String,
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
        let Some(read) = read_list(redis, &self.version).await else {
            return Polled::Unreachable;
        };
        let Some((version, mut list)) = read else { return Polled::Unchanged };
        if version.is_empty() {
            let lost: Vec<_> = own.since(&list, now).iter().cloned().collect();
            let lost: Vec<_> = lost.into_iter().filter(|one| one.is_active(now)).collect();
            if lost.is_empty() && list.iter().next().is_none() {
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
            if redis.settle_revocations().await.is_none() {
                return Polled::Unreachable;
            }
            // Another replica may have put some back as well: the next look reads all of them.
            return Polled::Changed(list);
        }
        self.version = version;
        Polled::Changed(list)
    }

    /// The whole shared list; `None` if Redis does not answer.
    pub(crate) async fn all(redis: &Redis) -> Option<RevocationList> {
        let read = read_list(redis, "").await?;
        Some(read.map(|(_, list)| list).unwrap_or_default())
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

/// The version and the list, unless this version is the known one; `None` if Redis does not answer.
async fn read_list(redis: &Redis, known: &str) -> Option<Option<(String, RevocationList)>> {
    for _ in 0..TRIES {
        let mut list = RevocationList::default();
        let (mut offset, mut first) = (0, None);
        loop {
            let page = redis.read_revocations(if offset == 0 { known } else { "" }, offset).await?;
            let RevocationPage { version, is_known, taken, values } = page;
            if is_known {
                return Some(None);
            }
            if *first.get_or_insert_with(|| version.clone()) != version {
                break;
            }
            values.iter().filter_map(read).for_each(|one| list.insert(one));
            offset += taken;
            if taken == 0 || offset >= RevocationList::MOST {
                return Some(Some((version, list)));
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
