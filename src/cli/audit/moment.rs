//! A time as operators write it.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Moment {
    At(DateTime<Utc>),
    Ago(TimeDelta),
}

impl Moment {
    pub(super) fn before(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(moment) => *moment,
            Self::Ago(ago) => now.checked_sub_signed(*ago).unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str =
            "write a moment as 2016-01-13T14:02:37Z, or a time before now as 90s, 15m, 2h or 7d";
        if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(moment.to_utc()));
        }
        let unit = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some(_) | None => return Err(RULE),
        };
        let number: u32 = text[..text.len() - 1].parse().map_err(|_| RULE)?;
        Ok(Self::Ago(TimeDelta::seconds(i64::from(number) * unit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let now: DateTime<Utc> = "2016-01-13T14:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2016-01-13T14:02:37Z", "2016-01-13T14:02:37Z"),
            ("2016-01-13T22:02:37+08:00", "2016-01-13T14:02:37Z"),
            ("90s", "2016-01-13T13:58:30Z"),
            ("15m", "2016-01-13T13:45:00Z"),
            ("2h", "2016-01-13T12:00:00Z"),
            ("7d", "2016-01-06T14:00:00Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.before(now), expected.parse::<DateTime<Utc>>().unwrap(), "{text}");
        }
        for bad in ["", "h", "-2h", "2 h", "2w", "2016-01-13", "2ä", "99999999999s"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }
}
