//! Delivers kept reports again until their backends have them, they are too old, or the process stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::callbacks::{Callbacks, Said, Unconfirmed};
use super::deliveries::Delivery;
use super::first_outcomes::Claimed;
use super::outcome::{Obstacle, Outcome};
use super::upload::ReportedUpload;
use super::upload_trail::DropReason;
use crate::store::KeepOutcome;
use crate::telemetry::Redelivery;

/// The time of one attempt to deliver a kept report: OSS does not wait for it.
const REDELIVERY_DEADLINE: Duration = Duration::from_secs(10);
/// The most ids of lost reports that one log line has.
const LOGGED_IDS: usize = 100;

impl Callbacks {
    /// Delivers kept reports until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let is_active = || self.active.load().is_some();
        while let Some(due) = stop.run_until_cancelled(self.deliveries.due(is_active)).await {
            let attempts = due.into_iter().map(|delivery| self.redeliver(delivery));
            // An attempt in progress at a stop is not broken off: it ends within its deadline.
            futures_util::future::join_all(attempts).await;
        }
        // Nor are those of reports whose senders did not wait.
        self.in_progress.close();
        self.in_progress.wait().await;
        let lost = self.deliveries.close_memory();
        for delivery in &lost {
            self.trail.dropped(&delivery.upload, DropReason::Stopped);
        }
        if !lost.is_empty() {
            tracing::error!(
                uploads.count = lost.len(),
                uploads.ids = ids(&lost),
                "reports of uploads that wait to be delivered again are lost with this process; the objects are in their buckets"
            );
        }
    }

    async fn redeliver(&self, mut delivery: Delivery) {
        let deadline = Instant::now() + REDELIVERY_DEADLINE;
        let kept = delivery.upload.clone();
        let ended = self.attempt_again(&mut delivery.upload, deadline).await;
        let outcome = if let Ok(outcome) = ended {
            self.deliveries.remove(&kept).await;
            if outcome == Redelivery::Delivered {
                self.trail.delivered(&delivery.upload);
                tracing::info!(
                    upload.id = %kept.claims.id,
                    client.id = %kept.claims.client,
                    grant.name = %kept.claims.grant,
                    "delivered the kept report of an upload"
                );
            }
            outcome
        } else {
            let is_first = delivery.upload.is_first;
            let (is_kept, reason) = match delivery.failed_again(self.clock.now()) {
                Some(again) => {
                    (self.deliveries.keep_again(again).await != KeepOutcome::Full, DropReason::Full)
                }
                None => (false, DropReason::Old),
            };
            if !is_kept || kept.is_first != is_first {
                self.deliveries.remove(&kept).await;
            }
            if is_kept {
                Redelivery::Failed
            } else {
                self.trail.dropped(&kept, reason);
                tracing::error!(
                    upload.id = %kept.claims.id,
                    client.id = %kept.claims.client,
                    grant.name = %kept.claims.grant,
                    "gave up delivering the report of an upload; the object is in its bucket"
                );
                Redelivery::Dropped
            }
        };
        self.metrics.redelivered(outcome);
    }

    async fn attempt_again(
        &self,
        upload: &mut ReportedUpload,
        deadline: Instant,
    ) -> Result<Redelivery, Obstacle> {
        let config = self.active.load_full().ok_or(Obstacle::NotConfigured)?;
        if upload.is_first {
            return self.deliver(&config, upload, deadline).await.map(|_| Redelivery::Delivered);
        }
        if self.first.known(upload.claims.id, deadline).await.is_some() {
            return Ok(Redelivery::Dropped);
        }
        match self.confirm(&config, upload, Said::Before, deadline).await {
            Ok(()) => {}
            // The form can still make its object, and the report of that may be this one: the upload has no other place.
            Err(Unconfirmed::Refused(_)) if self.clock.now() < upload.claims.report_until() => {
                return Err(Obstacle::Unconfirmed);
            }
            Err(Unconfirmed::Refused(_)) => {
                self.trail.dropped(upload, DropReason::OtherObject);
                return Ok(Redelivery::Dropped);
            }
            Err(Unconfirmed::Failed(obstacle)) => return Err(obstacle),
        }
        match self.first.claim(&upload.claims, deadline).await {
            Claimed::First(first) => {
                upload.is_first = true;
                let delivered = self.deliver(&config, upload, deadline).await;
                let outcome = match &delivered {
                    Ok(json) => Outcome::Answered(json.clone()),
                    Err(obstacle) => Outcome::Kept(*obstacle),
                };
                self.first.complete(first, outcome).await;
                delivered.map(|_| Redelivery::Delivered)
            }
            // Another report of the upload came first.
            Claimed::Ended(_) => Ok(Redelivery::Dropped),
            // If that one is lost with its replica, its claim ends, and this one is still there.
            Claimed::InProgress | Claimed::Full => Err(Obstacle::Unconfirmed),
        }
    }
}

/// The first ids of these reports.
fn ids(deliveries: &[Delivery]) -> String {
    let ids = deliveries.iter().take(LOGGED_IDS);
    ids.map(|delivery| delivery.upload.claims.id.to_string()).collect::<Vec<_>>().join(" ")
}
