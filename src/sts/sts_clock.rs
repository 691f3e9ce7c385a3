//! STS's time, as far as we know it.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap};

use appserver_domain::clock::Clock;

/// Clocks that differ by more are not both clocks: a machine without a battery that starts in 1970,
/// a proxy's stale page. Where tokens begin and end is not taken from such a time.
const MOST_BELIEVED: TimeDelta = TimeDelta::days(1);

/// Our clock, corrected by what STS's answers taught us.
///
/// STS refuses timestamps that are off by more than its window. A machine whose clock is wrong
/// would be without tokens until somebody mends it, so the offset is learnt, and kept for the calls
/// that follow.
#[derive(Debug)]
pub(super) struct StsClock {
    clock: Clock,
    /// What is added to our clock. Relaxed is enough: nothing else is published with it.
    offset_millis: AtomicI64,
}

/// A time that STS is said to have, further from ours than is believed.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct ImplausibleTime {
    /// What would have to be added to our clock.
    pub(super) offset: TimeDelta,
}

/// The time that STS's clock showed when it answered, if the answer says so.
pub(super) fn date_header(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = headers.get(DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(date).ok()?.to_utc())
}

impl StsClock {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, offset_millis: AtomicI64::new(0) }
    }

    /// The present moment by STS's clock.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now() + TimeDelta::milliseconds(self.offset_millis.load(Ordering::Relaxed))
    }

    /// The moment, by STS's clock, of an answer that has just come: the time that it `shows`, for
    /// ours may be wrong by less than STS minds. Ours, corrected, where there is none to believe.
    pub(super) fn moment_of(&self, shows: Option<DateTime<Utc>>) -> DateTime<Utc> {
        shows.filter(|theirs| self.believed(*theirs).is_ok()).unwrap_or_else(|| self.now())
    }

    /// Learns that STS's clock showed `theirs` just now; answers by how much ours differs. What is
    /// not believed is not learnt.
    pub(super) fn adjust(&self, theirs: DateTime<Utc>) -> Result<TimeDelta, ImplausibleTime> {
        let offset = self.believed(theirs)?;
        self.offset_millis.store(offset.num_milliseconds(), Ordering::Relaxed);
        Ok(offset)
    }

    fn believed(&self, theirs: DateTime<Utc>) -> Result<TimeDelta, ImplausibleTime> {
        let offset = theirs - self.clock.now();
        if offset.abs() > MOST_BELIEVED { Err(ImplausibleTime { offset }) } else { Ok(offset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_learnt_holds_as_time_goes_on() {
        let ours = Clock::manual(time("2016-01-13T14:00:00Z"));
        let clock = StsClock::new(ours.clone());
        assert_eq!(clock.adjust(time("2016-01-13T13:40:00Z")), Ok(TimeDelta::minutes(-20)));
        ours.advance(TimeDelta::minutes(5));
        assert_eq!(clock.now(), time("2016-01-13T13:45:00Z"));
    }

    #[test]
    fn an_offset_of_more_than_a_day_is_not_learnt() {
        let ours = time("2016-01-13T14:00:00Z");
        let clock = StsClock::new(Clock::manual(ours));
        for (theirs, believed) in [
            ("2016-01-14T14:00:00Z", true),
            ("2016-01-12T14:00:00Z", true),
            ("2016-01-14T14:00:01Z", false),
            ("2016-01-12T13:59:59Z", false),
            ("1970-01-01T00:00:00Z", false),
            ("9999-12-31T23:59:59Z", false),
        ] {
            clock.adjust(ours).unwrap();
            let offset = time(theirs) - ours;
            let expected = if believed { Ok(offset) } else { Err(ImplausibleTime { offset }) };
            assert_eq!(clock.adjust(time(theirs)), expected, "{theirs}");
            assert_eq!(clock.now(), if believed { time(theirs) } else { ours }, "{theirs}");
        }
    }

    #[test]
    fn an_answer_came_when_it_says_and_otherwise_by_the_corrected_clock() {
        let clock = StsClock::new(Clock::manual(time("2016-01-13T14:00:00Z")));
        let corrected = time("2016-01-13T13:40:00Z");
        clock.adjust(corrected).unwrap();
        let shown = time("2016-01-13T13:41:00Z");
        assert_eq!(clock.moment_of(Some(shown)), shown);
        assert_eq!(clock.moment_of(None), corrected);
        assert_eq!(clock.moment_of(Some(time("2016-01-15T00:00:00Z"))), corrected);
    }

    #[test]
    fn the_time_of_an_answer_is_its_date_header() {
        let shown =
            |date: &str| date_header(&[(DATE, date.parse().unwrap())].into_iter().collect());
        assert_eq!(shown("Wed, 13 Jan 2016 14:02:37 GMT"), Some(time("2016-01-13T14:02:37Z")));
        assert_eq!(shown("today"), None);
        assert_eq!(date_header(&HeaderMap::new()), None);
    }
}
