//! Reads stored bytes.

use std::fs::File;
use std::io::{self, SeekFrom};
use std::ops::Range;

use axum::body::{Body, Bytes};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::memory_quota::Reservation;
use super::spool::{Spool, Temporary};
use crate::oss::error::OssError;

/// The size of one read from a file.
const CHUNK_BYTES: usize = 64 << 10;

/// Stored bytes of an object or part.
#[derive(Debug)]
pub(crate) enum Payload {
    Memory { bytes: Bytes, reservation: Reservation },
    File(Temporary),
}

/// An open source of bytes. It keeps its content if the object is replaced meanwhile.
pub(crate) enum Source {
    Memory(Bytes),
    File(File),
}

impl Payload {
    pub(crate) fn source(&self) -> io::Result<Source> {
        match self {
            Self::Memory { bytes, .. } => Ok(Source::Memory(bytes.clone())),
            Self::File(path) => Ok(Source::File(File::open(&path.0)?)),
        }
    }
}

impl Source {
    /// A body of the given range, which must be within the bytes.
    pub(crate) async fn into_body(self, range: Range<u64>) -> Result<Body, OssError> {
        match self {
            Self::Memory(bytes) => Ok(Body::from(slice(&bytes, range))),
            Self::File(file) => {
                let reader = at(file, &range).await.map_err(OssError::Storage)?;
                let stream = ReaderStream::with_capacity(reader, CHUNK_BYTES);
                Ok(Body::from_stream(stream))
            }
        }
    }

    /// Copies the given range, which must be within the bytes.
    pub(crate) async fn copy_into(
        self,
        range: Range<u64>,
        spool: &mut Spool,
    ) -> Result<(), OssError> {
        match self {
            Self::Memory(bytes) => spool.write(&slice(&bytes, range)).await,
            Self::File(file) => {
                let mut reader = at(file, &range).await.map_err(OssError::Storage)?;
                let mut chunk = vec![0; CHUNK_BYTES];
                loop {
                    let length = reader.read(&mut chunk).await.map_err(OssError::Storage)?;
                    if length == 0 {
                        return Ok(());
                    }
                    spool.write(&chunk[..length]).await?;
                }
            }
        }
    }
}

fn slice(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let place = |at: u64| usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
    bytes.slice(place(range.start)..place(range.end))
}

async fn at(file: File, range: &Range<u64>) -> io::Result<tokio::io::Take<tokio::fs::File>> {
    let mut file = tokio::fs::File::from_std(file);
    file.seek(SeekFrom::Start(range.start)).await?;
    Ok(file.take(range.end.saturating_sub(range.start)))
}
