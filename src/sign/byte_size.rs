//! A number of bytes as configurations write it.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// The size of a file, at least one byte and at most [`ByteSize::MAX`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ByteSize(u64);

/// Why a text is no size.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidSize {
    #[error(
        "a size is a number with `B`, `KiB`, `MiB` or `GiB`, such as \"10MiB\", and at most 5GiB, the most that OSS takes by a \
         form"
    )]
    Malformed,
    #[error(
        "{0} bytes is not between 1 byte and 5GiB, the most that OSS takes by a form; larger files are uploaded with a token"
    )]
    OutOfBounds(u64),
}

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

impl ByteSize {
    /// OSS takes no larger file by a form.
    pub(crate) const MAX: Self = Self(5 << 30);

    pub(crate) fn get(self) -> u64 {
        self.0
    }

    fn parse(raw: &str) -> Option<u64> {
        let unit =
            UNITS.into_iter().find_map(|(unit, bytes)| Some((raw.strip_suffix(unit)?, bytes)));
        let (number, unit) = unit?;
        let number = number.trim_end();
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if is_number { number.parse::<u64>().ok()?.checked_mul(unit) } else { None }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;

        impl Visitor<'_> for SizeVisitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text in quotes, such as \"10MiB\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::try_from(text.to_owned()).map_err(E::custom)
            }
        }

        // For other values than text, `deserialize_string` would answer without an example.
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl TryFrom<String> for ByteSize {
    type Error = InvalidSize;

    fn try_from(raw: String) -> Result<Self, InvalidSize> {
        // Without a unit, too.
        let bytes =
            raw.parse().ok().filter(|_| !raw.starts_with('+')).or_else(|| Self::parse(&raw));
        let bytes = bytes.ok_or(InvalidSize::Malformed)?;
        if (1..=Self::MAX.0).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(InvalidSize::OutOfBounds(bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> Result<u64, String> {
        let size = ByteSize::try_from(raw.to_owned());
        size.map(ByteSize::get).map_err(|error| error.to_string())
    }

    #[test]
    fn a_size_is_a_number_with_a_binary_unit() {
        for (raw, bytes) in [
            ("1", 1),
            ("1B", 1),
            ("10KiB", 10_240),
            ("10 MiB", 10_485_760),
            ("5GiB", 5_368_709_120),
        ] {
            assert_eq!(text(raw), Ok(bytes), "{raw}");
        }
        for bad in ["", "MiB", "10MB", "10mib", "1.5MiB", "-1", "+1KiB", "10MiBs", "99999999999GiB"]
        {
            assert!(text(bad).unwrap_err().contains("at most 5GiB"), "{bad}");
        }
        for bad in ["0", "0MiB", "5368709121", "6GiB"] {
            assert!(text(bad).unwrap_err().contains("between 1 byte and 5GiB"), "{bad}");
        }
    }
}
