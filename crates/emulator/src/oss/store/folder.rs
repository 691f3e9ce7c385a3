//! Objects in a folder.
//!
//! `DIR/<bucket>/<SHA-256 of the key>` holds an object's bytes, then its description as JSON, the description's length in
//! eight bytes and a magic number. One file, so that a rename stores an object atomically; hashed names, so that no key leaves
//! the folder or breaks a file system's rules. `DIR/.incoming/` holds incomplete files; it is emptied at the start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::object::Object;

const MAGIC: &[u8; 8] = b"oss-obj1";
/// Length and magic number, after the description.
const TAIL_BYTES: u64 = 16;
/// Headers of an object have about 8 KiB at most, in JSON somewhat more.
const LONGEST_DESCRIPTION_BYTES: u64 = 1 << 20;

pub(crate) struct Folder {
    root: PathBuf,
    /// Locks the folder against a second emulator.
    _lock: File,
}

impl Folder {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).open(root.join(".lock"))?;
        lock.try_lock()?;
        let incoming = root.join(".incoming");
        if incoming.exists() {
            fs::remove_dir_all(&incoming)?;
        }
        fs::create_dir(&incoming)?;
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// The bucket's objects, and whether the bucket is new here. Other files are ignored.
    pub(crate) fn bucket(&self, name: &str) -> io::Result<(Vec<(Object, PathBuf)>, bool)> {
        let folder = self.root.join(name);
        if !folder.exists() {
            fs::create_dir(&folder)?;
            return Ok((Vec::new(), true));
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            match description(&path)? {
                Some(object) if path == self.place(name, &object.key) => found.push((object, path)),
                Some(_) | None => {
                    tracing::warn!(object.path = %path.display(), "a file is not an object of the bucket; ignoring it");
                }
            }
        }
        Ok((found, false))
    }

    /// The path of the object with a key.
    pub(crate) fn place(&self, bucket: &str, key: &str) -> PathBuf {
        self.root.join(bucket).join(hex::encode(Sha256::digest(key)))
    }

    /// A new path for an incomplete file.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join(".incoming").join(Uuid::new_v4().to_string())
    }

    /// Appends the description. The file is not synced: objects survive a restart of the emulator, not a power failure.
    pub(crate) fn append_description(&self, path: &Path, object: &Object) -> io::Result<()> {
        let json = serde_json::to_vec(object)?;
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(&json)?;
        file.write_all(&(json.len() as u64).to_be_bytes())?;
        file.write_all(MAGIC)
    }
}

/// The description at the end of an object's file.
fn description(path: &Path) -> io::Result<Option<Object>> {
    if !path.is_file() {
        return Ok(None);
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let Some(before_tail) = length.checked_sub(TAIL_BYTES) else { return Ok(None) };
    file.seek(SeekFrom::Start(before_tail))?;
    let (mut json_bytes, mut magic) = ([0; 8], [0; 8]);
    file.read_exact(&mut json_bytes)?;
    file.read_exact(&mut magic)?;
    let json_bytes = u64::from_be_bytes(json_bytes);
    if &magic != MAGIC || json_bytes > LONGEST_DESCRIPTION_BYTES || json_bytes > before_tail {
        return Ok(None);
    }
    let bytes = before_tail - json_bytes;
    file.seek(SeekFrom::Start(bytes))?;
    let object: Option<Object> = serde_json::from_reader(file.take(json_bytes)).ok();
    Ok(object.filter(|object| object.length == bytes))
}
