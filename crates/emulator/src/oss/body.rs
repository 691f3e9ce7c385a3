//! Reads the bodies of requests.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::error::OssError;
use super::head::Head;
use super::store::{Backend, Limits, Spool, Spooled};

/// The longest time that the rest of a refused body is read.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a whole body, up to a limit.
pub(crate) async fn whole(body: &mut Body, limit_bytes: usize) -> Result<Bytes, OssError> {
    match Limited::new(body, limit_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(OssError::EntityTooLarge),
        Err(_) => Err(OssError::IncompleteBody),
    }
}

/// Spools a body that becomes an object or a part.
pub(crate) async fn spool(body: &mut Body, backend: &Backend) -> Result<Spooled, OssError> {
    let mut spool = Spool::new(backend, Limits::default()).await?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| OssError::IncompleteBody)?;
        if let Some(data) = frame.data_ref() {
            spool.write(data).await?;
        }
    }
    spool.finish().await
}

/// Reads and discards the rest of a refused request's body.
///
/// Many clients send the whole body before they read the answer, and miss it if the connection is closed earlier. A client that waits
/// for permission (`Expect: 100-continue`) does not get it.
pub(crate) async fn discard(body: &mut Body, head: &Head) {
    if head.headers.contains_key(header::EXPECT) {
        return;
    }
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // Slower clients may miss the answer.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, rest).await;
}
