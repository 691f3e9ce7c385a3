//! An Alibaba Cloud region's id.

use std::fmt;

use serde::Deserialize;

/// A region, such as `cn-hangzhou`.
///
/// There is no list of regions: new ones follow the pattern. The rule keeps the id one label of the endpoint's host
/// name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Region(String);

/// Why a text is no region.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidRegion {
    #[error(
        "a region is 3 to 32 characters of a-z, 0-9 and `-`, with no `-` at either end, such as `cn-hangzhou`"
    )]
    Malformed,
    /// OSS and endpoints name regions in forms of their own.
    #[error("it is not the id of a region but names one: write `{named}`")]
    Of { named: String },
}

/// The regions of Alibaba Cloud that were known when this version was made. Others are warned of and work.
pub(crate) const KNOWN_REGIONS: [&str; 36] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "cn-beijing",
    "cn-beijing-finance-1",
    "cn-chengdu",
    "cn-fuzhou",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-hangzhou-finance",
    "cn-heyuan",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-nanjing",
    "cn-north-2-gov-1",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shanghai-finance-1",
    "cn-shenzhen",
    "cn-shenzhen-finance-1",
    "cn-wuhan-lr",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "eu-central-1",
    "eu-west-1",
    "me-central-1",
    "me-east-1",
    "na-south-1",
    "us-east-1",
    "us-west-1",
];

/// The region in OSS's id of it (`oss-cn-hangzhou`) or in the host of an endpoint (`sts.cn-hangzhou.aliyuncs.com`).
fn named_in(raw: &str) -> Option<&str> {
    let host = raw.strip_suffix(".aliyuncs.com");
    let label = host.map_or(raw, |host| host.rsplit('.').next().unwrap_or(host));
    let region = label.strip_prefix("oss-");
    let region = region.map(|region| region.strip_suffix("-internal").unwrap_or(region));
    let region = region.or(host.map(|_| label))?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (region.contains('-') && region.bytes().all(plain)).then_some(region)
}

impl TryFrom<String> for Region {
    type Error = InvalidRegion;

    fn try_from(raw: String) -> Result<Self, InvalidRegion> {
        if let Some(named) = named_in(&raw) {
            return Err(InvalidRegion::Of { named: named.to_owned() });
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let inner = !raw.starts_with('-') && !raw.ends_with('-');
        if (3..=32).contains(&raw.len()) && raw.bytes().all(plain) && inner {
            return Ok(Self(raw));
        }
        Err(InvalidRegion::Malformed)
    }
}

impl Region {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
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
            let invalid = Region::try_from(bad.to_owned()).unwrap_err();
            assert!(matches!(invalid, InvalidRegion::Malformed), "{bad}");
        }
    }

    #[test]
    fn the_id_of_oss_and_a_host_are_answered_with_the_regions_name() {
        for other in [
            "oss-cn-hangzhou",
            "oss-cn-hangzhou-internal",
            "oss-cn-hangzhou.aliyuncs.com",
            "sts.cn-hangzhou.aliyuncs.com",
            "sts-vpc.cn-hangzhou.aliyuncs.com",
        ] {
            let invalid = Region::try_from(other.to_owned()).unwrap_err().to_string();
            assert!(invalid.ends_with("write `cn-hangzhou`"), "{other}: {invalid}");
        }
    }
}
