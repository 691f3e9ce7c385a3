//! The buckets and their objects, in memory or in a folder.

mod backend;
mod bucket;
mod folder;
mod memory_quota;
mod new_object;
mod object;
mod source;
mod spool;
mod upload;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub(crate) use backend::Backend;
pub(crate) use bucket::{Bucket, Opened};
pub(crate) use new_object::NewObject;
pub(crate) use object::{Meta, Object, STORAGE_CLASS};
pub(crate) use spool::{Limits, Spool, Spooled};
pub(crate) use upload::{Part, Upload, etag_of};

use self::folder::Folder;
use self::memory_quota::MemoryQuota;
use super::demo_images::generate;
use crate::oss::bucket_settings::BucketSettings;

/// All buckets of the emulator. They come from its configuration; requests create none.
pub(crate) struct Store {
    buckets: BTreeMap<String, Bucket>,
    backend: Backend,
}

impl Store {
    /// Opens the configured buckets. With a folder, stored objects are loaded; a bucket that is new there, and every bucket in memory,
    /// starts with its configured objects.
    pub(crate) fn open(
        buckets: Vec<BucketSettings>,
        folder: Option<&Path>,
        now: DateTime<Utc>,
    ) -> io::Result<Self> {
        let backend = match folder {
            Some(path) => Backend::Folder(Arc::new(Folder::open(path)?)),
            None => Backend::Memory(MemoryQuota::new()),
        };
        let mut opened = BTreeMap::new();
        for settings in buckets {
            let name = settings.name.as_str().to_owned();
            let (found, is_new) = match &backend {
                Backend::Memory(_) => (Vec::new(), true),
                Backend::Folder(folder) => folder.bucket(&name)?,
            };
            let bucket = Bucket::new(&settings, now, found);
            if is_new {
                for key in &settings.objects {
                    let (content_type, bytes) = generate(key);
                    let spooled = Spooled::of(&backend, bytes)?;
                    let meta = Meta::of_type(content_type);
                    bucket.put(&backend, NewObject::normal(key.clone(), meta, spooled, now))?;
                }
            }
            opened.insert(name, bucket);
        }
        Ok(Self { buckets: opened, backend })
    }

    pub(crate) fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets.get(name)
    }

    /// The bucket that a host is bound to.
    pub(crate) fn bucket_of_domain(&self, host: &str) -> Option<&Bucket> {
        self.buckets().find(|bucket| bucket.domains.iter().any(|domain| domain == host))
    }

    pub(crate) fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.buckets.values()
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }
}
