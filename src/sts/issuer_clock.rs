//! STS's time, as far as we know it.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;

/// Our clock, corrected by what STS's answers taught us.
///
/// STS refuses timestamps that are off by more than its window. A machine whose clock is wrong
/// would be without tokens until somebody mends it, so the offset is learnt, and kept for the calls
/// that follow.
#[derive(Debug)]
pub(super) struct IssuerClock {
    clock: Clock,
    /// What is added to our clock. Relaxed is enough: nothing else is published with it.
    offset_millis: AtomicI64,
}

impl IssuerClock {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, offset_millis: AtomicI64::new(0) }
    }

    /// The present moment by STS's clock.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now() + TimeDelta::milliseconds(self.offset_millis.load(Ordering::Relaxed))
    }

    /// Learns that STS's clock showed `theirs` just now; answers by how much ours differs.
    pub(super) fn learn(&self, theirs: DateTime<Utc>) -> TimeDelta {
        let offset = theirs - self.clock.now();
        self.offset_millis.store(offset.num_milliseconds(), Ordering::Relaxed);
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learnt_holds_as_time_goes_on() {
        let ours = Clock::manual("2016-01-13T14:00:00Z".parse().unwrap());
        let clock = IssuerClock::new(ours.clone());
        clock.learn("2016-01-13T13:40:00Z".parse().unwrap());
        ours.advance(TimeDelta::minutes(5));
        assert_eq!(clock.now(), "2016-01-13T13:45:00Z".parse::<DateTime<Utc>>().unwrap());
    }
}
