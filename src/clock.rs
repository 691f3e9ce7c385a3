//! The one place that asks what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let start = "2016-01-13T14:02:37Z".parse().unwrap();
        let clock = Clock::manual(start);
        clock.clone().advance(TimeDelta::seconds(90));
        assert_eq!(clock.now(), start + TimeDelta::seconds(90));
    }
}
