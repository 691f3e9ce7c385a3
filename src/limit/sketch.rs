//! Token buckets for any number of keys in a table of fixed size.
//!
//! Strangers choose the keys, so nothing may grow with their number, and nobody may be forgotten for others' sake. Each
//! key has one cell in each of two rows, by a keyed hash, shared with whatever else falls there; the lesser of the two
//! counts. So a key is never counted for less than it did, and for more only where both of its cells are shared with
//! busy ones: a limit can become too strict, and never too lax.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::LimitTerms;

/// Cells of one row, of 8 bytes: a megabyte for both. Random keys wear a cell out only if they come faster than
/// all cells together drain, which is 65,536 times what the limit lets one key do.
const CELLS: usize = 1 << 16;

/// A cell holds the moment when all that was counted in it will have drained, in nanoseconds since the start, times two;
/// and whether it was told that a limit was reached here.
#[derive(Debug)]
pub(super) struct Sketch {
    terms: LimitTerms,
    start: Instant,
    rows: [Box<[AtomicU64]>; 2],
    hashing: RandomState,
    /// Held for a few instructions while something is counted. Who only looks does not take it.
    counting: Mutex<()>,
}

/// What came of counting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Counted {
    /// How long the key was beyond its limit already; then it was not counted. Zero if it was within it.
    pub(super) wait: Duration,
    /// This was the last that the limit let through, for the first time in a while.
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

    /// How long the key stays beyond its limit; zero if it is within it. Two reads of memory that is seldom written.
    pub(super) fn wait(&self, key: &impl Hash, now: Instant) -> Duration {
        self.beyond(least(self.cells(key)) >> 1, self.nanos(now))
    }

    /// Counts one more for the key, if that is within its limit.
    pub(super) fn count(&self, key: &impl Hash, now: Instant) -> Counted {
        let (cells, now) = (self.cells(key), self.nanos(now));
        // Every change is a store or two, neither of which can panic.
        let _counting = self.counting.lock();
        let held = least(cells);
        let drained = (held >> 1).max(now);
        let wait = self.beyond(drained, now);
        if !wait.is_zero() {
            return Counted { wait, reached: false };
        }
        let later = drained + self.interval();
        let reached = !self.beyond(later, now).is_zero();
        // A source that continues reaches it again and again; it is reported anew only after its count has halved.
        let told = held & 1 == 1 && drained - now > self.room() / 2;
        let value = later << 1 | u64::from(reached || told);
        for cell in cells {
            // What another key has more in it stays.
            cell.fetch_max(value, Ordering::Relaxed);
        }
        Counted { wait: Duration::ZERO, reached: reached && !told }
    }

    /// By how much what drains then is more than the bucket holds.
    fn beyond(&self, drained: u64, now: u64) -> Duration {
        Duration::from_nanos(drained.saturating_sub(now + self.room()))
    }

    /// What one more takes to drain.
    fn interval(&self) -> u64 {
        nanos(self.terms.interval())
    }

    /// How much may be left to drain for one more to be let through.
    fn room(&self) -> u64 {
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

fn least([first, second]: [&AtomicU64; 2]) -> u64 {
    first.load(Ordering::Relaxed).min(second.load(Ordering::Relaxed))
}

/// Of what is at most years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::limit::Per;

    const SECOND: Duration = Duration::from_secs(1);

    /// So many a minute.
    fn sketch(requests: u32, burst: u32) -> Sketch {
        let [requests, burst] = [requests, burst].map(|n| NonZeroU32::new(n).unwrap());
        Sketch::new(LimitTerms { requests, per: Per::Minute, burst })
    }

    #[test]
    fn a_key_gets_its_burst_and_then_its_rate_and_others_are_not_touched() {
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
    fn reaching_a_limit_is_told_once_until_half_of_it_is_free_again() {
        let sketch = sketch(60, 10);
        let start = Instant::now();
        // Four times as often as it may, for ten minutes; a pause; and again.
        let told = |from: u32| {
            let times = (0..2400).map(|n| start + SECOND * from + SECOND / 4 * n);
            times.filter(|now| sketch.count(&"greedy", *now).reached).count()
        };
        assert_eq!((told(0), told(602), told(1220)), (1, 0, 1));
    }

    /// T26.
    #[test]
    fn a_million_keys_take_no_room_and_the_frequent_one_stays_limited() {
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
        // Its burst, and 5 for each of 10 seconds; it tries 1000 times in each. What falls on it only takes from that.
        assert!((75..=150).contains(&frequent), "{frequent} of 10000");
        assert_eq!(strangers, 0, "of a million who tried once");
        assert_eq!(bytes(), 1 << 20);
    }
}
