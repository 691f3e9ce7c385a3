//! The one place that asks what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};

/// Where "now" comes from: the machine, or a test that moves it by hand.
///
/// Clones of a manual clock move together. Only wall time is here; what waits (time-outs, backoff) uses
/// tokio's time, which tests pause.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    /// Microseconds since the Unix epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until it is moved.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.timestamp_micros()))))
    }

    /// The present moment.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the one place")]
            Source::System => Utc::now(),
            Source::Manual(micros) => {
                DateTime::from_timestamp_micros(micros.load(Ordering::Relaxed))
                    .expect("a manual clock is only ever set to valid times")
            }
        }
    }

    /// Moves a manual clock, forwards or backwards.
    ///
    /// # Panics
    /// If this is the machine's clock: only tests own time.
    pub fn advance(&self, by: TimeDelta) {
        let moved = self.now() + by;
        match &self.0 {
            Source::System => panic!("the machine's clock cannot be moved"),
            Source::Manual(micros) => micros.store(moved.timestamp_micros(), Ordering::Relaxed),
        }
    }
}

/// A moment as `YYYY-MM-DDTHH:MM:SSZ`, digit by digit: every answer and every line of the log has one, and the
/// formatting of numbers in general takes ten times as long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp([u8; 20]);

impl Stamp {
    /// Of the years from 0 to 9999; what is beyond is written as the nearest of them.
    pub(crate) fn of(moment: DateTime<Utc>) -> Self {
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

    pub(crate) fn as_str(&self) -> &str {
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
}
