//! The revocations that replicas share. They are opaque here: encrypted values that end by themselves, and that are replaced only
//! by somebody who has read them.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use secrecy::SecretSlice;

use super::lease::Lease;
use super::name::Names;
use super::redis::{Redis, millis};
use crate::telemetry::StoreOperation;

/// The most revocations that replicas share.
const MAX_VALUES: u32 = 100_000;
/// The most values that one call reads, of a few hundred bytes each.
const READ_AT_ONCE: usize = 1_000;
/// No revocation lives longer.
const MAX_LIFE: Duration = Duration::from_hours(366 * 24);
/// The most replicas that are counted.
const MAX_READERS: usize = 1_000;

/// A part of the list.
#[derive(Debug)]
pub(crate) struct RevocationPage {
    /// Another one after each change of the list. Empty if Redis has no list, or has lost a part of it.
    pub(crate) version: String,
    /// Whether the caller knows this version already. Then nothing else is read.
    pub(crate) is_known: bool,
    /// How many entries were read.
    pub(crate) taken: usize,
    pub(crate) is_last: bool,
    pub(crate) values: Vec<RevocationValue>,
}

/// An entry of the list.
#[derive(Debug)]
pub(crate) struct RevocationValue {
    /// That of the parts it was put with.
    pub(crate) id: String,
    /// `None` if it cannot be decrypted. Then nothing is known of it: it may refuse somebody.
    pub(crate) plain: Option<SecretSlice<u8>>,
    /// Until it ends, by the clock of Redis.
    pub(crate) remaining: Duration,
    /// As it is in Redis.
    stored: Vec<u8>,
}

/// What became of a value that was to replace another.
#[derive(Debug)]
pub(crate) enum ReplaceOutcome {
    Done,
    /// Another value is there: nothing was replaced.
    Changed(Option<RevocationValue>),
    Full,
}

/// How a replica that reads the list describes itself in Redis: its id, the version that it read last, its keys, and proofs of
/// what it knows.
///
/// Anybody who can write to Redis can write all of this but the proofs: these need a key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ReaderMark(String);

/// A state of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct KnownRevocation {
    pub(crate) id: String,
    /// Another text for each other state.
    pub(crate) statement: String,
}

/// The replicas that read the list within the last seconds, by their ids.
#[derive(Debug, Default)]
pub(crate) struct RevocationReaders {
    /// The version of the list now.
    pub(crate) version: String,
    pub(crate) replicas: BTreeMap<String, RevocationReader>,
}

#[derive(Debug)]
pub(crate) struct RevocationReader {
    /// That which it says that it has read last.
    pub(crate) version: String,
    /// Whether it cannot decrypt what this program encrypts.
    pub(crate) has_other_keys: bool,
    proofs: HashSet<String>,
}

/// The result of `revocations.lua`.
type RawRevocations = (String, u8, usize, Vec<Vec<u8>>, i64);

impl Redis {
    /// This replica's id among the readers of the list.
    pub(crate) fn replica(&self) -> &str {
        &self.replica
    }

    /// How this replica describes itself once it has read this version and enforces these states.
    pub(crate) fn reader_mark(&self, version: &str, known: &[KnownRevocation]) -> ReaderMark {
        let keys: Vec<_> = self.names_by_key.iter().map(Names::key_id).collect();
        let proofs = self.names_by_key.iter().flat_map(|names| {
            known.iter().map(|known| proof_of_knowledge(names, &self.replica, known))
        });
        let (keys, proofs) = (keys.join(","), proofs.collect::<Vec<_>>().join(","));
        ReaderMark(format!("{} {version} {keys} {proofs}", self.replica))
    }

    /// Whether this replica has proven that it knows this state.
    pub(crate) fn knows_revocation(
        &self,
        replica: &str,
        reader: &RevocationReader,
        known: &KnownRevocation,
    ) -> bool {
        let names = self.names_by_key.first();
        names
            .is_some_and(|names| reader.proofs.contains(&proof_of_knowledge(names, replica, known)))
    }

    /// Reads a part of the list, unless its version is the known one. What has ended by the clock of Redis is in it. A reader
    /// with a mark is counted as one, in place of the mark before.
    pub(crate) async fn read_revocations(
        &self,
        known: &str,
        offset: usize,
        reader: &ReaderMark,
        before: &ReaderMark,
    ) -> Option<RevocationPage> {
        let [offset, most] = [offset, READ_AT_ONCE].map(|number| number.to_string());
        let arguments = [
            b"read".as_slice(),
            known.as_bytes(),
            offset.as_bytes(),
            most.as_bytes(),
            reader.0.as_bytes(),
            before.0.as_bytes(),
        ];
        let (version, is_known, taken, entries, _) = self.revocations(&arguments).await?;
        let values = entries.as_chunks::<3>().0.iter().map(|[id, stored, millis]| {
            let millis = std::str::from_utf8(millis).ok().and_then(|text| text.parse().ok());
            // One whose end is unknown does not end.
            let remaining =
                millis.map_or(MAX_LIFE, |millis| Duration::from_millis(millis).min(MAX_LIFE));
            self.value(String::from_utf8_lossy(id).into_owned(), stored.clone(), remaining)
        });
        let values = values.collect();
        let is_last = taken < READ_AT_ONCE;
        Some(RevocationPage { version, is_known: is_known == 1, taken, is_last, values })
    }

    /// How the value that these parts identify is called in the list.
    pub(crate) fn revocation_id(&self, parts: &[impl AsRef<str>]) -> String {
        self.names.id(parts)
    }

    /// What Redis has under this id; `None` inside if there is nothing.
    pub(crate) async fn stored_revocation(&self, id: &str) -> Option<Option<RevocationValue>> {
        let (_, _, _, values, _) = self.revocations(&[b"get", id.as_bytes()]).await?;
        Some(self.stored(id, values))
    }

    /// Replaces what was read under this id, if that is still there; removes it if there is no new value.
    pub(crate) async fn replace_revocation(
        &self,
        id: &str,
        before: Option<&RevocationValue>,
        plain: Option<&SecretSlice<u8>>,
        life: Duration,
    ) -> Option<ReplaceOutcome> {
        let value = plain.map(|plain| self.seal.seal(&sealed_name(id), plain)).unwrap_or_default();
        let (life, most) = (millis(life).max(1).to_string(), MAX_VALUES.to_string());
        let version = Lease::new_id();
        let arguments = [
            b"replace".as_slice(),
            id.as_bytes(),
            before.map_or(&[][..], |before| &before.stored),
            &value,
            life.as_bytes(),
            most.as_bytes(),
            version.as_bytes(),
        ];
        let (_, done, _, values, _) = self.revocations(&arguments).await?;
        Some(match done {
            0 => ReplaceOutcome::Changed(self.stored(id, values)),
            1 => ReplaceOutcome::Done,
            _ => ReplaceOutcome::Full,
        })
    }

    /// The replicas that read the list.
    pub(crate) async fn revocation_readers(&self) -> Option<RevocationReaders> {
        let most = MAX_READERS.to_string();
        let (version, _, _, marks, _) = self.revocations(&[b"readers", most.as_bytes()]).await?;
        let own = self.names_by_key.first().map(Names::key_id).unwrap_or_default();
        let mut readers = RevocationReaders { version, replicas: BTreeMap::new() };
        // In the order of their times: of two of one replica the later one counts.
        for mark in marks.iter().take(MAX_READERS).filter_map(|mark| std::str::from_utf8(mark).ok())
        {
            let parts: Vec<_> = mark.split(' ').collect();
            let [replica, version, keys, proofs] = parts[..] else { continue };
            let version = version.to_owned();
            let has_other_keys = !keys.split(',').any(|key| key == own);
            let proofs = proofs.split(',').map(str::to_owned).collect();
            let reader = RevocationReader { version, has_other_keys, proofs };
            readers.replicas.insert(replica.to_owned(), reader);
        }
        Some(readers)
    }

    async fn revocations(&self, arguments: &[&[u8]]) -> Option<RawRevocations> {
        let mut script = self.scripts.revocations.key(self.names.common("revocations"));
        script.key(self.names.common("revocations-until"));
        script.key(self.names.common("revocations-readers"));
        for argument in arguments {
            script.arg(*argument);
        }
        let raw: RawRevocations = self.connection.run(StoreOperation::Revocations, &script).await?;
        self.report_replaced(StoreOperation::Revocations, raw.4);
        Some(raw)
    }

    fn stored(&self, id: &str, values: Vec<Vec<u8>>) -> Option<RevocationValue> {
        let stored = values.into_iter().next().filter(|stored| !stored.is_empty());
        stored.map(|stored| self.value(id.to_owned(), stored, MAX_LIFE))
    }

    fn value(&self, id: String, stored: Vec<u8>, remaining: Duration) -> RevocationValue {
        let plain =
            self.decrypt(&sealed_name(&id), Some(stored.clone()), |plain| Some(plain.clone()));
        RevocationValue { id, plain, remaining, stored }
    }
}

/// Only who has the key can make it, for this replica alone, and only of a state that it has decrypted.
fn proof_of_knowledge(names: &Names, replica: &str, known: &KnownRevocation) -> String {
    names.id(&["known revocation", replica, &known.id, &known.statement])
}

/// A value decrypts only under its own id.
fn sealed_name(id: &str) -> String {
    format!("revocation {id}")
}
