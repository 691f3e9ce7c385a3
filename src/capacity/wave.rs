//! When in a day the sessions begin.

use std::f64::consts::TAU;

pub(super) const DAY_SECS: f64 = 86_400.0;
const HOUR_SECS: f64 = 3_600.0;
const MINUTES: u32 = 24 * 60;

/// One smooth wave a day, with its peak in the middle: a von Mises curve, the only parameter of which is how steep it is.
/// It is flat for a peak hour of a 24th of the day, a sine for slightly more, and a bell for much more.
#[derive(Clone, Copy, Debug)]
pub(super) struct DailyWave {
    steepness: f64,
    /// Of the curve over the day, in seconds.
    area: f64,
}

impl DailyWave {
    /// The wave whose busiest hour has this share of the day.
    pub(super) fn with_peak_hour(share: f64) -> Self {
        let (mut flat, mut steep) = (0.0, 5_000.0);
        for _ in 0..60 {
            let middle = f64::midpoint(flat, steep);
            if Self::of_steepness(middle).peak_hour() < share {
                flat = middle;
            } else {
                steep = middle;
            }
        }
        Self::of_steepness(f64::midpoint(flat, steep))
    }

    fn of_steepness(steepness: f64) -> Self {
        let unscaled = Self { steepness, area: 1.0 };
        let minutes = (0..MINUTES).map(|minute| (f64::from(minute) + 0.5) * 60.0);
        Self { area: minutes.map(|at| unscaled.share_a_second(at) * 60.0).sum(), ..unscaled }
    }

    fn peak_hour(self) -> f64 {
        let minutes =
            (0..60).map(|minute| (DAY_SECS - HOUR_SECS) / 2.0 + (f64::from(minute) + 0.5) * 60.0);
        minutes.map(|at| self.share_a_second(at) * 60.0).sum()
    }

    /// The share of a day's sessions that begins in one second, so many seconds after the quietest time.
    pub(super) fn share_a_second(self, at_secs: f64) -> f64 {
        let from_peak = (at_secs / DAY_SECS - 0.5) * TAU;
        (self.steepness * (from_peak.cos() - 1.0)).exp() / self.area
    }
}
