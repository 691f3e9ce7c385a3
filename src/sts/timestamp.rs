//! Alibaba's time format: `2016-01-13T14:02:37Z`.

use chrono::{DateTime, NaiveDateTime, Utc};

use appserver_domain::clock::Stamp;

const FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";

/// Formats a time for STS: whole seconds, no offset.
pub(super) fn written(moment: DateTime<Utc>) -> String {
    Stamp::of(moment).as_str().to_owned()
}

/// Parses a time of exactly this format.
pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    let moment = NaiveDateTime::parse_from_str(text, FORMAT).ok()?.and_utc();
    // chrono also accepts `2016-1-13` and a space before a number.
    (written(moment) == text).then_some(moment)
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
            " 2016-01-13T14:02:37Z",
            "1452693757",
        ];
        for text in others {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
