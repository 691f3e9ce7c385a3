//! What happens to a callback: verified, unsealed, confirmed, claimed, recorded, forwarded; or kept for `redelivery`.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::callback_config::{CallbackConfig, ReceivedCallback};
use super::claims::UploadClaims;
use super::confirmed_objects::ConfirmedObjects;
use super::deliveries::Deliveries;
use super::error::{CallbackError, CallbackRefusal};
use super::first_outcomes::{Claimed, FirstOutcomes};
use super::forward::forward;
use super::outcome::{Obstacle, Outcome};
use super::upload::ReportedUpload;
use super::upload_trail::{DropReason, UploadTrail};
use crate::audit::Audit;
use crate::store::{KeepOutcome, Store};
use crate::sts::StsClient;
use crate::telemetry::{CallbackMetrics, CallbackOutcome, causes};
use crate::vend::Vendors;
use appserver_domain::clock::Clock;

const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Receives callbacks, and delivers what was kept (`redelivery`).
#[derive(Debug)]
pub(crate) struct Callbacks {
    pub(super) active: ArcSwapOption<CallbackConfig>,
    pub(super) first: FirstOutcomes,
    confirmed: ConfirmedObjects,
    pub(super) deliveries: Deliveries,
    /// The attempts that began with a report and have not ended.
    pub(super) in_progress: TaskTracker,
    vendors: Arc<Vendors<StsClient>>,
    pub(super) trail: UploadTrail,
    pub(super) clock: Clock,
    pub(super) metrics: CallbackMetrics,
    /// Held to decide whether a refusal is logged, never across an await.
    refusal_log: Mutex<RefusalLog>,
}

#[derive(Debug, Default)]
struct RefusalLog {
    last: Option<Instant>,
    /// Refusals since then.
    unlogged: u64,
}

/// When a report came that is confirmed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    /// It is confirmed by the object that it names alone.
    Now,
    /// It was kept unconfirmed, in the place of all reports of its upload. What the bucket has counts.
    Before,
}

/// Why a report is not confirmed.
pub(super) enum Unconfirmed {
    /// It is false.
    Refused(CallbackRefusal),
    /// Another attempt may confirm it.
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
            confirmed: ConfirmedObjects::new(Arc::clone(store), clock.clone()),
            deliveries: Deliveries::new(Arc::clone(store), metrics.clone()),
            in_progress: TaskTracker::new(),
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
            self.metrics.received(match refusal {
                CallbackRefusal::OtherObject | CallbackRefusal::OtherUpload => {
                    CallbackOutcome::Contradicted
                }
                _ => CallbackOutcome::Refused,
            });
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
        if let Some(known) = self.first.known(upload.claims.id, deadline).await {
            return self.not_first(known);
        }
        // A task of its own: it goes on if OSS hangs up, and only it knows whether the backend has the upload. A stop waits for it.
        let (callbacks, config) = (Arc::clone(self), Arc::clone(config));
        let attempt = async move { callbacks.attempt(&config, upload, deadline).await };
        self.in_progress.spawn(attempt).await.map_err(|_| CallbackError::Lost)?
    }

    /// Confirms the report, and forwards it if it is the first one of its upload.
    ///
    /// Nothing is claimed before the object is confirmed: the holder of the form can have OSS sign a false report, which must
    /// not take the place of the true one.
    async fn attempt(
        &self,
        config: &CallbackConfig,
        mut upload: ReportedUpload,
        deadline: Instant,
    ) -> Result<String, CallbackError> {
        match self.confirm(config, &mut upload, Said::Now, deadline).await {
            Ok(()) => {}
            Err(Unconfirmed::Refused(refusal)) => return Err(CallbackError::Refused(refusal)),
            Err(Unconfirmed::Failed(obstacle)) => {
                return answered(self.keep(upload, obstacle).await);
            }
        }
        match self.first.claim(&upload.claims, deadline).await {
            Claimed::First(first) => {
                upload.is_first = true;
                let outcome = match self.deliver(config, &mut upload, deadline).await {
                    Ok(json) => {
                        self.trail.delivered(&upload);
                        self.metrics.received(CallbackOutcome::Forwarded);
                        Outcome::Answered(json)
                    }
                    Err(obstacle) => self.keep(upload, obstacle).await,
                };
                self.first.complete(first, outcome.clone()).await;
                answered(outcome)
            }
            not_first => self.not_first(not_first),
        }
    }

    fn not_first(&self, claimed: Claimed) -> Result<String, CallbackError> {
        match claimed {
            Claimed::Ended(outcome) => {
                self.metrics.received(CallbackOutcome::Replayed);
                answered(outcome)
            }
            Claimed::First(_) | Claimed::InProgress => {
                Err(CallbackError::Refused(CallbackRefusal::InProgress))
            }
            Claimed::Full => Err(CallbackError::Full),
        }
    }

    async fn keep(&self, upload: ReportedUpload, obstacle: Obstacle) -> Outcome {
        // The lines come before those of another attempt, which is due in a second or later.
        match self.deliveries.keep(upload.clone()).await {
            KeepOutcome::Kept => self.trail.kept(&upload, obstacle),
            // It has its line.
            KeepOutcome::Known => {}
            KeepOutcome::Full => {
                self.trail.kept(&upload, obstacle);
                self.trail.dropped(&upload, DropReason::Full);
                self.metrics.received(CallbackOutcome::Dropped);
                return Outcome::Dropped(obstacle);
            }
        }
        self.metrics.received(CallbackOutcome::Kept);
        Outcome::Kept(obstacle)
    }

    /// Looks at the object, where the grant says so.
    pub(super) async fn confirm(
        &self,
        config: &CallbackConfig,
        upload: &mut ReportedUpload,
        said: Said,
        deadline: Instant,
    ) -> Result<(), Unconfirmed> {
        let Some(grant) = config.grants.get(&upload.claims.grant) else {
            return Err(Unconfirmed::Failed(Obstacle::NotConfigured));
        };
        if !grant.rules.confirm {
            return Ok(());
        }
        let (to_oss, vendors) = (&config.to_oss, &self.vendors);
        let found = grant.confirmation.look(to_oss, vendors, &upload.claims, deadline).await;
        let reported = found.and_then(|object| match said {
            Said::Now => object.is_that_of(upload).map(|()| object),
            Said::Before => Ok(object),
        });
        let object = reported.map_err(|error| {
            log(upload, &error, "the reported object is not confirmed");
            let refused = Unconfirmed::Refused(CallbackRefusal::OtherObject);
            error.obstacle().map_or(refused, Unconfirmed::Failed)
        })?;
        if !self.confirmed.claim(upload, &object, config.longest_form()).await {
            return Err(Unconfirmed::Refused(CallbackRefusal::OtherUpload));
        }
        upload.take_from(&object);
        upload.is_confirmed = true;
        Ok(())
    }

    /// Records the first report of an upload if that was not done before, and forwards it.
    pub(super) async fn deliver(
        &self,
        config: &CallbackConfig,
        upload: &mut ReportedUpload,
        deadline: Instant,
    ) -> Result<String, Obstacle> {
        let grant = config.grants.get(&upload.claims.grant).ok_or(Obstacle::NotConfigured)?;
        if !upload.is_recorded {
            self.trail.forwarding(upload, upload.is_confirmed).await.map_err(|unavailable| {
                log(upload, &unavailable, "the upload is not forwarded without its audit line");
                Obstacle::AuditUnavailable
            })?;
            upload.is_recorded = true;
        }
        let (to, secret, now) = (&grant.rules.forward, &grant.secret, self.clock.now());
        let sent = forward(&config.to_backends, to, secret, upload.to_body(), now, deadline).await;
        sent.map_err(|error| {
            log(upload, &error, "the upload is not forwarded yet");
            error.obstacle()
        })
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
}

/// What OSS gets for an outcome, at the first report and at each replay.
fn answered(outcome: Outcome) -> Result<String, CallbackError> {
    match outcome {
        Outcome::Answered(json) => Ok(json),
        Outcome::Kept(obstacle) => Err(CallbackError::NotForwarded(obstacle, true)),
        Outcome::Dropped(obstacle) => Err(CallbackError::NotForwarded(obstacle, false)),
    }
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
