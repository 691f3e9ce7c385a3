//! The emulator's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use appserver_domain::clock::Clock;

/// A hundred years: beyond every expiry, and within the dates that can be formatted.
const FURTHEST_SECONDS: i64 = 100 * 365 * 86_400;

/// The clock that the emulator was started with, plus an offset. All emulated services share it; clones share the offset.
///
/// The underlying clock is not moved: it may be the machine's, or shared with the server under test.
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

    /// How far it is ahead of the underlying clock; negative if behind.
    pub(crate) fn offset_seconds(&self) -> i64 {
        self.offset_seconds.load(Ordering::Relaxed)
    }

    /// Moves it forward, or back if negative, at most a hundred years from the underlying clock.
    pub(crate) fn advance(&self, seconds: i64) {
        let moved = |offset: i64| {
            Some(offset.saturating_add(seconds).clamp(-FURTHEST_SECONDS, FURTHEST_SECONDS))
        };
        // It never fails: `moved` always has a value.
        let _ = self.offset_seconds.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    /// Removes the offset.
    pub(crate) fn reset(&self) {
        self.offset_seconds.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_underlying_clock_is_not_moved() {
        let clock = Clock::manual("2016-01-13T14:02:37Z".parse().unwrap());
        let time = MovableClock::of(clock.clone());
        time.clone().advance(3600);
        time.advance(-60);
        assert_eq!(time.now() - clock.now(), TimeDelta::seconds(3540));
        time.reset();
        assert_eq!(time.now(), clock.now());
    }

    #[test]
    fn the_offset_is_limited_to_a_hundred_years() {
        let time = MovableClock::of(Clock::manual("2016-01-13T14:02:37Z".parse().unwrap()));
        let years = |time: &MovableClock| time.now().format("%Y").to_string();
        time.advance(i64::MAX);
        time.advance(i64::MAX);
        assert_eq!(years(&time), "2115");
        time.advance(i64::MIN);
        assert_eq!(years(&time), "1916");
    }
}
