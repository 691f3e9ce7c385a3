//! The emulator's own time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use appserver_domain::clock::Clock;

/// A hundred years: far enough for every expiry, and no date that could not be written any more.
const FURTHEST_SECONDS: i64 = 100 * 365 * 86_400;

/// The clock that the emulator was given, moved by some seconds. STS and OSS share it; clones move together.
///
/// The given clock is not moved itself: it may be the machine's, or the one that a test's server shares.
#[derive(Clone, Debug)]
pub(crate) struct MovableClock {
    clock: Clock,
    offset_seconds: Arc<AtomicI64>,
}

impl MovableClock {
    pub(crate) fn of(clock: Clock) -> Self {
        Self { clock, offset_seconds: Arc::default() }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now() + TimeDelta::seconds(self.offset_seconds())
    }

    /// How far it is ahead of the given clock, or behind it if negative.
    pub(crate) fn offset_seconds(&self) -> i64 {
        self.offset_seconds.load(Ordering::Relaxed)
    }

    /// Moves it on, or back if negative; at most a hundred years away from the given clock.
    pub(crate) fn advance(&self, seconds: i64) {
        let moved = |offset: i64| {
            Some(offset.saturating_add(seconds).clamp(-FURTHEST_SECONDS, FURTHEST_SECONDS))
        };
        // It never fails: `moved` always has a value.
        let _ = self.offset_seconds.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    /// Back to the given clock.
    pub(crate) fn reset(&self) {
        self.offset_seconds.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_clock_stays_where_it_is() {
        let clock = Clock::manual("2016-01-13T14:02:37Z".parse().unwrap());
        let time = MovableClock::of(clock.clone());
        time.clone().advance(3600);
        time.advance(-60);
        assert_eq!(time.now() - clock.now(), TimeDelta::seconds(3540));
        time.reset();
        assert_eq!(time.now(), clock.now());
    }

    #[test]
    fn no_move_leaves_the_calendar() {
        let time = MovableClock::of(Clock::manual("2016-01-13T14:02:37Z".parse().unwrap()));
        let years = |time: &MovableClock| time.now().format("%Y").to_string();
        time.advance(i64::MAX);
        time.advance(i64::MAX);
        assert_eq!(years(&time), "2115");
        time.advance(i64::MIN);
        assert_eq!(years(&time), "1916");
    }
}
