//! Where buckets and objects are: in memory, or in a folder.

mod bucket;
mod folder;
mod room;
mod source;
mod spool;
mod upload;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub(crate) use bucket::{Bucket, Meta, New, Object, Opened};
pub(crate) use spool::{Limits, Spool, Spooled};
pub(crate) use upload::{Part, Upload, etag_of};

use self::folder::Folder;
use self::room::Room;
use super::painting::paint;
use crate::settings::BucketSettings;

/// All buckets of the emulator. They stand in its configuration; requests make no new ones.
pub(crate) struct Store {
    buckets: BTreeMap<String, Bucket>,
    keeping: Keeping,
}

/// Where bytes go.
#[derive(Clone)]
pub(crate) enum Keeping {
    /// With what is left of it.
    Memory(Room),
    Folder(Arc<Folder>),
}

impl Store {
    /// The configured buckets. With a folder, its objects are read back; a bucket that is new there (or any, in memory)
    /// begins with its configured objects.
    pub(crate) fn open(
        buckets: Vec<BucketSettings>,
        folder: Option<&Path>,
        now: DateTime<Utc>,
    ) -> io::Result<Self> {
        let keeping = match folder {
            Some(path) => Keeping::Folder(Arc::new(Folder::open(path)?)),
            None => Keeping::Memory(Room::new()),
        };
        let mut opened = BTreeMap::new();
        for settings in buckets {
            let name = settings.name.as_str().to_owned();
            let (found, is_new) = match &keeping {
                Keeping::Memory(_) => (Vec::new(), true),
                Keeping::Folder(folder) => folder.bucket(&name)?,
            };
            let bucket = Bucket::new(&settings, now, found);
            if is_new {
                for key in &settings.objects {
                    let (content_type, bytes) = paint(key);
                    let spooled = Spooled::of(&keeping, bytes)?;
                    let meta = Meta::of_type(content_type);
                    bucket.put(&keeping, New::normal(key.clone(), meta, spooled, now))?;
                }
            }
            opened.insert(name, bucket);
        }
        Ok(Self { buckets: opened, keeping })
    }

    pub(crate) fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets.get(name)
    }

    pub(crate) fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.buckets.values()
    }

    pub(crate) fn keeping(&self) -> &Keeping {
        &self.keeping
    }
}
