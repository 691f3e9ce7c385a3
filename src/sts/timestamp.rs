//! Alibaba's time format: `2016-01-13T14:02:37Z`.

use std::ops::Range;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};

use appserver_domain::clock::Stamp;

/// Formats a time for STS: whole seconds, no offset.
pub(super) fn written(moment: DateTime<Utc>) -> String {
    Stamp::of(moment).as_str().to_owned()
}

/// Parses a time of exactly this format.
pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    let date =
        NaiveDate::from_ymd_opt(number(text, 0..4)?, number(text, 5..7)?, number(text, 8..10)?)?;
    let moment = date
        .and_hms_opt(number(text, 11..13)?, number(text, 14..16)?, number(text, 17..19)?)?
        .and_utc();
    // So that everything between the numbers is right, and a number has no sign.
    (Stamp::of(moment).as_str() == text).then_some(moment)
}

fn number<N: FromStr>(text: &str, at: Range<usize>) -> Option<N> {
    text.get(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_formatted_in_whole_seconds_and_parsed_back() {
        let moment = "2016-01-13T14:02:37.987Z".parse().unwrap();
        assert_eq!(written(moment), "2016-01-13T14:02:37Z");
        assert_eq!(read("2016-01-13T14:02:37Z"), Some("2016-01-13T14:02:37Z".parse().unwrap()));
    }

    #[test]
    fn any_other_time_format_is_refused() {
        let others = [
            "",
            "2016-01-13",
            "2016-01-13T14:02:37",
            "2016-01-13T14:02:37z",
            "2016-01-13 14:02:37Z",
            "2016-1-13T14:02:37Z",
            "2016-01-13T14:02: 7Z",
            "2016-01-13T14:02:37.000Z",
            "2016-01-13T14:02:37+00:00",
            "2016-01-13T24:00:00Z",
            "2016-02-30T14:02:37Z",
            "2016-01-13T14:02:60Z",
            "2016-01-13T14:02:+7Z",
            "-016-01-13T14:02:37Z",
            "2016-01-13T14:02:37Z ",
            "2016-01-13T14:02:3中",
            " 2016-01-13T14:02:37Z",
            "1452693757",
        ];
        for text in others {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
