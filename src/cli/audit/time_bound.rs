//! An end of the time range that `audit find` searches: a time, or an age.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

#[derive(Clone, Copy, Debug)]
pub(super) enum TimeBound {
    At(DateTime<Utc>),
    Ago(Duration),
}

impl TimeBound {
    /// The time; that of an age beyond the calendar is the calendar's beginning.
    pub(super) fn resolve(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(time) => *time,
            Self::Ago(age) => TimeDelta::from_std(*age)
                .ok()
                .and_then(|age| now.checked_sub_signed(age))
                .unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }
}

impl FromStr for TimeBound {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = DateTime::parse_from_rfc3339(text).map(|time| Self::At(time.to_utc()));
        time.or_else(|_| humantime::parse_duration(text).map(Self::Ago)).map_err(
            |_| "write a time as 2016-01-13T14:02:37Z, or an age as 90s, 15m, 2h, 7d or 1h 30m",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_time_or_an_age() {
        let now: DateTime<Utc> = "2016-01-13T14:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2016-01-13T14:02:37Z", "2016-01-13T14:02:37Z"),
            ("2016-01-13T22:02:37+08:00", "2016-01-13T14:02:37Z"),
            ("90s", "2016-01-13T13:58:30Z"),
            ("15m", "2016-01-13T13:45:00Z"),
            ("2h", "2016-01-13T12:00:00Z"),
            ("7d", "2016-01-06T14:00:00Z"),
            ("1h 30m", "2016-01-13T12:30:00Z"),
        ] {
            let bound: TimeBound = text.parse().unwrap();
            assert_eq!(bound.resolve(now), expected.parse::<DateTime<Utc>>().unwrap(), "{text}");
        }
        for bad in ["", "h", "-2h", "7", "2x", "2016-01-13", "2ä", "99999999999999999999s"] {
            assert!(bad.parse::<TimeBound>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_age_beyond_the_calendar_excludes_nothing() {
        for age in ["999999years", "9999999999999999999s"] {
            let bound: TimeBound = age.parse().unwrap();
            assert_eq!(bound.resolve(DateTime::UNIX_EPOCH), DateTime::<Utc>::MIN_UTC, "{age}");
        }
    }
}
