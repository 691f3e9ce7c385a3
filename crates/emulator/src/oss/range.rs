//! Byte ranges of an object.

use std::ops::Range;

use super::error::OssError;

/// The requested range; `None` for the whole object.
///
/// OSS sends the whole object, with 200, if a range is malformed or ends beyond the object. Only with
/// `x-oss-range-behavior: standard` it follows HTTP: it truncates the range, and refuses one that starts beyond the end.
pub(crate) fn requested(
    range: Option<&str>,
    length: u64,
    is_standard: bool,
) -> Result<Option<Range<u64>>, OssError> {
    let Some((first, last)) = range.and_then(parse) else { return Ok(None) };
    let (start, end) = match (first, last) {
        (Some(first), Some(last)) if last < first => return Ok(None),
        (Some(first), Some(last)) => (first, last.saturating_add(1)),
        (Some(first), None) => (first, length.max(first)),
        (None, Some(0)) => (length, length),
        (None, Some(last)) => (length.saturating_sub(last), length),
        (None, None) => return Ok(None),
    };
    match (start < length, end <= length) {
        (true, true) => Ok(Some(start..end)),
        (true, false) if is_standard => Ok(Some(start..length)),
        (false, _) if is_standard => Err(OssError::InvalidRange),
        (true, false) | (false, _) => Ok(None),
    }
}

/// `bytes=<first>-<last>`, each optional.
fn parse(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    };
    Some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_beyond_the_end_is_the_whole_object_unless_standard_behaviour_is_requested() {
        let table = [
            ("bytes=0-9", Some(0..10), "0..10"),
            ("bytes=3-", Some(3..10), "3..10"),
            ("bytes=-4", Some(6..10), "6..10"),
            ("bytes=-40", Some(0..10), "0..10"),
            ("bytes=9-9", Some(9..10), "9..10"),
            ("bytes=5-10", None, "5..10"),
            ("bytes=10-", None, "416"),
            ("bytes=10-20", None, "416"),
            ("bytes=-0", None, "416"),
            ("bytes=5-4", None, "all"),
            ("bytes=a-b", None, "all"),
            ("bytes=+1-2", None, "all"),
            ("bytes=1-2,4-5", None, "all"),
            ("lines=1-2", None, "all"),
        ];
        for (text, lenient, standard) in table {
            assert_eq!(requested(Some(text), 10, false).unwrap(), lenient, "{text}");
            let found = match requested(Some(text), 10, true) {
                Ok(Some(range)) => format!("{range:?}"),
                Ok(None) => "all".to_owned(),
                Err(_) => "416".to_owned(),
            };
            assert_eq!(found, standard, "{text}");
        }
    }
}
