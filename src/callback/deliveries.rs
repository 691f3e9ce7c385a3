//! Keeps reports that could not be forwarded until they are: OSS reports each upload once.
//!
//! With Redis all replicas share them, and a restart loses none. Otherwise, and while Redis does not answer, they are in
//! memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::upload::ReportedUpload;
use crate::backoff::{Backoff, jittered};
use crate::store::{KeepOutcome, Store};
use crate::telemetry::CallbackMetrics;

/// The most reports that one replica keeps in memory.
const MAX_IN_MEMORY: usize = 1_000;
/// Waits between attempts to deliver a report.
const RETRY: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_mins(5), 0.5);
/// How often Redis is asked for reports that are due.
const POLL: Duration = Duration::from_secs(2);
/// How long a report is kept.
pub(super) const MAX_AGE: TimeDelta = TimeDelta::hours(24);

/// The reports that wait.
#[derive(Debug)]
pub(super) struct Deliveries {
    store: Arc<Store>,
    metrics: CallbackMetrics,
    /// Held to add and to take, never across an await.
    in_memory: Mutex<InMemory>,
    added: Notify,
}

#[derive(Debug, Default)]
struct InMemory {
    /// By the time when each is due, and a number that makes times unique.
    waiting: BTreeMap<(Instant, u64), Delivery>,
    number: u64,
    /// How many Redis keeps, as it said last.
    in_redis: usize,
}

/// A report that could not be forwarded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Delivery {
    pub(super) upload: ReportedUpload,
    /// Attempts that failed.
    failures: u32,
}

#[derive(Deserialize, Serialize)]
struct Record {
    upload: String,
    failures: u32,
}

impl Delivery {
    /// The same after another failed attempt; `None` if it is too old.
    pub(super) fn failed_again(self, now: DateTime<Utc>) -> Option<Self> {
        let is_kept = now - self.upload.reported_at < MAX_AGE;
        is_kept.then_some(Self { failures: self.failures.saturating_add(1), ..self })
    }

    fn to_json(&self) -> SecretSlice<u8> {
        let upload = self.upload.to_json();
        let upload = std::str::from_utf8(upload.expose_secret()).expect("JSON is UTF-8").to_owned();
        let record = Record { upload, failures: self.failures };
        serde_json::to_vec(&record).expect("texts are plain JSON").into()
    }

    fn from_json(json: &SecretSlice<u8>) -> Option<Self> {
        let record: Record = serde_json::from_slice(json.expose_secret()).ok()?;
        let upload = ReportedUpload::from_json(&record.upload.into_bytes().into())?;
        Some(Self { upload, failures: record.failures })
    }
}

impl Deliveries {
    pub(super) fn new(store: Arc<Store>, metrics: CallbackMetrics) -> Self {
        Self { store, metrics, in_memory: Mutex::default(), added: Notify::new() }
    }

    /// Keeps a report after its first attempt. Of reports that nothing confirms yet an upload has one that is kept: further ones
    /// change nothing, neither what is kept nor when it is due.
    pub(super) async fn keep(&self, upload: ReportedUpload) -> KeepOutcome {
        let replaces = upload.is_first;
        self.keep_delivery(Delivery { upload, failures: 1 }, replaces).await
    }

    /// Keeps a report after another failed attempt.
    pub(super) async fn keep_again(&self, delivery: Delivery) -> KeepOutcome {
        self.keep_delivery(delivery, true).await
    }

    async fn keep_delivery(&self, delivery: Delivery, replaces: bool) -> KeepOutcome {
        let (id, wait) = (delivery.upload.delivery_id(), RETRY.wait_after(delivery.failures));
        if let Some(redis) = self.store.shared()
            && let Some(kept) = redis.keep_delivery(&id, &delivery.to_json(), wait, replaces).await
        {
            return kept;
        }
        let mut in_memory = self.in_memory.lock();
        let known = in_memory.waiting.iter().find(|(_, kept)| kept.upload.delivery_id() == id);
        match known.map(|(place, _)| *place) {
            Some(_) if !replaces => return KeepOutcome::Known,
            Some(place) => drop(in_memory.waiting.remove(&place)),
            None if in_memory.waiting.len() >= MAX_IN_MEMORY => return KeepOutcome::Full,
            None => {}
        }
        in_memory.number += 1;
        let place = (Instant::now() + wait, in_memory.number);
        in_memory.waiting.insert(place, delivery);
        self.metrics.kept(in_memory.kept());
        drop(in_memory);
        self.added.notify_one();
        KeepOutcome::Kept
    }

    /// The report is delivered or given up.
    pub(super) async fn remove(&self, upload: &ReportedUpload) {
        if let Some(redis) = self.store.shared() {
            redis.remove_delivery(&upload.delivery_id()).await;
        }
    }

    /// Waits until reports are due, and takes them. Redis is asked only while `is_active`: a service without callbacks
    /// needs no rights for it.
    pub(super) async fn due(&self, is_active: impl Fn() -> bool) -> Vec<Delivery> {
        loop {
            let added = self.added.notified();
            let (mut due, next) = self.take_due_in_memory();
            if is_active() {
                due.extend(self.take_due_in_redis().await);
            }
            if !due.is_empty() {
                return due;
            }
            let is_shared = !matches!(*self.store, Store::Memory);
            tokio::select! {
                () = added => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                // Jittered, so that replicas do not ask together.
                () = sleep(jittered(POLL, 0.5)), if is_shared => {}
            }
        }
    }

    /// Takes what a stop of this replica loses.
    pub(super) fn close_memory(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.in_memory.lock().waiting).into_values().collect()
    }

    #[cfg(test)]
    pub(super) fn kept_in_memory(&self) -> usize {
        self.in_memory.lock().waiting.len()
    }

    fn take_due_in_memory(&self) -> (Vec<Delivery>, Option<Instant>) {
        let now = Instant::now();
        let mut in_memory = self.in_memory.lock();
        let later = in_memory.waiting.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut in_memory.waiting, later);
        self.metrics.kept(in_memory.kept());
        let next = in_memory.waiting.first_key_value().map(|((due, _), _)| *due);
        (due.into_values().collect(), next)
    }

    async fn take_due_in_redis(&self) -> Vec<Delivery> {
        let Some(redis) = self.store.shared() else { return Vec::new() };
        let Some(due) = redis.take_deliveries().await else { return Vec::new() };
        let mut in_memory = self.in_memory.lock();
        in_memory.in_redis = usize::try_from(due.kept).unwrap_or(usize::MAX);
        self.metrics.kept(in_memory.kept());
        drop(in_memory);
        due.values.iter().filter_map(|(_, json)| Delivery::from_json(json)).collect()
    }
}

impl InMemory {
    fn kept(&self) -> usize {
        self.waiting.len().saturating_add(self.in_redis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::claims::tests::now;
    use crate::callback::upload::tests::upload;

    fn deliveries() -> Deliveries {
        Deliveries::new(Arc::new(Store::Memory), CallbackMetrics::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_report_is_due_after_growing_waits_and_for_a_day() {
        let deliveries = deliveries();
        let began = Instant::now();
        let mut delivery = Delivery { upload: upload(), failures: 1 };
        let mut waits = Vec::new();
        for _ in 0..12 {
            assert_eq!(deliveries.keep_again(delivery.clone()).await, KeepOutcome::Kept);
            let kept_at = Instant::now();
            let due = deliveries.due(|| true).await;
            assert_eq!(due, [delivery.clone()]);
            waits.push(kept_at.elapsed());
            let later = TimeDelta::from_std(began.elapsed()).unwrap();
            delivery = delivery.failed_again(now() + later).unwrap();
        }
        assert!((1..=2).contains(&waits[0].as_secs()), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= Duration::from_mins(5)), "{waits:?}");
        assert!(waits[11] >= Duration::from_secs(150), "{waits:?}");
        assert!(delivery.clone().failed_again(now() + MAX_AGE - TimeDelta::seconds(1)).is_some());
        assert!(delivery.failed_again(now() + MAX_AGE).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn kept_reports_are_bounded() {
        let deliveries = deliveries();
        let again = upload();
        assert_eq!(deliveries.keep(again.clone()).await, KeepOutcome::Kept);
        // Whatever else is said about the upload, and however often.
        for bytes in 0..3 {
            let other = ReportedUpload { bytes, etag: bytes.to_string(), ..again.clone() };
            assert_eq!(deliveries.keep(other).await, KeepOutcome::Known);
        }
        assert_eq!(deliveries.kept_in_memory(), 1);
        // The one that is to be forwarded has a place of its own.
        let first = ReportedUpload { is_first: true, ..again.clone() };
        for _ in 0..3 {
            assert_eq!(deliveries.keep(first.clone()).await, KeepOutcome::Kept);
        }
        assert_eq!(deliveries.kept_in_memory(), 2);
        for _ in 2..MAX_IN_MEMORY {
            assert_eq!(deliveries.keep(upload()).await, KeepOutcome::Kept);
        }
        assert_eq!(deliveries.keep(upload()).await, KeepOutcome::Full);
        sleep(Duration::from_secs(2)).await;
        let due = deliveries.due(|| true).await;
        assert_eq!(due.len(), MAX_IN_MEMORY);
        assert!(due.iter().any(|delivery| delivery.upload == again));
        assert_eq!(deliveries.close_memory(), []);
    }

    #[test]
    fn a_delivery_is_read_as_it_was_written() {
        let delivery = Delivery { upload: upload(), failures: 7 };
        assert_eq!(Delivery::from_json(&delivery.to_json()), Some(delivery));
    }
}
