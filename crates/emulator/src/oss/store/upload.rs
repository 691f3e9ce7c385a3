//! Multipart uploads.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use md5::{Digest, Md5};

use super::object::Meta;
use super::spool::Spooled;
use crate::oss::error::OssError;

/// Every part but the last has at least 100 KB.
const LEAST_PART_BYTES: u64 = 100 << 10;

/// An unfinished upload. A restart of the emulator drops it.
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) initiated: DateTime<Utc>,
    pub(crate) meta: Meta,
    pub(crate) parts: BTreeMap<u32, Part>,
}

#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) spooled: Arc<Spooled>,
    pub(crate) last_modified: DateTime<Utc>,
}

impl Upload {
    /// The parts of the complete object that a client lists, by number and ETag, in order.
    pub(crate) fn chosen(&self, listed: &[(u32, String)]) -> Result<Vec<Part>, OssError> {
        if listed.is_empty() {
            return Err(OssError::MalformedXml);
        }
        if listed.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(OssError::InvalidPartOrder);
        }
        let unquoted = |etag: &str| etag.trim().trim_matches('"').to_ascii_uppercase();
        let mut chosen = Vec::new();
        for (number, etag) in listed {
            let part = self.parts.get(number).ok_or(OssError::InvalidPart)?;
            if unquoted(&part.spooled.etag()) != unquoted(etag) {
                return Err(OssError::InvalidPart);
            }
            chosen.push(part.clone());
        }
        let all_but_the_last = &chosen[..chosen.len() - 1];
        if all_but_the_last.iter().any(|part| part.spooled.length < LEAST_PART_BYTES) {
            return Err(OssError::PartTooSmall);
        }
        Ok(chosen)
    }

    /// All parts, as `x-oss-complete-all` requests.
    pub(crate) fn all(&self) -> Vec<(u32, String)> {
        self.parts.iter().map(|(number, part)| (*number, part.spooled.etag())).collect()
    }
}

/// The MD5 of the parts' MD5s, with their number.
pub(crate) fn etag_of(parts: &[Part]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part.spooled.md5);
    }
    format!("\"{}-{}\"", hex::encode_upper(md5.finalize()), parts.len())
}
