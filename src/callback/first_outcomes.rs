//! Remembers each reported upload and how its first report ended, so that no report is forwarded twice.
//!
//! Replicas share this through Redis. While Redis does not answer, each replica knows only the reports that it got itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::claims::{UploadClaims, UploadId};
use super::outcome::Outcome;
use crate::store::{Once, OnceClaim, Store};
use appserver_domain::clock::Clock;

/// The most remembered uploads; with as many, new reports are refused until old ones expire.
const MAX_UPLOADS: usize = 100_000;
/// The most bytes of remembered answers. Beyond it an upload is remembered without its answer.
const MAX_ANSWERS: usize = 32 << 20;
/// How much longer than its claims an upload is remembered, for clocks that differ.
const MARGIN: TimeDelta = TimeDelta::seconds(60);
/// The interval at which another replica's result is looked for.
const POLL: Duration = Duration::from_millis(100);
/// How often expired uploads are removed.
const PURGE_INTERVAL: TimeDelta = TimeDelta::seconds(30);

/// The uploads whose reports have come.
#[derive(Debug)]
pub(super) struct FirstOutcomes {
    store: Arc<Store>,
    clock: Clock,
    /// Held for a lookup, an insertion and the removal of expired uploads, never across an await.
    local: Mutex<Local>,
}

#[derive(Debug, Default)]
struct Local {
    uploads: HashMap<UploadId, Upload>,
    answer_bytes: usize,
    purged_at: DateTime<Utc>,
}

/// One upload. The sender is gone once the first report has ended.
#[derive(Debug)]
struct Upload {
    until: DateTime<Utc>,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// Whether a report is the first of its upload.
#[derive(Debug)]
pub(super) enum Claimed {
    First(FirstReport),
    /// How the first one ended.
    Ended(Outcome),
    /// The first one has not ended, or its outcome is not known.
    InProgress,
    /// Too many uploads are remembered.
    Full,
}

/// The right to forward a report. Unless it is completed, all further reports of the upload are refused.
#[derive(Debug)]
pub(super) struct FirstReport {
    outcome: watch::Sender<Option<Outcome>>,
    shared: Option<OnceClaim>,
}

impl FirstOutcomes {
    pub(super) fn new(store: Arc<Store>, clock: Clock) -> Self {
        Self { store, clock, local: Mutex::default() }
    }

    /// How the first report ended, if one of this replica's has begun. Waits for it until the deadline.
    pub(super) async fn known(&self, id: UploadId, deadline: Instant) -> Option<Claimed> {
        let known = self.local.lock().uploads.get(&id).map(|upload| upload.outcome.clone());
        Some(ended(known?, deadline).await)
    }

    /// Claims the upload for this report, or waits until the deadline for the outcome of the first report.
    pub(super) async fn claim(&self, claims: &UploadClaims, deadline: Instant) -> Claimed {
        // A kept report may be delivered after that.
        let until = claims.report_until().max(self.clock.now()) + MARGIN;
        let sender = match self.claim_locally(claims.id, until) {
            Ok(Some(sender)) => sender,
            Ok(None) => return Claimed::Full,
            Err(outcome) => return ended(outcome, deadline).await,
        };
        let first = FirstReport { outcome: sender, shared: None };
        let id = claims.id.to_string();
        let parts = ["upload report", id.as_str()];
        let life = (until - self.clock.now()).to_std().unwrap_or_default();
        loop {
            let Some(redis) = self.store.shared() else { return Claimed::First(first) };
            match redis.claim_once(&parts, life).await {
                None => return Claimed::First(first),
                Some(Once::First(claim)) => {
                    return Claimed::First(FirstReport { shared: Some(claim), ..first });
                }
                Some(Once::Result(json)) => {
                    let Some(outcome) = Outcome::from_json(&json) else {
                        return Claimed::InProgress;
                    };
                    self.remember(first, outcome.clone());
                    return Claimed::Ended(outcome);
                }
                Some(Once::Claimed) if Instant::now() + POLL < deadline => sleep(POLL).await,
                Some(Once::Claimed) => {
                    self.forget(claims.id);
                    return Claimed::InProgress;
                }
            }
        }
    }

    /// Remembers how the first report ended, for all replicas.
    pub(super) async fn complete(&self, mut first: FirstReport, outcome: Outcome) {
        let shared = first.shared.take();
        let json = outcome.to_json();
        self.remember(first, outcome);
        if let (Some(redis), Some(claim)) = (self.store.shared(), shared) {
            redis.complete_once(claim, &json).await;
        }
    }

    /// The sender of a new upload's outcome, or the receiver of a known upload's; `None` without space.
    fn claim_locally(
        &self,
        id: UploadId,
        until: DateTime<Utc>,
    ) -> Result<Option<watch::Sender<Option<Outcome>>>, watch::Receiver<Option<Outcome>>> {
        let now = self.clock.now();
        let mut local = self.local.lock();
        if let Some(upload) = local.uploads.get(&id) {
            return Err(upload.outcome.clone());
        }
        if now - local.purged_at >= PURGE_INTERVAL || local.uploads.len() >= MAX_UPLOADS {
            local.purge(now);
        }
        if local.uploads.len() >= MAX_UPLOADS {
            return Ok(None);
        }
        let (sender, outcome) = watch::channel(None);
        local.uploads.insert(id, Upload { until, outcome });
        Ok(Some(sender))
    }

    fn remember(&self, first: FirstReport, outcome: Outcome) {
        let mut local = self.local.lock();
        let bytes = local.answer_bytes + outcome.bytes();
        if bytes <= MAX_ANSWERS {
            local.answer_bytes = bytes;
            first.outcome.send_replace(Some(outcome));
        }
        drop(local);
    }

    /// Another replica has the upload and may yet say how it ended.
    fn forget(&self, id: UploadId) {
        self.local.lock().uploads.remove(&id);
    }
}

/// How a first report of this replica ends.
async fn ended(mut outcome: watch::Receiver<Option<Outcome>>, deadline: Instant) -> Claimed {
    // An error means that it ended without an outcome.
    let ended = timeout_at(deadline, outcome.wait_for(Option::is_some)).await;
    let ended = ended.ok().and_then(Result::ok).and_then(|outcome| outcome.clone());
    ended.map_or(Claimed::InProgress, Claimed::Ended)
}

impl Local {
    fn purge(&mut self, now: DateTime<Utc>) {
        self.purged_at = now;
        self.uploads.retain(|_, upload| {
            let is_kept = upload.until > now;
            if !is_kept {
                let outcome = upload.outcome.borrow();
                self.answer_bytes -= outcome.as_ref().map_or(0, Outcome::bytes);
            }
            is_kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::claims::tests::{claims, now};
    use crate::callback::outcome::Obstacle;

    fn outcomes() -> (FirstOutcomes, Clock) {
        let clock = Clock::manual(now());
        (FirstOutcomes::new(Arc::new(Store::Memory), clock.clone()), clock)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(3)
    }

    async fn first(outcomes: &FirstOutcomes, claims: &UploadClaims) -> FirstReport {
        match outcomes.claim(claims, soon()).await {
            Claimed::First(first) => first,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_replay_gets_the_first_outcome_again() {
        let (outcomes, _) = outcomes();
        let claims = claims();
        let first = first(&outcomes, &claims).await;
        let answer = Outcome::Answered(r#"{"Id":7}"#.to_owned());
        outcomes.complete(first, answer.clone()).await;
        for _ in 0..3 {
            let claimed = outcomes.claim(&claims, soon()).await;
            assert!(
                matches!(claimed, Claimed::Ended(ref again) if *again == answer),
                "{claimed:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_replays_wait_for_the_first_outcome_and_none_is_a_second_first() {
        let (outcomes, _) = outcomes();
        let (outcomes, claims) = (Arc::new(outcomes), claims());
        let first = first(&outcomes, &claims).await;
        let replays: Vec<_> = (0..50)
            .map(|_| {
                let (outcomes, claims) = (Arc::clone(&outcomes), claims.clone());
                tokio::spawn(async move { outcomes.claim(&claims, soon()).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        outcomes.complete(first, Outcome::Dropped(Obstacle::TimedOut)).await;
        for replay in replays {
            let claimed = replay.await.unwrap();
            assert!(matches!(claimed, Claimed::Ended(Outcome::Dropped(_))), "{claimed:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_replay_waits_no_longer_than_its_deadline_and_an_abandoned_report_is_never_first_again()
     {
        let (outcomes, _) = outcomes();
        let claims = claims();
        let began = Instant::now();
        let first = first(&outcomes, &claims).await;
        assert!(matches!(outcomes.claim(&claims, soon()).await, Claimed::InProgress));
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        drop(first);
        assert!(matches!(outcomes.claim(&claims, soon()).await, Claimed::InProgress));
        assert_eq!(began.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn uploads_and_answers_are_bounded_and_expire_with_their_claims() {
        let (outcomes, clock) = outcomes();
        let long = Outcome::Answered(" ".repeat(MAX_ANSWERS - 1));
        let (one, other) = (claims(), claims());
        let report = first(&outcomes, &one).await;
        outcomes.complete(report, long).await;
        let report = first(&outcomes, &other).await;
        outcomes.complete(report, Outcome::Answered("{}".to_owned())).await;
        // Known, without its answer.
        assert!(matches!(outcomes.claim(&other, soon()).await, Claimed::InProgress));
        for _ in 2..MAX_UPLOADS {
            let claims = UploadClaims { id: UploadId::fresh(), ..one.clone() };
            drop(outcomes.claim_locally(claims.id, claims.report_until() + MARGIN));
        }
        assert!(matches!(outcomes.claim(&claims(), soon()).await, Claimed::Full));
        clock.advance(one.report_until() + MARGIN - now());
        let later = UploadClaims { expires_at: clock.now() + TimeDelta::minutes(1), ..claims() };
        assert!(matches!(outcomes.claim(&later, soon()).await, Claimed::First(_)));
        let local = outcomes.local.lock();
        assert_eq!((local.uploads.len(), local.answer_bytes), (1, 0));
    }
}
