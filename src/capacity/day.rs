//! A day of a fleet, step by step: what it needs of STS, and who waits.

use super::population::{Population, TokenAges, Usage};
use super::wave::{DAY_SECS, DailyWave};

/// At most so long, and a sixtieth of the time for which a token is fresh.
const LONGEST_STEP_SECS: f64 = 60.0;
/// Callers get a usable token instead of waiting longer than this: `vend::engine`'s `STALE_WAIT`.
const STALE_WAIT_SECS: f64 = 1.0;

/// Calls a second that may be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) calls: f64,
    /// The part of them that refreshes may take, 0 to 1.
    pub(super) refresh_share: f64,
}

/// What a day came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Day {
    /// Calls of STS in the day.
    pub(super) calls: f64,
    pub(super) refreshes: f64,
    /// Calls a second, of the busiest step.
    pub(super) peak_calls: f64,
    pub(super) peak_refreshes: f64,
    pub(super) peak_issued: f64,
    /// Fresh tokens that were used for the first time after the request for which they were fetched.
    pub(super) used: f64,
    pub(super) peak_used: f64,
    /// Keys whose callers wait in the worst step.
    pub(super) longest_queue: f64,
    /// For how long of the day somebody waits, in seconds.
    pub(super) crowded_secs: f64,
    /// Whether nobody waits at the end of the day.
    pub(super) drains: bool,
    /// Valid tokens at one time, at most.
    pub(super) valid_tokens: f64,
}

/// The second of two days: the first one fills the cache.
pub(super) fn simulate(
    usages: &[Usage],
    ages: TokenAges,
    life: f64,
    wave: DailyWave,
    rates: Rates,
) -> Day {
    let step = LONGEST_STEP_SECS.min(ages.fresh / 60.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    let steps = (DAY_SECS / step).round() as usize;
    let mut populations: Vec<_> =
        usages.iter().map(|usage| Population::new(*usage, ages, step)).collect();
    let mut issued = vec![0.0; 2 * steps];
    let mut day = Day::default();
    for (n, calls) in issued.iter_mut().enumerate() {
        if n == steps {
            day = Day::default();
        }
        let share = wave.share_a_second((n % steps) as f64 * step + step / 2.0) * step;
        let queued: f64 = populations.iter().map(Population::waiting).sum();
        let is_crowded = queued > rates.calls * STALE_WAIT_SECS;
        let demands: Vec<_> = populations
            .iter_mut()
            .map(|population| population.request(share, is_crowded))
            .collect();
        let waiting: f64 = populations.iter().map(Population::waiting).sum();
        let due: f64 = demands.iter().map(|demand| demand.refreshes).sum();
        let served = waiting.min(rates.calls * step);
        // Refreshes take what no caller waits for.
        let refreshes =
            due.min(rates.calls * step - served).min(rates.calls * rates.refresh_share * step);
        let part = |some: f64, of: f64| if of > 0.0 { some / of } else { 0.0 };
        for population in &mut populations {
            let own = population.waiting() * part(served, waiting);
            population.answer(own, part(refreshes, due));
        }
        *calls = served + refreshes;
        day.calls += *calls;
        day.refreshes += refreshes;
        day.peak_calls = day.peak_calls.max(*calls / step);
        day.peak_refreshes = day.peak_refreshes.max(refreshes / step);
        day.peak_issued = day.peak_issued.max(served / step);
        let used: f64 = demands.iter().map(|demand| demand.used).sum();
        day.used += used;
        day.peak_used = day.peak_used.max(used / step);
        let left = waiting - served;
        day.longest_queue = day.longest_queue.max(left);
        day.crowded_secs += if left > 0.0 { step } else { 0.0 };
        day.drains = left <= 0.0;
    }
    day.valid_tokens = most_within(&issued, life / step);
    day
}

/// The largest sum of so many steps in a row.
fn most_within(issued: &[f64], steps: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded by a token's life"
    )]
    let steps = (steps.round() as usize).clamp(1, issued.len());
    let (mut sum, mut most) = (0.0, 0.0_f64);
    for (n, calls) in issued.iter().enumerate() {
        sum += calls;
        if n >= steps {
            sum -= issued[n - steps];
        }
        most = most.max(sum);
    }
    most
}
