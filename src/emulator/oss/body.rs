//! Bodies of requests.

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::refusal::Refusal;
use super::store::{Keeping, Limits, Spool, Spooled};

/// A body that is read whole.
pub(crate) async fn whole(body: Body, limit_bytes: usize) -> Result<Bytes, Refusal> {
    match Limited::new(body, limit_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::EntityTooLarge),
        Err(_) => Err(Refusal::IncompleteBody),
    }
}

/// A body that becomes an object or a part, piece by piece.
pub(crate) async fn spool(mut body: Body, keeping: &Keeping) -> Result<Spooled, Refusal> {
    let mut spool = Spool::new(keeping, Limits::default()).await?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::IncompleteBody)?;
        if let Some(data) = frame.data_ref() {
            spool.write(data).await?;
        }
    }
    spool.finish().await
}
