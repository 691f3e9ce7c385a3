//! The active lists, which every request is checked against.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::entry::Revocation;
use super::list::{PresentedIdentity, RevocationList};

/// Where a list is from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RevocationSource {
    File,
    Redis,
}

/// The lists of both sources. Each is replaced as a whole.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    /// Whether either list has an entry: all that a check reads where nothing is revoked.
    any: AtomicBool,
    file: ArcSwap<RevocationList>,
    redis: ArcSwap<RevocationList>,
    /// Held while a list is replaced, so that `any` is that of the last lists. Never across an await.
    replacing: Mutex<()>,
}

impl RevocationSource {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Redis => "redis",
        }
    }
}

impl Revocations {
    /// An active revocation that refuses the request, if there is one. Where nothing is revoked the clock is not read.
    pub(crate) fn find(
        &self,
        presented: &PresentedIdentity<'_>,
        now: impl FnOnce() -> DateTime<Utc>,
    ) -> Option<Arc<Revocation>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let now = now();
        [&self.file, &self.redis]
            .into_iter()
            .find_map(|list| list.load().find(presented, now).cloned())
    }

    /// Replaces the list of a source. Returns the revocations that it did not have before.
    pub(crate) fn replace(
        &self,
        source: RevocationSource,
        list: RevocationList,
        now: DateTime<Utc>,
    ) -> RevocationList {
        let list = Arc::new(list);
        let _replacing = self.replacing.lock();
        let before = self.of(source).swap(Arc::clone(&list));
        let has_any = |list: &ArcSwap<RevocationList>| list.load().iter().next().is_some();
        self.any.store(has_any(&self.file) || has_any(&self.redis), Ordering::Release);
        list.since(&before, now)
    }

    /// The active list of a source.
    pub(crate) fn of_source(&self, source: RevocationSource) -> Arc<RevocationList> {
        self.of(source).load_full()
    }

    fn of(&self, source: RevocationSource) -> &ArcSwap<RevocationList> {
        match source {
            RevocationSource::File => &self.file,
            RevocationSource::Redis => &self.redis,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_file;
    use super::*;

    #[test]
    fn either_list_refuses_and_an_empty_one_lifts_only_its_own() {
        let now: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        let list = |name: &str| {
            let row = format!("[[revoked]]\nclient = \"{name}\"\nuntil = 2016-01-14T00:00:00Z\n");
            parse_file(&row, now).unwrap().list
        };
        let revocations = Revocations::default();
        let refused = || {
            ["one-app", "two-app"].map(|client| {
                let client = client.parse().unwrap();
                let presented =
                    PresentedIdentity { client: &client, user: None, ticket: None, jwt: None };
                revocations.find(&presented, || now).is_some()
            })
        };
        assert_eq!(refused(), [false, false]);
        assert_eq!(revocations.replace(RevocationSource::File, list("one-app"), now).count(now), 1);
        revocations.replace(RevocationSource::Redis, list("two-app"), now);
        assert_eq!(refused(), [true, true]);
        revocations.replace(RevocationSource::Redis, RevocationList::default(), now);
        assert_eq!(refused(), [true, false]);
        assert_eq!(revocations.replace(RevocationSource::File, list("one-app"), now).count(now), 0);
        revocations.replace(RevocationSource::File, RevocationList::default(), now);
        assert_eq!(refused(), [false, false]);
    }
}
