//! STS's time, estimated from its responses.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap};

use appserver_domain::clock::{Clock, Moment};

/// A larger difference is implausible: a machine that starts in 1970, or a proxy's stale page. It is not used to
/// compute the times of tokens.
const MAX_OFFSET: TimeDelta = TimeDelta::days(1);

/// Our clock, corrected by the times in STS's responses.
///
/// STS refuses timestamps outside its window. A machine with a wrong clock could not obtain tokens until its clock is
/// fixed, so the offset is measured and kept for later calls.
#[derive(Debug)]
pub(super) struct StsClock {
    clock: Clock,
    /// Added to our clock. Relaxed is enough: nothing else is published with it.
    offset_millis: AtomicI64,
}

/// A time of STS that differs from ours by more than is plausible.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct ImplausibleTime {
    /// The difference from our clock.
    pub(super) offset: TimeDelta,
}

/// The `Date` of a response.
pub(super) fn date_header(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = headers.get(DATE)?.to_str().ok()?;
    Some(httpdate::parse_http_date(date).ok()?.into())
}

impl StsClock {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, offset_millis: AtomicI64::new(0) }
    }

    /// The present moment by our own clocks.
    pub(super) fn moment(&self) -> Moment {
        self.clock.moment()
    }

    /// The present moment by STS's clock.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now() + TimeDelta::milliseconds(self.offset_millis.load(Ordering::Relaxed))
    }

    /// The time, by STS's clock, of a response that has just arrived: its `Date`, because our clock may be wrong by
    /// less than STS accepts. Our corrected clock if `Date` is missing or implausible.
    pub(super) fn moment_of(&self, date: Option<DateTime<Utc>>) -> DateTime<Utc> {
        date.filter(|theirs| self.plausible_offset(*theirs).is_ok()).unwrap_or_else(|| self.now())
    }

    /// Adjusts to STS's present time; returns the offset of our clock. An implausible time changes nothing.
    pub(super) fn adjust(&self, theirs: DateTime<Utc>) -> Result<TimeDelta, ImplausibleTime> {
        let offset = self.plausible_offset(theirs)?;
        self.offset_millis.store(offset.num_milliseconds(), Ordering::Relaxed);
        Ok(offset)
    }

    fn plausible_offset(&self, theirs: DateTime<Utc>) -> Result<TimeDelta, ImplausibleTime> {
        let offset = theirs - self.clock.now();
        if offset.abs() > MAX_OFFSET { Err(ImplausibleTime { offset }) } else { Ok(offset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_measured_offset_applies_to_later_times() {
        let ours = Clock::manual(time("2016-01-13T14:00:00Z"));
        let clock = StsClock::new(ours.clone());
        assert_eq!(clock.adjust(time("2016-01-13T13:40:00Z")), Ok(TimeDelta::minutes(-20)));
        ours.advance(TimeDelta::minutes(5));
        assert_eq!(clock.now(), time("2016-01-13T13:45:00Z"));
    }

    #[test]
    fn an_offset_of_more_than_a_day_is_rejected() {
        let ours = time("2016-01-13T14:00:00Z");
        let clock = StsClock::new(Clock::manual(ours));
        for (theirs, is_plausible) in [
            ("2016-01-14T14:00:00Z", true),
            ("2016-01-12T14:00:00Z", true),
            ("2016-01-14T14:00:01Z", false),
            ("2016-01-12T13:59:59Z", false),
            ("1970-01-01T00:00:00Z", false),
            ("9999-12-31T23:59:59Z", false),
        ] {
            clock.adjust(ours).unwrap();
            let offset = time(theirs) - ours;
            let expected = if is_plausible { Ok(offset) } else { Err(ImplausibleTime { offset }) };
            assert_eq!(clock.adjust(time(theirs)), expected, "{theirs}");
            assert_eq!(clock.now(), if is_plausible { time(theirs) } else { ours }, "{theirs}");
        }
    }

    #[test]
    fn the_date_header_gives_the_time_of_a_response_or_else_the_corrected_clock() {
        let clock = StsClock::new(Clock::manual(time("2016-01-13T14:00:00Z")));
        let corrected = time("2016-01-13T13:40:00Z");
        clock.adjust(corrected).unwrap();
        let shown = time("2016-01-13T13:41:00Z");
        assert_eq!(clock.moment_of(Some(shown)), shown);
        assert_eq!(clock.moment_of(None), corrected);
        assert_eq!(clock.moment_of(Some(time("2016-01-15T00:00:00Z"))), corrected);
    }

    #[test]
    fn the_date_header_is_parsed() {
        let shown =
            |date: &str| date_header(&[(DATE, date.parse().unwrap())].into_iter().collect());
        assert_eq!(shown("Wed, 13 Jan 2016 14:02:37 GMT"), Some(time("2016-01-13T14:02:37Z")));
        assert_eq!(shown("today"), None);
        assert_eq!(date_header(&HeaderMap::new()), None);
    }
}
