//! The clocks: the only code that reads the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use tokio::time::Instant;

/// The source of the current time: the machine, or a manual clock in tests.
///
/// A machine has two clocks, and neither suffices alone. The wall clock can be set, forwards and back. The monotonic
/// clock cannot, but on Linux it stops while the machine is suspended. So:
///
/// - What is cached for a while (a token, a refusal, a verified JWT, an issuer's keys) has a `Moment` from which its
///   age is counted, by the clock that shows more.
/// - What carries a date from elsewhere (a JWT, a ticket) is compared with the wall clock.
/// - What waits or bounds load (time-outs, pauses, backoff, the breaker, limits, the budget) uses the monotonic clock
///   alone. Setting the wall clock must neither end a wait nor renew a quota; after a suspend such a bound is at most
///   as strict as before.
///
/// `CLOCK_BOOTTIME`, which counts suspends, is not used: on wake-up the kernel adds the same time to it and to the wall
/// clock, so it would help only if the wall clock were set back by exactly that time.
///
/// Clones of a manual clock move together. It is the wall clock of a test, whose monotonic clock is tokio's.
#[derive(Clone, Debug)]
pub struct Clock(ClockSource);

#[derive(Clone, Debug)]
enum ClockSource {
    System,
    /// Microseconds since the Unix epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self(ClockSource::System)
    }

    /// A clock that stays at `start` until it is moved.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(ClockSource::Manual(Arc::new(AtomicI64::new(start.timestamp_micros()))))
    }

    /// The present moment.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the one place")]
            ClockSource::System => Utc::now(),
            ClockSource::Manual(micros) => {
                DateTime::from_timestamp_micros(micros.load(Ordering::Relaxed))
                    .expect("a manual clock is only ever set to valid times")
            }
        }
    }

    /// The present moment by both clocks.
    pub fn moment(&self) -> Moment {
        Moment::at(self.now())
    }

    /// Moves a manual clock, forwards or backwards.
    ///
    /// # Panics
    /// If this is the machine's clock: only tests own time.
    pub fn advance(&self, by: TimeDelta) {
        let moved = self.now() + by;
        match &self.0 {
            ClockSource::System => panic!("the machine's clock cannot be moved"),
            ClockSource::Manual(micros) => {
                micros.store(moved.timestamp_micros(), Ordering::Relaxed);
            }
        }
    }
}

/// One moment by both of a machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    wall: DateTime<Utc>,
    monotonic: Instant,
}

impl Moment {
    /// The present moment, where the wall clock has been read.
    pub fn at(wall: DateTime<Utc>) -> Self {
        Self { wall, monotonic: Instant::now() }
    }

    /// The time since `earlier`, by the clock that shows more.
    pub fn since(self, earlier: Self) -> Duration {
        let by_wall = (self.wall - earlier.wall).to_std().unwrap_or_default();
        by_wall.max(self.monotonic.saturating_duration_since(earlier.monotonic))
    }

    /// By how much more the wall clock shows since `earlier` than the monotonic one: it was set forward, or the machine was
    /// suspended.
    pub fn wall_lead(self, earlier: Self) -> Duration {
        let by_monotonic = self.monotonic.saturating_duration_since(earlier.monotonic);
        self.since(earlier).saturating_sub(by_monotonic)
    }

    /// For timers.
    pub fn monotonic(self) -> Instant {
        self.monotonic
    }
}

#[cfg(any(test, feature = "test-support"))]
impl Moment {
    /// This moment plus a duration, by both clocks.
    pub fn moved(self, wall: TimeDelta, monotonic: Duration) -> Self {
        Self { wall: self.wall + wall, monotonic: self.monotonic + monotonic }
    }
}

/// The end of something that many threads read without a lock: reached as soon as either clock reaches it.
///
/// The two parts are not stored together. A reader in between sees one part of each end, and both were valid.
#[derive(Debug)]
pub struct SharedEnd {
    origin: Instant,
    /// In milliseconds, since the epoch.
    wall: AtomicI64,
    /// In milliseconds, since `origin`.
    monotonic: AtomicU64,
}

impl SharedEnd {
    /// No end: never reached.
    pub fn never() -> Self {
        Self {
            origin: Instant::now(),
            wall: AtomicI64::new(i64::MAX),
            monotonic: AtomicU64::new(u64::MAX),
        }
    }

    /// Sets the end to `valid_for` after `now`.
    pub fn set(&self, now: Moment, valid_for: Duration) {
        let millis = u64::try_from(valid_for.as_millis()).unwrap_or(u64::MAX);
        let wall = now.wall.timestamp_millis().saturating_add_unsigned(millis);
        self.wall.store(wall, Ordering::Relaxed);
        self.monotonic.store(self.millis(now).saturating_add(millis), Ordering::Relaxed);
    }

    /// Sets the end to the past.
    pub fn set_over(&self) {
        self.wall.store(i64::MIN, Ordering::Relaxed);
        self.monotonic.store(0, Ordering::Relaxed);
    }

    /// Whether it has been reached.
    pub fn is_over(&self, now: Moment) -> bool {
        now.wall.timestamp_millis() >= self.wall.load(Ordering::Relaxed)
            || self.millis(now) >= self.monotonic.load(Ordering::Relaxed)
    }

    fn millis(&self, now: Moment) -> u64 {
        let millis = now.monotonic.saturating_duration_since(self.origin).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX)
    }
}

/// A moment as `YYYY-MM-DDTHH:MM:SSZ`, digit by digit: every answer and every log line has one, and the general
/// formatting of numbers takes ten times as long.
#[derive(Clone, Copy, Debug)]
pub struct Stamp([u8; 20]);

impl Stamp {
    /// For the years 0 to 9999; others are written as the nearest of them.
    pub fn of(moment: DateTime<Utc>) -> Self {
        let mut text = *b"0000-00-00T00:00:00Z";
        let mut put = |at: usize, length: usize, number: u32| {
            let mut rest = number;
            for digit in text[at..at + length].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        };
        put(0, 4, moment.year().clamp(0, 9999).unsigned_abs());
        put(5, 2, moment.month());
        put(8, 2, moment.day());
        put(11, 2, moment.hour());
        put(14, 2, moment.minute());
        put(17, 2, moment.second());
        Self(text)
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and signs are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_what_chrono_writes() {
        let moments = (0..2000).map(|n| DateTime::from_timestamp(n * 7_654_321, 999_999_999));
        for moment in moments.map(Option::unwrap) {
            let expected = moment.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            assert_eq!(Stamp::of(moment).as_str(), expected);
        }
    }

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let start = "2016-01-13T14:02:37Z".parse().unwrap();
        let clock = Clock::manual(start);
        clock.clone().advance(TimeDelta::seconds(90));
        assert_eq!(clock.now(), start + TimeDelta::seconds(90));
    }

    /// By how much each clock moves, in seconds, and what that makes of an age.
    const MOVES: [(i64, u64, u64); 7] = [
        (90, 90, 90),
        // Suspended.
        (7200, 0, 7200),
        (7200, 3, 7200),
        // Set back, and by as much as has passed.
        (-7200, 0, 0),
        (-7200, 90, 90),
        (0, 90, 90),
        // Set forward.
        (31_536_000, 1, 31_536_000),
    ];

    #[tokio::test(start_paused = true)]
    async fn an_age_is_the_longer_one_of_both_clocks() {
        for (wall, monotonic, expected) in MOVES {
            let clock = Clock::manual("2016-01-13T14:02:37Z".parse().unwrap());
            let before = clock.moment();
            clock.advance(TimeDelta::seconds(wall));
            tokio::time::advance(Duration::from_secs(monotonic)).await;
            let age = clock.moment().since(before);
            assert_eq!(age, Duration::from_secs(expected), "{wall} {monotonic}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_reached_when_either_clock_reaches_it() {
        for (wall, monotonic, age) in MOVES {
            for valid_for in [0, 1, 89, 90, 91, 7199, 7200, 7201] {
                let clock = Clock::manual("2016-01-13T14:02:37Z".parse().unwrap());
                let end = SharedEnd::never();
                assert!(!end.is_over(clock.moment()));
                end.set(clock.moment(), Duration::from_secs(valid_for));
                clock.advance(TimeDelta::seconds(wall));
                tokio::time::advance(Duration::from_secs(monotonic)).await;
                let is_over = end.is_over(clock.moment());
                assert_eq!(is_over, age >= valid_for, "{wall} {monotonic} {valid_for}");
                end.set(clock.moment(), Duration::MAX);
                assert!(!end.is_over(clock.moment()));
                end.set_over();
                assert!(end.is_over(clock.moment()));
            }
        }
    }
}
