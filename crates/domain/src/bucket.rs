//! An OSS bucket's name.

use serde::Deserialize;

use super::text_type;

/// The name of an OSS bucket, such as `sample-bucket`.
///
/// Source: OSS bucket naming conventions: 3 to 63 characters of a-z, 0-9 and `-`, no `-` at either end.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct Bucket(String);

text_type!(
    Bucket,
    |s| {
        (3..=63).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !s.starts_with('-')
            && !s.ends_with('-')
    },
    "a bucket's name is 3 to 63 characters of a-z, 0-9 and `-`, with no `-` at either end"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_oss_convention() {
        assert!("sample-bucket".parse::<Bucket>().is_ok());
        for bad in ["ab", "-abc", "abc-", "Abc", "a.bc", "a*c", &"b".repeat(64)] {
            assert!(bad.parse::<Bucket>().is_err(), "{bad}");
        }
    }
}
