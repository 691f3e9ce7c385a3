//! Keeps the lists of revocations current: that of the file, and that which replicas share through Redis.
//!
//! What cannot be read leaves the last list active. Each loop is short enough that a change is active within a second, as far as
//! the list is read in that time.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::config::{FileReads, Problem, Problems, RevokedFile};
use crate::revocation::{
    Polled, PresentedIdentity, RevocationList, RevocationSource, Revocations, SharedRevocations,
};
use crate::store::Store;
use crate::sts::StsClient;
use crate::telemetry::RevocationMetrics;
use crate::vend::Vendors;
use appserver_domain::clock::Clock;

/// Between two looks at the file. A change is active after two looks that agree.
const FILE_INTERVAL: Duration = Duration::from_millis(250);
/// Between two looks at Redis.
const REDIS_INTERVAL: Duration = Duration::from_millis(500);
/// A file that was written within the last looks may be written again without another time or size.
const LOOKS_UNTIL_SETTLED: u32 = 12;
/// Looks between two counts of the revocations that are still active.
const LOOKS_BETWEEN_COUNTS: u32 = 20;

/// What a new list changes.
#[derive(Clone, Debug)]
pub(super) struct Enforcement {
    pub(super) revocations: Arc<Revocations>,
    pub(super) vendors: Arc<Vendors<StsClient>>,
    pub(super) metrics: RevocationMetrics,
    pub(super) clock: Clock,
}

impl Enforcement {
    /// Activates the list of a source, and removes the cached tokens of callers that are newly revoked.
    ///
    /// A token that is on its way to such a caller is cached afterwards and not handed out: the caller is refused first.
    fn replace(&self, source: RevocationSource, list: RevocationList) {
        let now = self.clock.now();
        let (all, count) = (list.iter().count(), list.count(now));
        let new = self.revocations.replace(source, list, now);
        let new_count = new.count(now);
        let mut tokens = 0;
        if new_count > 0 {
            tokens = self.vendors.remove_holders(|holder| {
                let user = holder.user.as_ref().map(|(issuer, subject)| (issuer, subject));
                let client = &holder.client;
                new.find(&PresentedIdentity { client, user, ticket: None, jwt: None }, now)
                    .is_some()
            });
        }
        self.metrics.active(source.as_str(), count);
        tracing::info!(
            revocation.source = source.as_str(),
            revocation.count = count,
            revocation.new = new_count,
            revocation.ended = all - count,
            cache.tokens = tokens,
            "list of revocations read; the cached tokens of callers that are new in it are removed"
        );
    }

    /// Activates the list that a server starts with.
    pub(super) fn start(&self, list: RevocationList) {
        self.up(RevocationSource::File, true);
        self.replace(RevocationSource::File, list);
    }

    fn count(&self, source: RevocationSource) {
        let count = self.revocations.of_source(source).count(self.clock.now());
        self.metrics.active(source.as_str(), count);
    }

    fn up(&self, source: RevocationSource, is_up: bool) {
        self.metrics.up(source.as_str(), is_up);
    }
}

/// Follows the file.
#[derive(Debug)]
pub(super) struct FileWatch {
    file: RevokedFile,
    /// What is active, or was refused.
    applied: Content,
    /// What was read last, if it differs from that.
    pending: Option<Content>,
    stamp: Option<FileStamp>,
    /// Looks since the stamp changed.
    looks: u32,
    reads: FileReads,
    /// The newest content that is parsed. A long one takes its time, and one that replaces it does not wait for it.
    parsing: Option<Parsing>,
    /// An older one that is still parsed, for nobody.
    superseded: Option<Parsing>,
}

/// Content that is parsed, beside the looks.
type Parsing = JoinHandle<Result<RevocationList, Problems>>;

/// What was read.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Content {
    /// SHA-256 of the text.
    Text([u8; 32]),
    Unreadable(String),
}

/// What changes when a file is replaced or written, or when a symbolic link before it is swapped, as Kubernetes does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct FileStamp([i128; 5]);

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        let nanos = |secs: i64, nanos: i64| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
        Some(Self([
            found.dev().into(),
            found.ino().into(),
            found.size().into(),
            nanos(found.mtime(), found.mtime_nsec()),
            nanos(found.ctime(), found.ctime_nsec()),
        ]))
    }
}

impl Content {
    fn of(text: &str) -> Self {
        Self::Text(Sha256::digest(text).into())
    }
}

impl FileWatch {
    /// Reads the file for the start of a server, which its problems prevent.
    pub(super) fn start(
        file: RevokedFile,
        clock: &Clock,
    ) -> Result<(Self, RevocationList), Problems> {
        let text = file.read()?;
        let list = file.parse(&text, clock.now())?.list;
        let applied = Content::of(&text);
        let reads = FileReads::default();
        let (pending, stamp, looks) = (None, None, 0);
        let (parsing, superseded) = (None, None);
        Ok((Self { file, applied, pending, stamp, looks, reads, parsing, superseded }, list))
    }

    /// Follows the file until it is aborted.
    pub(super) async fn run(mut self, enforcement: Enforcement) {
        let mut until_count = LOOKS_BETWEEN_COUNTS;
        loop {
            sleep(FILE_INTERVAL).await;
            self.look(&enforcement).await;
            self.activate(&enforcement).await;
            until_count -= 1;
            if until_count == 0 {
                enforcement.count(RevocationSource::File);
                until_count = LOOKS_BETWEEN_COUNTS;
            }
        }
    }

    async fn look(&mut self, enforcement: &Enforcement) {
        let file = self.file.clone();
        let known = self.stamp.filter(|_| self.looks >= LOOKS_UNTIL_SETTLED);
        let read = self.reads.read(move || {
            let stamp = FileStamp::of(file.path());
            let is_settled = stamp.is_some() && stamp == known;
            (stamp, (!is_settled).then(|| file.text()))
        });
        let (stamp, read) = match read.await {
            Ok(read) => read,
            Err(hang) => {
                if hang.is_new {
                    tracing::error!(
                        "file of revocations not read; the last list stays active: {hang}"
                    );
                    enforcement.up(RevocationSource::File, false);
                }
                return;
            }
        };
        self.looks = if stamp == self.stamp { self.looks.saturating_add(1) } else { 0 };
        self.stamp = stamp;
        let Some(read) = read else { return };
        let content = match &read {
            Ok(text) => Content::of(text),
            Err(error) => Content::Unreadable(error.to_string()),
        };
        if content == self.applied {
            self.pending = None;
        } else if self.pending.as_ref() == Some(&content) {
            if self.parsing.is_some()
                && self.superseded.as_ref().is_some_and(|old| !old.is_finished())
            {
                // Two at once are enough: this one is read again.
                self.looks = 0;
                return;
            }
            (self.pending, self.applied) = (None, content);
            self.parse(read, enforcement);
        } else {
            // An editor may be at it: what two looks in a row see is what is meant.
            self.pending = Some(content);
        }
    }

    fn parse(&mut self, read: std::io::Result<String>, enforcement: &Enforcement) {
        let (file, now) = (self.file.clone(), enforcement.clock.now());
        let parsing = tokio::task::spawn_blocking(move || {
            let text = read.map_err(|error| file.unreadable(&error))?;
            file.parse(&text, now).map(|read| read.list)
        });
        if let Some(old) = self.parsing.replace(parsing) {
            self.superseded = Some(old);
        }
    }

    /// Activates what is parsed, if that is done before the next look.
    async fn activate(&mut self, enforcement: &Enforcement) {
        let Some(parsing) = &mut self.parsing else { return };
        let Ok(parsed) = timeout(FILE_INTERVAL, parsing).await else { return };
        self.parsing = None;
        let parsed = parsed.expect("reading revocations does not panic");
        enforcement.up(RevocationSource::File, parsed.is_ok());
        match parsed {
            Ok(list) => enforcement.replace(RevocationSource::File, list),
            Err(problems) => {
                for Problem { path, message } in problems.iter() {
                    tracing::error!(config.key = path, "{message}");
                }
                tracing::error!("file of revocations refused; the last list stays active");
            }
        }
    }
}

/// Follows the list in Redis.
#[derive(Debug)]
pub(super) struct SharedWatch {
    store: Arc<Store>,
    shared: SharedRevocations,
    /// Whether the last look found the list; `None` before the first.
    is_up: Option<bool>,
    /// How many revocations of the list could not be read at the last look.
    unreadable: usize,
}

impl SharedWatch {
    /// The watch; none where replicas share nothing.
    pub(super) fn new(store: &Arc<Store>) -> Option<Self> {
        match **store {
            Store::Memory => None,
            Store::Redis(_) => {
                let (store, shared) = (Arc::clone(store), SharedRevocations::default());
                Some(Self { store, shared, is_up: None, unreadable: 0 })
            }
        }
    }

    /// Follows the list until it is aborted.
    pub(super) async fn run(mut self, enforcement: Enforcement) {
        let mut until_count = LOOKS_BETWEEN_COUNTS;
        loop {
            sleep(REDIS_INTERVAL).await;
            self.look(&enforcement).await;
            until_count -= 1;
            if until_count == 0 {
                enforcement.count(RevocationSource::Redis);
                until_count = LOOKS_BETWEEN_COUNTS;
            }
        }
    }

    /// Reads the list if it has changed.
    pub(super) async fn look(&mut self, enforcement: &Enforcement) {
        let polled = match self.store.shared() {
            None => Polled::Unreachable,
            Some(redis) => self.shared.poll(redis, enforcement.clock.now()).await,
        };
        let is_up = !matches!(polled, Polled::Unreachable);
        // `appserver revoke` names a replica that has not read a revocation by this id.
        let replica = self.store.replica();
        match (is_up, self.is_up) {
            (false, Some(true)) => tracing::error!(
                store.replica = replica,
                "revocations are not read from Redis, which does not answer; the last list stays active"
            ),
            (false, None) => tracing::error!(
                store.replica = replica,
                "revocations are not read from Redis, which does not answer; only those of `revoked.file` are active"
            ),
            (true, Some(false)) => {
                tracing::info!(store.replica = replica, "revocations are read from Redis again");
            }
            (true, None) => {
                tracing::info!(store.replica = replica, "revocations are read from Redis");
            }
            (true, Some(true)) | (false, Some(false)) => {}
        }
        self.is_up = Some(is_up);
        // What cannot be read is not enforced: that is no smaller fault than a list that is not read.
        let unreadable = self.shared.unreadable(enforcement.clock.now());
        if unreadable > 0 && unreadable != self.unreadable {
            tracing::error!(
                revocation.count = unreadable,
                "revocations in Redis are not enforced, because they cannot be decrypted with the keys of `store.redis` or are of \
                 a newer version"
            );
        }
        self.unreadable = unreadable;
        enforcement.up(RevocationSource::Redis, is_up && unreadable == 0);
        if let Polled::Changed(list) = polled {
            enforcement.replace(RevocationSource::Redis, list);
        }
    }
}
