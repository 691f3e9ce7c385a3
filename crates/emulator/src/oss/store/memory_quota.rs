//! Limits the memory that objects take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// For all objects and parts together: enough for tests and demos, and safe for the machine.
const MOST_BYTES: u64 = 1 << 30;

/// Charged for each object or part besides its bytes, so that the number of empty ones is limited too.
const OVERHEAD_BYTES: u64 = 1 << 10;

/// The memory that is left for objects; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct MemoryQuota {
    left: Arc<AtomicU64>,
}

/// A part of the quota, returned when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    quota: MemoryQuota,
    bytes: u64,
}

impl MemoryQuota {
    pub(crate) fn new() -> Self {
        Self { left: Arc::new(AtomicU64::new(MOST_BYTES)) }
    }

    /// Reserves the overhead of one object; `None` if not even that is left.
    pub(crate) fn reserve(&self) -> Option<Reservation> {
        let mut reservation = Reservation { quota: self.clone(), bytes: 0 };
        reservation.grow(OVERHEAD_BYTES).then_some(reservation)
    }
}

impl Reservation {
    /// Reserves more; `false`, and nothing changed, if less is left.
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let take = |left: u64| left.checked_sub(bytes);
        let granted = self.quota.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if granted.is_ok() {
            self.bytes += bytes;
        }
        granted.is_ok()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.quota.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_reservation_returns_its_bytes() {
        let quota = MemoryQuota::new();
        let mut first = quota.reserve().unwrap();
        let mut second = quota.reserve().unwrap();
        let rest = MOST_BYTES - 2 * OVERHEAD_BYTES;
        assert!(first.grow(rest - 1) && second.grow(1) && !second.grow(1));
        assert!(quota.reserve().is_none());
        drop(first);
        assert!(second.grow(MOST_BYTES - OVERHEAD_BYTES - 1) && !second.grow(1));
    }
}
