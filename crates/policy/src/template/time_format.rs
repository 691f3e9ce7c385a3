//! The format of `${now:…}`.

use chrono::{DateTime, Datelike, Timelike, Utc};

use appserver_domain::KeyPath;

/// The format of a moment in a path, such as `%Y/%m/%d`; always UTC.
///
/// Only specifiers of fixed width, so that the length is known when the configuration loads, and only characters
/// without a special meaning between them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TimeFormat(Vec<Part>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Fixed(char),
    Year,
    Month,
    Day,
    DayOfYear,
    Hour,
}

impl TimeFormat {
    /// `None` if the format breaks a rule.
    pub(crate) fn parse(raw: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = raw.chars();
        while let Some(c) = rest.next() {
            parts.push(match c {
                '%' => match rest.next()? {
                    'Y' => Part::Year,
                    'm' => Part::Month,
                    'd' => Part::Day,
                    'j' => Part::DayOfYear,
                    'H' => Part::Hour,
                    _ => return None,
                },
                c if c.is_ascii_alphanumeric() || "-_/.".contains(c) => Part::Fixed(c),
                _ => return None,
            });
        }
        let format = Self(parts);
        // Every moment has the same segments but for digits, so checking one is enough.
        KeyPath::try_from(format.write(DateTime::UNIX_EPOCH)).ok().map(|_| format)
    }

    pub(crate) fn write(&self, at: DateTime<Utc>) -> String {
        let part = |part: &Part| match part {
            Part::Fixed(c) => c.to_string(),
            // Always four digits: the length was computed at load.
            Part::Year => format!("{:04}", at.year().clamp(0, 9999)),
            Part::Month => format!("{:02}", at.month()),
            Part::Day => format!("{:02}", at.day()),
            Part::DayOfYear => format!("{:03}", at.ordinal()),
            Part::Hour => format!("{:02}", at.hour()),
        };
        self.0.iter().map(part).collect()
    }

    /// The length in bytes of every moment written so.
    pub(crate) fn length(&self) -> usize {
        self.write(DateTime::UNIX_EPOCH).len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_specifier_writes_its_part_of_a_moment() {
        let at = "2015-01-02T03:04:05Z".parse().unwrap();
        for (format, written) in
            [("%Y/%m/%d", "2015/01/02"), ("%Y-%j", "2015-002"), ("day-%d.h%H", "day-02.h03")]
        {
            assert_eq!(TimeFormat::parse(format).unwrap().write(at), written);
        }
    }

    #[test]
    fn formats_of_varying_width_or_odd_characters_are_refused() {
        for bad in [
            "", "%", "%%", "%B", "%y", "%s", "%-m", "%Y*", "%Y?", "%Y %m", "%Y:%m", "%Y//%m",
            "/%Y", "%Y/", "../%Y", "%Y/.", "ü%Y", "%Y%",
        ] {
            assert_eq!(TimeFormat::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_formatted_time_has_the_length_that_its_format_states(micros in any::<i64>()) {
            let format = TimeFormat::parse("%Y/%m/%d-%j_%H").unwrap();
            let at = DateTime::from_timestamp_micros(micros);
            if let Some(at) = at {
                prop_assert_eq!(format.write(at).len(), format.length());
            }
        }
    }
}
