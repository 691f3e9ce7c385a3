//! Receives bytes into memory or a file.

use std::io;
use std::ops::Range;

use axum::body::Bytes;
use crc64fast::Digest as Crc64;
use md5::{Digest, Md5};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::backend::{Backend, Payload, Temporary};
use super::memory_quota::Reservation;
use super::source::{CHUNK_BYTES, ObjectSource, reader, slice};
use crate::oss::error::OssError;

/// The longest part, and the longest object of one put: 5 GB.
const MOST_BYTES: u64 = 5 << 30;

const FULL: OssError = OssError::Full(
    "The emulator keeps 1 GiB in memory; start it with --data to keep more in a folder.",
);

/// The length limits of the received bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// Receives bytes into memory or a file, and computes their sums. Dropping it removes them.
pub(crate) struct Spool {
    sink: Sink,
    md5: Md5,
    crc64: Crc64,
    length: u64,
    limits: Limits,
}

enum Sink {
    Memory { bytes: Vec<u8>, reservation: Reservation },
    File { file: File, path: Temporary },
}

/// All received bytes, with their sums.
#[derive(Debug)]
pub(crate) struct Spooled {
    pub(crate) payload: Payload,
    pub(crate) md5: [u8; 16],
    pub(crate) crc64: u64,
    pub(crate) length: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { least: 0, most: MOST_BYTES }
    }
}

impl Spool {
    pub(crate) async fn new(backend: &Backend, limits: Limits) -> Result<Self, OssError> {
        let sink = match backend {
            Backend::Memory(quota) => {
                let reservation = quota.reserve().ok_or(FULL)?;
                Sink::Memory { bytes: Vec::new(), reservation }
            }
            Backend::Folder(folder) => {
                let path = Temporary(folder.temporary());
                let file = File::create_new(&path.0).await.map_err(OssError::Storage)?;
                Sink::File { file, path }
            }
        };
        Ok(Self { sink, md5: Md5::new(), crc64: Crc64::new(), length: 0, limits })
    }

    pub(crate) async fn write(&mut self, chunk: &[u8]) -> Result<(), OssError> {
        self.length += chunk.len() as u64;
        if self.length > self.limits.most {
            return Err(OssError::EntityTooLarge);
        }
        match &mut self.sink {
            Sink::Memory { bytes, reservation } => {
                if !reservation.grow(chunk.len() as u64) {
                    return Err(FULL);
                }
                bytes.extend_from_slice(chunk);
            }
            Sink::File { file, .. } => file.write_all(chunk).await.map_err(OssError::Storage)?,
        }
        self.md5.update(chunk);
        self.crc64.write(chunk);
        Ok(())
    }

    /// Copies the given range of a source, which must be within its bytes.
    pub(crate) async fn copy(
        &mut self,
        source: ObjectSource,
        range: Range<u64>,
    ) -> Result<(), OssError> {
        match source {
            ObjectSource::Memory(bytes) => self.write(&slice(&bytes, range)).await,
            ObjectSource::File(file) => {
                let mut reader = reader(file, &range).await.map_err(OssError::Storage)?;
                let mut chunk = vec![0; CHUNK_BYTES];
                loop {
                    let length = reader.read(&mut chunk).await.map_err(OssError::Storage)?;
                    if length == 0 {
                        return Ok(());
                    }
                    self.write(&chunk[..length]).await?;
                }
            }
        }
    }

    pub(crate) async fn finish(self) -> Result<Spooled, OssError> {
        if self.length < self.limits.least {
            return Err(OssError::PartTooSmall);
        }
        let payload = match self.sink {
            Sink::Memory { bytes, reservation } => {
                Payload::Memory { bytes: bytes.into(), reservation }
            }
            Sink::File { mut file, path } => {
                file.flush().await.map_err(OssError::Storage)?;
                Payload::File(path)
            }
        };
        let (md5, crc64) = (self.md5.finalize().into(), self.crc64.sum64());
        Ok(Spooled { payload, md5, crc64, length: self.length })
    }
}

impl Spooled {
    /// Bytes that are already complete.
    pub(crate) fn of(backend: &Backend, bytes: Vec<u8>) -> io::Result<Self> {
        let mut crc64 = Crc64::new();
        crc64.write(&bytes);
        let md5 = Md5::digest(&bytes).into();
        let length = bytes.len() as u64;
        let payload = match backend {
            Backend::Memory(quota) => {
                let reservation = quota
                    .reserve()
                    .and_then(|mut reservation| reservation.grow(length).then_some(reservation));
                let reservation = reservation.ok_or(io::ErrorKind::OutOfMemory)?;
                Payload::Memory { bytes: Bytes::from(bytes), reservation }
            }
            Backend::Folder(folder) => {
                let path = Temporary(folder.temporary());
                std::fs::write(&path.0, &bytes)?;
                Payload::File(path)
            }
        };
        Ok(Self { payload, md5, crc64: crc64.sum64(), length })
    }

    /// The MD5 in hexadecimal digits, as OSS writes ETags: with quotation marks and in upper case.
    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", hex::encode_upper(self.md5))
    }
}
