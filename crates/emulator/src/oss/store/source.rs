//! Reads stored bytes.

use std::fs::File;
use std::io::{self, SeekFrom};
use std::ops::Range;

use axum::body::{Body, Bytes};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::oss::error::OssError;

/// The size of one read from a file.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// An open source of bytes. It keeps its content if the object is replaced meanwhile.
pub(crate) enum ObjectSource {
    Memory(Bytes),
    File(File),
}

impl ObjectSource {
    /// A body of the given range, which must be within the bytes.
    pub(crate) async fn into_body(self, range: Range<u64>) -> Result<Body, OssError> {
        match self {
            Self::Memory(bytes) => Ok(Body::from(slice(&bytes, range))),
            Self::File(file) => {
                let reader = reader(file, &range).await.map_err(OssError::Storage)?;
                let stream = ReaderStream::with_capacity(reader, CHUNK_BYTES);
                Ok(Body::from_stream(stream))
            }
        }
    }
}

pub(super) fn slice(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let place = |at: u64| usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
    bytes.slice(place(range.start)..place(range.end))
}

pub(super) async fn reader(
    file: File,
    range: &Range<u64>,
) -> io::Result<tokio::io::Take<tokio::fs::File>> {
    let mut file = tokio::fs::File::from_std(file);
    file.seek(SeekFrom::Start(range.start)).await?;
    Ok(file.take(range.end.saturating_sub(range.start)))
}
