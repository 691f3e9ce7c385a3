//! One bucket and what is in it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::Keeping;
use super::room::Taken;
use super::source::{Payload, Source};
use super::spool::Spooled;
use super::upload::Upload;
use crate::oss::access::{Acl, Guarded};
use crate::oss::refusal::Refusal;
use crate::settings::BucketSettings;

/// Each has a few hundred bytes of metadata at the most usual.
const MOST_OBJECTS: usize = 100_000;

pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) acl: Acl,
    pub(crate) created: DateTime<Utc>,
    /// Held to look up, list or change, never across an await. Files are renamed and opened under it, so that an object
    /// and its bytes always belong together.
    contents: Mutex<Contents>,
}

#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
    pub(crate) uploads: BTreeMap<String, Upload>,
}

/// An object without its bytes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) length: u64,
    /// With its quotation marks.
    pub(crate) etag: String,
    pub(crate) crc64: u64,
    pub(crate) last_modified: DateTime<Utc>,
    /// `Normal` or `Multipart`.
    pub(crate) kind: String,
    pub(crate) meta: Meta,
    #[serde(skip)]
    kept: Kept,
}

/// Headers that are kept with an object, by lower-case name.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Meta(pub(crate) BTreeMap<String, String>);

/// Where an object's bytes are.
#[derive(Clone, Debug, Default)]
enum Kept {
    Memory(Arc<(Bytes, Taken)>),
    File(PathBuf),
    /// Read from a file a moment ago, which knows where it is.
    #[default]
    Unplaced,
}

impl PartialEq for Kept {
    /// Objects are the same wherever they are kept.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Kept {}

/// An object that is to be put.
pub(crate) struct New {
    object: Object,
    payload: Payload,
    /// Refuses to replace another.
    pub(crate) only_if_absent: bool,
}

/// An object and its bytes.
pub(crate) struct Opened {
    pub(crate) object: Arc<Object>,
    pub(crate) source: Source,
}

impl Bucket {
    /// `found` is what was kept in a folder.
    pub(crate) fn new(
        settings: &BucketSettings,
        now: DateTime<Utc>,
        found: Vec<(Object, PathBuf)>,
    ) -> Self {
        let placed = found.into_iter().map(|(object, path)| {
            (object.key.clone(), Arc::new(Object { kept: Kept::File(path), ..object }))
        });
        let contents = Contents { objects: placed.collect(), uploads: BTreeMap::new() };
        Self {
            name: settings.name.as_str().to_owned(),
            region: settings.region.clone(),
            account: settings.account.clone(),
            acl: settings.acl,
            created: now.trunc_subsecs(0),
            contents: Mutex::new(contents),
        }
    }

    pub(crate) fn guarded(&self) -> Guarded<'_> {
        Guarded { owner: &self.account, acl: self.acl }
    }

    /// `oss-cn-hangzhou`
    pub(crate) fn location(&self) -> String {
        format!("oss-{}", self.region)
    }

    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().expect("nothing panics while it is held")
    }

    pub(crate) fn find(&self, key: &str) -> Result<Arc<Object>, Refusal> {
        self.contents().objects.get(key).cloned().ok_or(Refusal::NoSuchKey)
    }

    pub(crate) fn open(&self, key: &str) -> Result<Opened, Refusal> {
        let contents = self.contents();
        let object = contents.objects.get(key).cloned().ok_or(Refusal::NoSuchKey)?;
        let source = match &object.kept {
            Kept::Memory(kept) => Source::Memory(kept.0.clone()),
            Kept::File(path) => Source::File(std::fs::File::open(path).map_err(Refusal::Storage)?),
            Kept::Unplaced => return Err(Refusal::NoSuchKey),
        };
        Ok(Opened { object, source })
    }

    /// Puts an object in place of any other with its key, at once: whoever reads gets the old one or the new one whole.
    pub(crate) fn put(&self, keeping: &Keeping, new: New) -> io::Result<Put> {
        let New { object, payload, only_if_absent } = new;
        if let (Keeping::Folder(folder), Payload::File(path)) = (keeping, &payload) {
            folder.append_description(&path.0, &object)?;
        }
        let mut contents = self.contents();
        let replaces = contents.objects.contains_key(&object.key);
        if only_if_absent && replaces {
            return Ok(Put::Exists);
        }
        if !replaces && contents.objects.len() >= MOST_OBJECTS {
            return Ok(Put::Full);
        }
        let kept = match (keeping, payload) {
            (Keeping::Folder(folder), Payload::File(path)) => {
                let place = folder.place(&self.name, &object.key);
                std::fs::rename(&path.0, &place)?;
                Kept::File(place)
            }
            (_, Payload::Memory { bytes, taken }) => Kept::Memory(Arc::new((bytes, taken))),
            (Keeping::Memory(_), Payload::File(_)) => {
                unreachable!("a store in memory spools into memory")
            }
        };
        let object = Arc::new(Object { kept, ..object });
        contents.objects.insert(object.key.clone(), object.clone());
        Ok(Put::Done(object))
    }

    /// Whether there was one. OSS does not mind if there was none.
    pub(crate) fn delete(&self, key: &str) -> Result<bool, Refusal> {
        let mut contents = self.contents();
        let Some(object) = contents.objects.get(key) else { return Ok(false) };
        if let Kept::File(path) = &object.kept {
            std::fs::remove_file(path).map_err(Refusal::Storage)?;
        }
        contents.objects.remove(key);
        Ok(true)
    }
}

/// What became of a put.
pub(crate) enum Put {
    Done(Arc<Object>),
    Exists,
    Full,
}

impl Put {
    pub(crate) fn done(self) -> Result<Arc<Object>, Refusal> {
        match self {
            Self::Done(object) => Ok(object),
            Self::Exists => Err(Refusal::AlreadyExists),
            Self::Full => Err(Refusal::Full("The emulator keeps 100,000 objects in a bucket.")),
        }
    }
}

impl New {
    pub(crate) fn normal(key: String, meta: Meta, spooled: Spooled, now: DateTime<Utc>) -> Self {
        let etag = spooled.etag();
        Self::of_kind("Normal", key, meta, spooled, etag, now)
    }

    pub(crate) fn multipart(
        key: String,
        meta: Meta,
        spooled: Spooled,
        etag: String,
        now: DateTime<Utc>,
    ) -> Self {
        Self::of_kind("Multipart", key, meta, spooled, etag, now)
    }

    fn of_kind(
        kind: &str,
        key: String,
        meta: Meta,
        spooled: Spooled,
        etag: String,
        now: DateTime<Utc>,
    ) -> Self {
        let Spooled { payload, crc64, length, .. } = spooled;
        let object = Object {
            key,
            length,
            etag,
            crc64,
            // OSS tells times by the second.
            last_modified: now.trunc_subsecs(0),
            kind: kind.to_owned(),
            meta,
            kept: Kept::Unplaced,
        };
        Self { object, payload, only_if_absent: false }
    }
}

impl Meta {
    pub(crate) fn of_type(content_type: &str) -> Self {
        Self([("content-type".to_owned(), content_type.to_owned())].into())
    }
}
