//! One bucket and its contents.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, SubsecRound, Utc};

use super::backend::{Backend, Payload};
use super::new_object::NewObject;
use super::object::{Location, Object};
use super::source::ObjectSource;
use super::upload::Upload;
use crate::oss::access::{Acl, BucketAccess};
use crate::oss::bucket_settings::BucketSettings;
use crate::oss::cors_rules::CorsRules;
use crate::oss::error::OssError;
use crate::ram::BucketPolicy;

/// Each usually has a few hundred bytes of metadata.
const MOST_OBJECTS: usize = 100_000;

pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) acl: Acl,
    pub(crate) created: DateTime<Utc>,
    /// Hosts that are bound to it.
    pub(crate) domains: Vec<String>,
    /// Replaced as a whole; `None` after their deletion. A plain mutex, held briefly and never across an await.
    cors: Mutex<Option<Arc<CorsRules>>>,
    /// Replaced as a whole; `None` until one is put. A plain mutex, held briefly and never across an await.
    policy: Mutex<Option<Arc<BucketPolicy>>>,
    /// A plain mutex, held briefly and never across an await. Files are renamed and opened under it, so that an object and its bytes
    /// always match.
    contents: Mutex<Contents>,
}

#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
    pub(crate) uploads: BTreeMap<String, Upload>,
}

/// An object and its bytes.
pub(crate) struct Opened {
    pub(crate) object: Arc<Object>,
    pub(crate) source: ObjectSource,
}

impl Bucket {
    /// `found` are the objects that a folder holds.
    pub(crate) fn new(
        settings: &BucketSettings,
        now: DateTime<Utc>,
        found: Vec<(Object, PathBuf)>,
    ) -> Self {
        let placed = found.into_iter().map(|(object, path)| {
            (object.key.clone(), Arc::new(Object { location: Location::File(path), ..object }))
        });
        let contents = Contents { objects: placed.collect(), uploads: BTreeMap::new() };
        Self {
            name: settings.name.as_str().to_owned(),
            region: settings.region.clone(),
            account: settings.account.clone(),
            acl: settings.acl,
            created: now.trunc_subsecs(0),
            domains: settings.domains.clone(),
            cors: Mutex::new(Some(Arc::new(CorsRules::of_development()))),
            policy: Mutex::default(),
            contents: Mutex::new(contents),
        }
    }

    /// The access that its owner, ACL and policy give.
    pub(crate) fn access<'a>(&'a self, policy: Option<&'a BucketPolicy>) -> BucketAccess<'a> {
        BucketAccess { owner: &self.account, policy, acl: self.acl }
    }

    /// `oss-cn-hangzhou`
    pub(crate) fn location(&self) -> String {
        format!("oss-{}", self.region)
    }

    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().expect("nothing panics while it is held")
    }

    pub(crate) fn cors(&self) -> Option<Arc<CorsRules>> {
        self.cors.lock().expect("nothing panics while it is held").clone()
    }

    pub(crate) fn set_cors(&self, rules: Option<CorsRules>) {
        *self.cors.lock().expect("nothing panics while it is held") = rules.map(Arc::new);
    }

    pub(crate) fn policy(&self) -> Option<Arc<BucketPolicy>> {
        self.policy.lock().expect("nothing panics while it is held").clone()
    }

    pub(crate) fn set_policy(&self, policy: Option<BucketPolicy>) {
        *self.policy.lock().expect("nothing panics while it is held") = policy.map(Arc::new);
    }

    pub(crate) fn find(&self, key: &str) -> Result<Arc<Object>, OssError> {
        self.contents().objects.get(key).cloned().ok_or(OssError::NoSuchKey)
    }

    pub(crate) fn open(&self, key: &str) -> Result<Opened, OssError> {
        let contents = self.contents();
        let object = contents.objects.get(key).cloned().ok_or(OssError::NoSuchKey)?;
        let source = match &object.location {
            Location::Memory(stored) => ObjectSource::Memory(stored.0.clone()),
            Location::File(path) => {
                ObjectSource::File(std::fs::File::open(path).map_err(OssError::Storage)?)
            }
            Location::Unplaced => return Err(OssError::NoSuchKey),
        };
        Ok(Opened { object, source })
    }

    /// Stores an object in place of one with the same key, atomically: a reader gets the whole old or the whole new one.
    pub(crate) fn put(&self, backend: &Backend, new: NewObject) -> io::Result<Put> {
        let NewObject { object, payload, only_if_absent } = new;
        if let (Backend::Folder(folder), Payload::File(path)) = (backend, &payload) {
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
        let location = match (backend, payload) {
            (Backend::Folder(folder), Payload::File(path)) => {
                let place = folder.place(&self.name, &object.key);
                std::fs::rename(&path.0, &place)?;
                Location::File(place)
            }
            (_, Payload::Memory { bytes, reservation }) => {
                Location::Memory(Arc::new((bytes, reservation)))
            }
            (Backend::Memory(_), Payload::File(_)) => {
                unreachable!("a store in memory spools into memory")
            }
        };
        let object = Arc::new(Object { location, ..object });
        contents.objects.insert(object.key.clone(), object.clone());
        Ok(Put::Done(object))
    }

    /// Whether there was one; for OSS deleting an absent object is no error.
    pub(crate) fn delete(&self, key: &str) -> Result<bool, OssError> {
        let mut contents = self.contents();
        let Some(object) = contents.objects.get(key) else { return Ok(false) };
        if let Location::File(path) = &object.location {
            std::fs::remove_file(path).map_err(OssError::Storage)?;
        }
        contents.objects.remove(key);
        Ok(true)
    }
}

/// The result of a put.
pub(crate) enum Put {
    Done(Arc<Object>),
    Exists,
    Full,
}

impl Put {
    pub(crate) fn done(self) -> Result<Arc<Object>, OssError> {
        match self {
            Self::Done(object) => Ok(object),
            Self::Exists => Err(OssError::AlreadyExists),
            Self::Full => Err(OssError::Full("The emulator keeps 100,000 objects in a bucket.")),
        }
    }
}
