//! Bodies of requests.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::error::OssError;
use super::head::Head;
use super::store::{Backend, Limits, Spool, Spooled};

/// How long the rest of a refused body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body that is read whole.
pub(crate) async fn whole(body: &mut Body, limit_bytes: usize) -> Result<Bytes, OssError> {
    match Limited::new(body, limit_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(OssError::EntityTooLarge),
        Err(_) => Err(OssError::IncompleteBody),
    }
}

/// A body that becomes an object or a part, piece by piece.
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

/// Takes what is left of a body whose request was refused.
///
/// Many clients send the whole of it before they look for an answer, and never see one if the connection is closed
/// meanwhile. Who waits to be asked for the body (`Expect: 100-continue`) is not asked.
pub(crate) async fn discard(body: &mut Body, head: &Head) {
    if head.headers.contains_key(header::EXPECT) {
        return;
    }
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // Who sends slower than that does without the answer.
    let _ = tokio::time::timeout(PATIENCE, rest).await;
}
