//! What happens to a callback: verified, unsealed, claimed, confirmed, recorded, forwarded; or kept and delivered later.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::callback_config::{CallbackConfig, ReceivedCallback};
use super::claims::UploadClaims;
use super::deliveries::{Deliveries, Delivery};
use super::error::{CallbackError, CallbackRefusal};
use super::first_outcomes::{Claimed, FirstOutcomes};
use super::forward::forward;
use super::outcome::{Obstacle, Outcome};
use super::upload::ReportedUpload;
use super::upload_trail::{DropReason, UploadTrail};
use crate::audit::Audit;
use crate::store::Store;
use crate::sts::StsClient;
use crate::telemetry::{CallbackMetrics, CallbackOutcome, Redelivery, causes};
use crate::vend::Vendors;
use appserver_domain::clock::Clock;

/// The time of one attempt to deliver a kept report: OSS does not wait for it.
const REDELIVERY_DEADLINE: Duration = Duration::from_secs(10);
/// The most ids of lost reports that one log line has.
const LOGGED_IDS: usize = 100;
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Receives callbacks and delivers what was kept.
#[derive(Debug)]
pub(crate) struct Callbacks {
    active: ArcSwapOption<CallbackConfig>,
    first: FirstOutcomes,
    deliveries: Deliveries,
    vendors: Arc<Vendors<StsClient>>,
    trail: UploadTrail,
    clock: Clock,
    metrics: CallbackMetrics,
    /// Held to decide whether a refusal is logged, never across an await.
    refusal_log: Mutex<RefusalLog>,
}

#[derive(Debug, Default)]
struct RefusalLog {
    last: Option<Instant>,
    /// Refusals since then.
    unlogged: u64,
}

/// How far an attempt to forward an upload came.
enum Attempt {
    Answered(String),
    Contradicted,
    Failed(Obstacle),
}

impl Callbacks {
    pub(crate) fn new(
        config: Option<Arc<CallbackConfig>>,
        store: &Arc<Store>,
        vendors: Arc<Vendors<StsClient>>,
        audit: Audit,
        clock: Clock,
        metrics: CallbackMetrics,
    ) -> Self {
        Self {
            active: ArcSwapOption::new(config),
            first: FirstOutcomes::new(Arc::clone(store), clock.clone()),
            deliveries: Deliveries::new(Arc::clone(store), metrics.clone()),
            vendors,
            trail: UploadTrail::new(audit, clock.clone()),
            clock,
            metrics,
            refusal_log: Mutex::default(),
        }
    }

    /// Kept reports are delivered by this configuration from now on.
    pub(crate) fn replace(&self, config: Option<Arc<CallbackConfig>>) {
        self.active.store(config);
    }

    /// The backend's JSON for OSS. `on_verified` gets the claims of a proven upload, however its report ends.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        config: &Arc<CallbackConfig>,
        received: ReceivedCallback<'_>,
        on_verified: impl FnOnce(&UploadClaims),
    ) -> Result<String, CallbackError> {
        let request_id = received.request_id;
        let ended = self.answer(config, received, on_verified).await;
        if let Err(CallbackError::Refused(refusal)) = &ended {
            self.metrics.received(CallbackOutcome::Refused);
            self.log_refusal(request_id, refusal);
        }
        ended
    }

    async fn answer(
        self: &Arc<Self>,
        config: &Arc<CallbackConfig>,
        received: ReceivedCallback<'_>,
        on_verified: impl FnOnce(&UploadClaims),
    ) -> Result<String, CallbackError> {
        let upload = config.verify(&received, self.clock.now()).await?;
        on_verified(&upload.claims);
        let Some(grant) = config.grants.get(&upload.claims.grant) else {
            let grant = upload.claims.grant.to_string();
            return Err(CallbackError::Refused(CallbackRefusal::NoCallback(grant)));
        };
        let deadline = received.received_at + grant.rules.deadline;
        match self.first.claim(&upload.claims, deadline).await {
            Claimed::First(first) => {
                // A task of its own: it goes on if OSS hangs up, and only it knows whether the backend has the upload.
                let (callbacks, config) = (Arc::clone(self), Arc::clone(config));
                let task = tokio::spawn(async move {
                    let outcome = callbacks.first_outcome(&config, upload, deadline).await;
                    callbacks.first.complete(first, outcome.clone()).await;
                    outcome
                });
                answered(task.await.map_err(|_| CallbackError::Lost)?)
            }
            Claimed::Ended(outcome) => {
                self.metrics.received(CallbackOutcome::Replayed);
                answered(outcome)
            }
            Claimed::InProgress => Err(CallbackError::Refused(CallbackRefusal::InProgress)),
            Claimed::Full => Err(CallbackError::Full),
        }
    }

    /// How the first report of an upload ends.
    async fn first_outcome(
        &self,
        config: &CallbackConfig,
        mut upload: ReportedUpload,
        deadline: Instant,
    ) -> Outcome {
        let (outcome, counted) = match self.attempt(config, &mut upload, deadline).await {
            Attempt::Answered(json) => {
                self.trail.delivered(&upload);
                (Outcome::Answered(json), CallbackOutcome::Forwarded)
            }
            Attempt::Contradicted => (Outcome::Contradicted, CallbackOutcome::Contradicted),
            Attempt::Failed(obstacle) => {
                // Before it is kept: another replica may deliver it at once.
                self.trail.kept(&upload, obstacle);
                if self.deliveries.keep(Delivery::new(upload.clone())).await {
                    (Outcome::Kept(obstacle), CallbackOutcome::Kept)
                } else {
                    self.trail.dropped(&upload, DropReason::Full);
                    (Outcome::Dropped(obstacle), CallbackOutcome::Dropped)
                }
            }
        };
        self.metrics.received(counted);
        outcome
    }

    /// Confirms the upload if that was not done before, and forwards it.
    async fn attempt(
        &self,
        config: &CallbackConfig,
        upload: &mut ReportedUpload,
        deadline: Instant,
    ) -> Attempt {
        let Some(grant) = config.grants.get(&upload.claims.grant) else {
            return Attempt::Failed(Obstacle::NotConfigured);
        };
        if !upload.is_confirmed {
            if grant.rules.confirm {
                let to_oss = &config.to_oss;
                let confirmed =
                    grant.confirmation.confirm(to_oss, &self.vendors, upload, deadline).await;
                if let Err(error) = confirmed {
                    log(upload, &error, "the reported object is not confirmed");
                    return error.obstacle().map_or(Attempt::Contradicted, Attempt::Failed);
                }
            }
            if let Err(unavailable) = self.trail.forwarding(upload, grant.rules.confirm).await {
                log(upload, &unavailable, "the upload is not forwarded without its audit line");
                return Attempt::Failed(Obstacle::AuditUnavailable);
            }
            upload.is_confirmed = true;
        }
        let body = upload.to_body(grant.rules.confirm);
        let (to, secret, now) = (&grant.rules.forward, &grant.secret, self.clock.now());
        match forward(&config.to_backends, to, secret, body, now, deadline).await {
            Ok(json) => Attempt::Answered(json),
            Err(error) => {
                log(upload, &error, "the upload is not forwarded yet");
                Attempt::Failed(error.obstacle())
            }
        }
    }

    /// Anyone can cause refusals, at any rate: one line a second is logged.
    fn log_refusal(&self, request_id: &str, refusal: &CallbackRefusal) {
        let now = Instant::now();
        let mut log = self.refusal_log.lock();
        if log.last.is_some_and(|last| now.duration_since(last) < REFUSAL_LOG_INTERVAL) {
            log.unlogged += 1;
            return;
        }
        let unlogged = std::mem::take(&mut log.unlogged);
        log.last = Some(now);
        drop(log);
        tracing::warn!(
            request.id = request_id,
            callbacks.unlogged = unlogged,
            error.cause = causes(refusal),
            "refused a callback: {refusal}",
        );
    }

    /// Delivers kept reports until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let is_active = || self.active.load().is_some();
        while let Some(due) = stop.run_until_cancelled(self.deliveries.due(is_active)).await {
            let attempts = due.into_iter().map(|delivery| self.redeliver(delivery));
            // An attempt in progress at a stop is not broken off: it ends within its deadline.
            futures_util::future::join_all(attempts).await;
        }
        let lost = self.deliveries.close_memory();
        lost.iter().for_each(|delivery| self.trail.dropped(&delivery.upload, DropReason::Stopped));
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
        let attempt = match self.active.load_full() {
            Some(config) => self.attempt(&config, &mut delivery.upload, deadline).await,
            None => Attempt::Failed(Obstacle::NotConfigured),
        };
        let outcome = match attempt {
            Attempt::Answered(_) => {
                self.deliveries.remove(&delivery.upload).await;
                self.trail.delivered(&delivery.upload);
                tracing::info!(
                    upload.id = %delivery.upload.claims.id,
                    client.id = %delivery.upload.claims.client,
                    grant.name = %delivery.upload.claims.grant,
                    "delivered the kept report of an upload"
                );
                Redelivery::Delivered
            }
            Attempt::Contradicted => {
                self.deliveries.remove(&delivery.upload).await;
                self.trail.dropped(&delivery.upload, DropReason::OtherObject);
                Redelivery::Dropped
            }
            Attempt::Failed(_) => {
                let upload = delivery.upload.clone();
                let again = delivery.failed_again(self.clock.now());
                let (is_kept, reason) = match again {
                    Some(again) => (self.deliveries.keep(again).await, DropReason::Full),
                    None => (false, DropReason::Old),
                };
                if is_kept {
                    Redelivery::Failed
                } else {
                    self.deliveries.remove(&upload).await;
                    self.trail.dropped(&upload, reason);
                    tracing::error!(
                        upload.id = %upload.claims.id,
                        client.id = %upload.claims.client,
                        grant.name = %upload.claims.grant,
                        "gave up delivering the report of an upload; the object is in its bucket"
                    );
                    Redelivery::Dropped
                }
            }
        };
        self.metrics.redelivered(outcome);
    }
}

/// What OSS gets for an outcome, at the first report and at each replay.
fn answered(outcome: Outcome) -> Result<String, CallbackError> {
    match outcome {
        Outcome::Answered(json) => Ok(json),
        Outcome::Contradicted => Err(CallbackError::Refused(CallbackRefusal::OtherObject)),
        Outcome::Kept(obstacle) => Err(CallbackError::NotForwarded(obstacle, true)),
        Outcome::Dropped(obstacle) => Err(CallbackError::NotForwarded(obstacle, false)),
    }
}

/// The first ids of these reports.
fn ids(deliveries: &[Delivery]) -> String {
    let ids = deliveries.iter().take(LOGGED_IDS);
    ids.map(|delivery| delivery.upload.claims.id.to_string()).collect::<Vec<_>>().join(" ")
}

fn log(upload: &ReportedUpload, error: &dyn std::error::Error, what: &str) {
    tracing::warn!(
        request.id = upload.request_id,
        upload.id = %upload.claims.id,
        client.id = %upload.claims.client,
        grant.name = %upload.claims.grant,
        error.cause = causes(error),
        "{what}: {error}",
    );
}
