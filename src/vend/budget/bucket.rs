//! A token bucket that shrinks when STS throttles, and grows back.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::BudgetTerms;
use crate::vend::settings::BudgetSettings;

/// Throttling cuts the rate to this fraction, at most once a second: many calls report one overrun.
const CUT: f64 = 0.5;
const CUT_PAUSE: Duration = Duration::from_secs(1);
/// No cut goes below this fraction of the configured rate, even if others spend the account's quota for a long time.
const FLOOR: f64 = 0.1;
/// The fraction of the configured rate that each second restores: half of it in 25 seconds.
const RECOVERY: f64 = 0.02;

/// The terms of the shared budget, or of one of `parts` equal parts of it.
pub(super) fn terms(settings: BudgetSettings, parts: NonZeroU32) -> BudgetTerms {
    let part = |whole: u32| f64::from(whole) / f64::from(parts.get());
    let per_second = part(settings.per_second);
    let refresh_per_second = per_second * settings.refresh_share;
    BudgetTerms {
        per_second,
        burst: part(settings.burst).max(1.0),
        refresh_per_second,
        // Refreshes are not evenly spread: those of one second may come at once. Without a share there are none.
        refresh_burst: if refresh_per_second > 0.0 { refresh_per_second.max(1.0) } else { 0.0 },
        cut: CUT,
        floor: FLOOR,
        recovery: RECOVERY,
        cut_pause: CUT_PAUSE,
    }
}

/// How many calls may be made now. The times passed to it must not decrease.
#[derive(Debug)]
pub(super) struct Bucket {
    full_rate: f64,
    rate: f64,
    burst: f64,
    level: f64,
    filled_at: Instant,
    cut_at: Option<Instant>,
}

impl Bucket {
    pub(super) fn new(per_second: f64, burst: f64, now: Instant) -> Self {
        Self {
            full_rate: per_second,
            rate: per_second,
            burst,
            level: burst,
            filled_at: now,
            cut_at: None,
        }
    }

    /// Fills it for the time since the last call.
    pub(super) fn fill(&mut self, now: Instant) {
        let secs = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = now;
        self.level = (self.level + self.rate * secs).min(self.burst);
        self.rate = (self.rate + self.full_rate * RECOVERY * secs).min(self.full_rate);
    }

    /// Allows no more than this from now on.
    pub(super) fn restrict(&mut self, per_second: f64, burst: f64) {
        self.full_rate = self.full_rate.min(per_second);
        self.rate = self.rate.min(self.full_rate);
        self.burst = self.burst.min(burst);
        self.level = self.level.min(self.burst);
    }

    /// Takes all calls.
    pub(super) fn drain(&mut self) {
        self.level = 0.0;
    }

    /// Takes one call, if there is one.
    pub(super) fn take(&mut self) -> bool {
        let can = self.holds_one();
        if can {
            self.level -= 1.0;
        }
        can
    }

    /// Whether it is full enough for a refresh not to make the next caller wait.
    pub(super) fn is_half_full(&self) -> bool {
        self.level >= f64::midpoint(self.burst, 1.0)
    }

    pub(super) fn holds_one(&self) -> bool {
        // A rounding error of nanoseconds must not cost an iteration of the task that serves the queue.
        self.level >= 1.0 - 1e-6
    }

    /// How long it takes until `calls` can be taken.
    pub(super) fn time_for(&self, calls: usize) -> Duration {
        let missing = (calls as f64 - self.level).max(0.0);
        // A rate of 0 cannot be configured, and cuts have a floor.
        Duration::try_from_secs_f64(missing / self.rate).unwrap_or(Duration::MAX)
    }

    /// Reduces the rate, because STS throttled a call.
    pub(super) fn cut(&mut self, now: Instant) {
        self.level = 0.0;
        if self.cut_at.is_some_and(|at| now.saturating_duration_since(at) < CUT_PAUSE) {
            return;
        }
        self.cut_at = Some(now);
        self.rate = (self.rate * CUT).max(self.full_rate * FLOOR);
    }

    /// The current rate in calls per second.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(bucket: &mut Bucket) -> usize {
        std::iter::from_fn(|| bucket.take().then_some(())).count()
    }

    #[test]
    fn no_second_holds_more_than_the_rate_and_the_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(90.0, 10.0, start);
        let taken: Vec<_> = (0..30_000)
            .filter_map(|millis| {
                let now = start + Duration::from_millis(millis);
                bucket.fill(now);
                let taken = drained(&mut bucket);
                (taken > 0).then_some((millis, taken))
            })
            .collect();
        let most = taken
            .iter()
            .map(|(from, _)| {
                let second = taken.iter().filter(|(at, _)| (*from..from + 1000).contains(at));
                second.map(|(_, taken)| taken).sum::<usize>()
            })
            .max();
        assert!((99..=100).contains(&most.unwrap()), "{most:?}");
        assert_eq!(taken.iter().map(|(_, taken)| taken).sum::<usize>(), 10 + 90 * 30 - 1);
    }

    #[test]
    fn throttling_halves_the_rate_once_a_second_down_to_a_tenth() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100.0, 10.0, start);
        let mut rates = vec![];
        for _ in 0..3 {
            bucket.cut(start);
        }
        rates.push(bucket.rate());
        assert!(!bucket.take(), "a throttled bucket is empty");
        for secs in 1..=5 {
            bucket.cut(start + Duration::from_secs(secs));
            rates.push(bucket.rate());
        }
        assert_eq!(rates, [50.0, 25.0, 12.5, 10.0, 10.0, 10.0]);
    }

    #[test]
    fn the_rate_comes_back_by_itself_and_steadily() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100.0, 10.0, start);
        bucket.cut(start);
        let rates = [10, 20, 25, 3600].map(|secs| {
            bucket.fill(start + Duration::from_secs(secs));
            bucket.rate().round()
        });
        assert_eq!(rates, [70.0, 90.0, 100.0, 100.0]);
    }
}
