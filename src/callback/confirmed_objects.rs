//! Remembers which upload each confirmed object is that of, so that one object confirms one upload alone.
//!
//! Replicas share this through Redis. While Redis does not answer, each replica knows only what it confirmed itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use super::claims::{REPORT_GRACE, UploadId};
use super::confirm::ConfirmedObject;
use super::deliveries::MAX_AGE;
use super::upload::ReportedUpload;
use crate::store::Store;
use appserver_domain::Fingerprint;
use appserver_domain::clock::Clock;

/// The most objects that one replica remembers; beyond it the oldest is forgotten.
const MAX_OBJECTS: usize = 100_000;
/// For clocks that differ.
const MARGIN: TimeDelta = TimeDelta::seconds(60);

/// The objects that reports were confirmed by.
#[derive(Debug)]
pub(super) struct ConfirmedObjects {
    store: Arc<Store>,
    clock: Clock,
    /// Held for a lookup and an insertion, never across an await.
    local: Mutex<Local>,
}

#[derive(Debug, Default)]
struct Local {
    objects: HashMap<Fingerprint, Claim>,
    /// The oldest first.
    order: VecDeque<Fingerprint>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    upload: UploadId,
    until: DateTime<Utc>,
}

impl ConfirmedObjects {
    pub(super) fn new(store: Arc<Store>, clock: Clock) -> Self {
        Self { store, clock, local: Mutex::default() }
    }

    /// Whether the object is this upload's: it has confirmed no other one. It is remembered for as long as a form that was
    /// signed before it was written can be reported, or its kept report delivered.
    pub(super) async fn claim(
        &self,
        upload: &ReportedUpload,
        object: &ConfirmedObject,
        longest_form: TimeDelta,
    ) -> bool {
        let modified_at = object.modified_at.timestamp().to_string();
        let claims = &upload.claims;
        let parts = [
            "confirmed object",
            claims.bucket.as_str(),
            &claims.key,
            &object.etag,
            modified_at.as_str(),
        ];
        let now = self.clock.now();
        let life = longest_form.max(MAX_AGE) + REPORT_GRACE + MARGIN;
        if let Some(redis) = self.store.shared() {
            let (id, life) = (claims.id.to_string(), life.to_std().unwrap_or_default());
            // Not remembered here: the object is another upload's.
            if redis.claim_for(&parts, &id, life).await == Some(false) {
                return false;
            }
        }
        let object = Fingerprint::of(parts.map(str::as_bytes));
        self.claim_locally(object, claims.id, now, now + life)
    }

    fn claim_locally(
        &self,
        object: Fingerprint,
        upload: UploadId,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> bool {
        let mut local = self.local.lock();
        match local.objects.get(&object).copied() {
            Some(claim) if claim.until > now => return claim.upload == upload,
            Some(_) => {}
            None => local.order.push_back(object),
        }
        local.objects.insert(object, Claim { upload, until });
        if local.order.len() > MAX_OBJECTS
            && let Some(oldest) = local.order.pop_front()
        {
            local.objects.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::claims::tests::now;
    use crate::callback::upload::tests::upload;

    #[tokio::test]
    async fn an_object_confirms_one_upload_for_as_long_as_another_form_can_be_reported() {
        let clock = Clock::manual(now());
        let objects = ConfirmedObjects::new(Arc::new(Store::Memory), clock.clone());
        let (first, other) = (upload(), upload());
        let object = ConfirmedObject { bytes: 9, etag: "9A0364B9".to_owned(), modified_at: now() };
        let quarter = TimeDelta::minutes(15);
        let day = TimeDelta::hours(24);
        for _ in 0..2 {
            assert!(objects.claim(&first, &object, quarter).await);
            assert!(!objects.claim(&other, &object, quarter).await);
        }
        // Written again, it is another one.
        let again =
            ConfirmedObject { modified_at: now() + TimeDelta::seconds(1), ..object.clone() };
        assert!(objects.claim(&other, &again, quarter).await);
        clock.advance(day + REPORT_GRACE);
        assert!(!objects.claim(&other, &object, quarter).await);
        clock.advance(MARGIN);
        assert!(objects.claim(&other, &object, quarter).await);
    }

    #[tokio::test]
    async fn the_oldest_objects_are_forgotten() {
        let objects = ConfirmedObjects::new(Arc::new(Store::Memory), Clock::manual(now()));
        for i in 0..=MAX_OBJECTS {
            let object = Fingerprint::of([i.to_string().as_bytes()]);
            assert!(objects.claim_locally(
                object,
                UploadId::fresh(),
                now(),
                DateTime::<Utc>::MAX_UTC
            ));
        }
        let local = objects.local.lock();
        assert_eq!((local.objects.len(), local.order.len()), (MAX_OBJECTS, MAX_OBJECTS));
    }
}
