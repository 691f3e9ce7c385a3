//! An Alibaba Cloud region's id.

use std::fmt;

use serde::Deserialize;

use appserver_domain::Invalid;

/// A region, such as `cn-hangzhou`.
///
/// There is no list of regions: new ones follow the pattern. The rule keeps the id one label of the endpoint's host
/// name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Region(String);

impl TryFrom<String> for Region {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let inner = !raw.starts_with('-') && !raw.ends_with('-');
        if (3..=32).contains(&raw.len()) && raw.bytes().all(plain) && inner {
            return Ok(Self(raw));
        }
        Err(Invalid(
            "a region is 3 to 32 characters of a-z, 0-9 and `-`, with no `-` at either end, \
             such as `cn-hangzhou`",
        ))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_one_label_of_a_host_name() {
        for good in ["cn-hangzhou", "ap-southeast-1", "me-central-1"] {
            assert!(Region::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "cn",
            "CN-Hangzhou",
            "cn.hangzhou",
            "cn-",
            "-cn",
            "cn/x",
            "evil.com#",
            "cn hangzhou",
        ] {
            assert!(Region::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
