//! The revocations that replicas share. They are opaque here: encrypted values that end by themselves.

use std::time::Duration;

use secrecy::SecretSlice;

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
    /// Changes with the list. Empty if Redis has none, or may have lost some of it.
    pub(crate) version: String,
    /// Whether the caller knows this version already. Then nothing else is read.
    pub(crate) is_known: bool,
    /// How many entries were read. None are left after it if it is 0.
    pub(crate) taken: usize,
    pub(crate) values: Vec<RevocationValue>,
}

/// An entry of the list.
#[derive(Debug)]
pub(crate) struct RevocationValue {
    /// That of the parts it was put with.
    pub(crate) id: String,
    /// `None` if it cannot be decrypted.
    pub(crate) plain: Option<SecretSlice<u8>>,
    /// Until it ends, by the clock of Redis.
    pub(crate) remaining: Duration,
}

/// How a replica that reads the list describes itself in Redis: its id, the version that it read last, and its keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ReaderMark(String);

/// The replicas that read the list within the last seconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct RevocationReaders {
    pub(crate) all: usize,
    /// Those that cannot decrypt what this program encrypts.
    pub(crate) with_other_keys: usize,
    /// Those of the others that have read the current version.
    pub(crate) current: usize,
}

/// The result of `revocations.lua`.
type RawRevocations = (String, bool, usize, Vec<Vec<u8>>, i64);

impl Redis {
    /// How this replica describes itself once it has read this version.
    pub(crate) fn reader_mark(&self, version: &str) -> ReaderMark {
        ReaderMark(format!("{} {version} {}", self.replica, self.key_ids.join(",")))
    }

    /// Reads a part of the list, unless its version is the known one. A reader with a mark is counted as one, in place of
    /// the mark before.
    pub(crate) async fn read_revocations(
        &self,
        known: &str,
        offset: usize,
        reader: &ReaderMark,
        before: &ReaderMark,
    ) -> Option<RevocationPage> {
        let (offset, most) = (offset.to_string(), READ_AT_ONCE.to_string());
        let arguments = [
            b"read".as_slice(),
            known.as_bytes(),
            offset.as_bytes(),
            most.as_bytes(),
            reader.0.as_bytes(),
            before.0.as_bytes(),
        ];
        let (version, is_known, taken, entries, _) = self.revocations(&arguments).await?;
        let values = entries.as_chunks::<3>().0.iter().map(|[id, value, millis]| {
            let id = String::from_utf8_lossy(id).into_owned();
            let plain =
                self.decrypt(&sealed_name(&id), Some(value.clone()), |plain| Some(plain.clone()));
            let millis = std::str::from_utf8(millis).ok().and_then(|text| text.parse().ok());
            // One whose end is unknown does not end.
            let remaining =
                millis.map_or(MAX_LIFE, |millis| Duration::from_millis(millis).min(MAX_LIFE));
            RevocationValue { id, plain, remaining }
        });
        let values = values.collect();
        Some(RevocationPage { version, is_known, taken: taken.min(READ_AT_ONCE), values })
    }

    /// How the value that these parts identify is called in the list.
    pub(crate) fn revocation_id(&self, parts: &[impl AsRef<str>]) -> String {
        self.names.id(parts)
    }

    /// Counts the replicas that read the list.
    pub(crate) async fn revocation_readers(&self) -> Option<RevocationReaders> {
        let most = MAX_READERS.to_string();
        let (version, _, _, marks, _) = self.revocations(&[b"readers", most.as_bytes()]).await?;
        let own = self.key_ids.first().map(String::as_str).unwrap_or_default();
        let mut readers = RevocationReaders::default();
        for mark in marks.iter().take(MAX_READERS).filter_map(|mark| std::str::from_utf8(mark).ok())
        {
            let mut parts = mark.split(' ').skip(1);
            let (Some(read), Some(keys)) = (parts.next(), parts.next()) else { continue };
            readers.all += 1;
            if !keys.split(',').any(|key| key == own) {
                readers.with_other_keys += 1;
            } else if !version.is_empty() && read == version {
                readers.current += 1;
            }
        }
        Some(readers)
    }

    /// Adds the value that these parts identify. Returns whether there was space.
    pub(crate) async fn put_revocation(
        &self,
        parts: &[impl AsRef<str>],
        value: &SecretSlice<u8>,
        life: Duration,
        replace: bool,
    ) -> Option<bool> {
        let id = self.names.id(parts);
        let sealed = self.seal.seal(&sealed_name(&id), value);
        let (life, most) = (millis(life).to_string(), MAX_VALUES.to_string());
        let arguments = [
            b"put".as_slice(),
            id.as_bytes(),
            &sealed,
            life.as_bytes(),
            if replace { b"1" } else { b"0" },
            most.as_bytes(),
        ];
        self.revocations(&arguments).await.map(|(_, done, ..)| done)
    }

    /// Removes the value that these parts identify. Returns whether there was one.
    pub(crate) async fn remove_revocation(&self, parts: &[impl AsRef<str>]) -> Option<bool> {
        let id = self.names.id(parts);
        let arguments = [b"remove".as_slice(), id.as_bytes()];
        self.revocations(&arguments).await.map(|(_, done, ..)| done)
    }

    /// Declares that the list of this version has lost some of it.
    pub(crate) async fn distrust_revocations(&self, version: &str) -> Option<()> {
        self.revocations(&[b"distrust", version.as_bytes()]).await.map(drop)
    }

    /// Declares the list complete, with a version that is later than the known one.
    pub(crate) async fn settle_revocations(&self, known: &str) -> Option<()> {
        self.revocations(&[b"settle", known.as_bytes()]).await.map(drop)
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
}

/// A value decrypts only under its own id.
fn sealed_name(id: &str) -> String {
    format!("revocation {id}")
}
