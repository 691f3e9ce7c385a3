//! What OSS refuses accounts and buckets that are new since 2025: V1 signatures, and data at the public endpoint.

use super::error::{Denied, OssError};
use super::head::Head;
use super::operation::Operation;
use super::store::Bucket;

/// Rules for new accounts; without them the emulated OSS serves an old account.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewAccountRules {
    /// Refuses V1 signatures in headers, URLs and forms.
    pub refuse_v1: bool,
    /// Refuses operations on data in the Chinese mainland at all hosts but custom domains and internal endpoints.
    pub refuse_public_endpoint: bool,
}

/// The setting that makes an SDK sign V4, by the beginning of its user agent.
const V4_SETTINGS: [(&str, &str); 6] = [
    (
        "aliyun-sdk-android",
        "call `ClientConfiguration.setSignVersion(SignVersion.V4)` and build the client with `OSSClient.Builder` and `.region(…)`",
    ),
    (
        "aliyun-sdk-ios",
        "set `OSSClientConfiguration.signVersion = OSSSignVersionV4` and `region` of the client",
    ),
    (
        "aliyun-sdk-java",
        "call `ClientBuilderConfiguration.setSignatureVersion(SignVersion.V4)` and `.region(…)` of `OSSClientBuilder`",
    ),
    ("aliyun-sdk-js", "set `authorizationV4: true` and `region` of the client"),
    ("aliyun-sdk-nodejs", "set `authorizationV4: true` and `region` of the client"),
    ("aliyun-sdk-python", "use `oss2.ProviderAuthV4` and give `oss2.Bucket` its `region`"),
];

impl NewAccountRules {
    /// Refuses a V1 signature, and logs the setting that must change.
    pub(crate) fn check_v1(self, head: &Head) -> Result<(), OssError> {
        if !self.refuse_v1 {
            return Ok(());
        }
        let setting = v4_setting(head.header("user-agent").unwrap_or_default());
        tracing::warn!("the emulated OSS refused a V1 signature: {setting}");
        Err(OssError::AccessDenied(Denied::SignatureV1))
    }

    pub(crate) fn check_endpoint(
        self,
        head: &Head,
        operation: Operation,
        bucket: &Bucket,
    ) -> Result<(), OssError> {
        let is_admitted = head.is_custom_domain
            || head.is_internal
            || !operation.is_on_data()
            || !is_in_mainland(&bucket.region);
        if !self.refuse_public_endpoint || is_admitted {
            return Ok(());
        }
        let way_out = match bucket.domains.first() {
            Some(domain) => format!("set it to `{domain}`, with the SDK's setting for a CNAME"),
            None => "give the bucket `domains` in the emulator's configuration".to_owned(),
        };
        tracing::warn!(
            "the emulated OSS refused the default endpoint of `{}`: {way_out}",
            bucket.name
        );
        Err(OssError::PublicEndpointForbidden)
    }
}

fn v4_setting(user_agent: &str) -> &'static str {
    let of_sdk = V4_SETTINGS.iter().find(|(sdk, _)| user_agent.starts_with(sdk));
    of_sdk.map_or(
        "set the signature version of the SDK to V4 and its region, and sign forms with the fields of version 4",
        |(_, setting)| setting,
    )
}

fn is_in_mainland(region: &str) -> bool {
    region.starts_with("cn-") && region != "cn-hongkong"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_that_of_the_sdk() {
        assert!(v4_setting("aliyun-sdk-nodejs/6.20.0 Node.js v22").contains("authorizationV4"));
        assert!(v4_setting("aliyun-sdk-python/2.18.4(Linux)").contains("ProviderAuthV4"));
        assert!(v4_setting("aliyun-sdk-android/2.9.20/Dalvik").contains("setSignVersion"));
        assert!(v4_setting("curl/8").starts_with("set the signature version"));
    }

    #[test]
    fn only_regions_of_the_mainland_close_their_public_endpoints() {
        let of = ["cn-hangzhou", "cn-hongkong", "ap-southeast-1"].map(is_in_mainland);
        assert_eq!(of, [true, false, false]);
    }
}
