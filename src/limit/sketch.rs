//! Token buckets for any number of keys in a table of fixed size.
//!
//! Strangers choose the keys, so memory may not grow with their number, and no key may be evicted for others. A keyed
//! hash gives each key one cell in each of two rows, which it shares with other keys; the lesser of the two cells counts.
//! A count is therefore never too low, and too high only where both cells are shared with busy keys: a limit can become
//! too strict, but never too lax.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::LimitTerms;

/// Cells of one row, of 8 bytes: a megabyte for both. Random keys fill the cells only if they come faster than all cells
/// together drain, which is 65,536 times the limit of one key.
const CELLS: usize = 1 << 16;

/// A count-min sketch of token buckets. A cell is the time at which its bucket will have drained, in nanoseconds since
/// `start`, shifted left by one; the lowest bit is set once it was reported that the limit is reached.
#[derive(Debug)]
pub(super) struct Sketch {
    terms: LimitTerms,
    start: Instant,
    rows: [Box<[AtomicU64]>; 2],
    hashing: RandomState,
    /// Held for a few instructions while something is counted. Reads do not take it.
    counting: Mutex<()>,
}

/// The result of counting one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Counted {
    /// Zero if the key was within its limit and is counted, otherwise the time until it is within it again.
    pub(super) wait: Duration,
    /// This one reached the limit, and that was not reported recently.
    pub(super) reached: bool,
}

impl Sketch {
    pub(super) fn new(terms: LimitTerms) -> Self {
        let row = || (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        Self {
            terms,
            start: Instant::now(),
            rows: [row(), row()],
            hashing: RandomState::default(),
            counting: Mutex::default(),
        }
    }

    pub(super) fn terms(&self) -> LimitTerms {
        self.terms
    }

    /// The time until the key is within its limit; zero if it is. Costs two reads of memory that is seldom written.
    pub(super) fn wait(&self, key: &impl Hash, now: Instant) -> Duration {
        self.excess(minimum(self.cells(key)) >> 1, self.nanos(now))
    }

    /// Counts one for the key, if the key is within its limit.
    pub(super) fn count(&self, key: &impl Hash, now: Instant) -> Counted {
        let (cells, now) = (self.cells(key), self.nanos(now));
        // Every change is a store or two, neither of which can panic.
        let _counting = self.counting.lock();
        let stored = minimum(cells);
        let drained = (stored >> 1).max(now);
        let wait = self.excess(drained, now);
        if !wait.is_zero() {
            return Counted { wait, reached: false };
        }
        let later = drained + self.interval();
        let reached = !self.excess(later, now).is_zero();
        // A source that continues reaches it again and again; it is reported anew only after its count has halved.
        let reported = stored & 1 == 1 && drained - now > self.capacity() / 2;
        let value = later << 1 | u64::from(reached || reported);
        for cell in cells {
            // A cell that another key has filled further stays as it is.
            cell.fetch_max(value, Ordering::Relaxed);
        }
        Counted { wait: Duration::ZERO, reached: reached && !reported }
    }

    /// By how much a bucket that drains at `drained` is beyond its capacity.
    fn excess(&self, drained: u64, now: u64) -> Duration {
        Duration::from_nanos(drained.saturating_sub(now + self.capacity()))
    }

    /// The nanoseconds in which one drains.
    fn interval(&self) -> u64 {
        nanos(self.terms.interval())
    }

    /// The most nanoseconds left to drain with which one more is admitted.
    fn capacity(&self) -> u64 {
        self.interval() * u64::from(self.terms.burst.get() - 1)
    }

    fn nanos(&self, now: Instant) -> u64 {
        nanos(now - self.start)
    }

    fn cells(&self, key: &impl Hash) -> [&AtomicU64; 2] {
        let (hash, cells) = (self.hashing.hash_one(key), CELLS as u64);
        let [first, second] = &self.rows;
        #[expect(clippy::cast_possible_truncation, reason = "less than `CELLS`")]
        let place = |hash: u64| (hash % cells) as usize;
        [&first[place(hash & u64::from(u32::MAX))], &second[place(hash >> 32)]]
    }
}

fn minimum([first, second]: [&AtomicU64; 2]) -> u64 {
    first.load(Ordering::Relaxed).min(second.load(Ordering::Relaxed))
}

/// The nanoseconds of a duration of at most some years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::limit::Per;

    const SECOND: Duration = Duration::from_secs(1);

    /// A sketch of limits per minute.
    fn sketch(requests: u32, burst: u32) -> Sketch {
        let [requests, burst] = [requests, burst].map(|n| NonZeroU32::new(n).unwrap());
        Sketch::new(LimitTerms { requests, per: Per::Minute, burst })
    }

    #[test]
    fn a_key_gets_its_burst_and_then_its_rate_and_other_keys_are_unaffected() {
        let sketch = sketch(60, 3);
        let start = Instant::now();
        let waits = |after| sketch.count(&"greedy", start + after).wait;
        assert_eq!([0; 5].map(|_| waits(Duration::ZERO)), [0, 0, 0, 1, 1].map(|n| SECOND * n));
        assert_eq!(sketch.wait(&"greedy", start), SECOND);
        assert_eq!([0; 2].map(|_| waits(SECOND)), [Duration::ZERO, SECOND]);
        assert_eq!([0; 4].map(|_| waits(SECOND * 60)), [0, 0, 0, 1].map(|n| SECOND * n));
        assert_eq!(sketch.wait(&"modest", start), Duration::ZERO);
    }

    #[test]
    fn a_reached_limit_is_reported_once_until_half_of_it_has_drained() {
        let sketch = sketch(60, 10);
        let start = Instant::now();
        // At four times the rate for ten minutes; then a pause; then again.
        let reported = |from: u32| {
            let times = (0..2400).map(|n| start + SECOND * from + SECOND / 4 * n);
            times.filter(|now| sketch.count(&"greedy", *now).reached).count()
        };
        assert_eq!((reported(0), reported(602), reported(1220)), (1, 0, 1));
    }

    #[test]
    fn a_limit_is_reported_anew_once_half_of_it_has_drained_and_not_before() {
        // Nine seconds are left to drain when it is reached, and one more for the last request.
        for (half_seconds, expected) in [(1, 0), (10, 0), (11, 1), (12, 1), (19, 1)] {
            let (sketch, start) = (sketch(60, 10), Instant::now());
            let reported = |at| (0..10).filter(|_| sketch.count(&"greedy", at).reached).count();
            assert_eq!(reported(start), 1);
            let later = reported(start + SECOND / 2 * half_seconds);
            assert_eq!(later, expected, "after {half_seconds} half seconds");
        }
    }

    #[test]
    fn a_million_keys_take_no_memory_and_a_frequent_key_stays_limited() {
        let sketch = sketch(300, 100);
        let start = Instant::now();
        let bytes = || sketch.rows.iter().map(|row| size_of_val(&**row)).sum::<usize>();
        let (mut frequent, mut strangers) = (0, 0);
        for n in 0..1_000_000_u32 {
            // 100,000 a second.
            let now = start + Duration::from_micros(10) * n;
            strangers += u32::from(!sketch.count(&rand::random::<u128>(), now).wait.is_zero());
            if n % 100 == 0 {
                frequent += u32::from(sketch.count(&"frequent", now).wait.is_zero());
            }
        }
        // Its burst, and 5 in each of 10 seconds, of 1000 attempts in each. Keys in the same cells only reduce that.
        assert!((75..=150).contains(&frequent), "{frequent} of 10000");
        assert_eq!(strangers, 0, "of a million keys with one attempt");
        assert_eq!(bytes(), 1 << 20);
    }
}
