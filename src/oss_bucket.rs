//! The bucket that a grant is about, as its clients must address it.

use reqwest::Url;
use serde::Deserialize;

use crate::sts::{KNOWN_REGIONS, Region};
use appserver_domain::{Bucket, Invalid, is_loopback};

/// Where the host names of OSS's own endpoints end.
const OWN_DOMAIN: &str = ".aliyuncs.com";

/// A bucket with its region and endpoint. Its parts do not contradict each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OssBucket {
    bucket: Bucket,
    region: Region,
    endpoint: OssEndpoint,
    cname: bool,
}

/// Why a bucket, its region and its endpoint do not go together. The endpoint is what must change.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum OssBucketProblem {
    #[error(
        "with `cname = true` it is a domain that is bound to the bucket, not one of aliyuncs.com: write that domain, or set \
         `cname = false`"
    )]
    CnameOfOwnDomain,
    #[error("with `cname = true` it is required: write the domain that is bound to the bucket")]
    CnameWithoutEndpoint,
    #[error("SDKs put the bucket before it themselves: write `{without}`")]
    NamesBucket { without: String },
    #[error("it is in `{named}`, and `region` is `{region}`: write both of one region")]
    OtherRegion { named: &'static str, region: String },
}

impl OssBucket {
    /// Without an endpoint, it is the public one of the region.
    pub(crate) fn new(
        bucket: Bucket,
        region: Region,
        endpoint: Option<OssEndpoint>,
        cname: bool,
    ) -> Result<Self, OssBucketProblem> {
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            None if cname => return Err(OssBucketProblem::CnameWithoutEndpoint),
            None => OssEndpoint::public_of(&region),
        };
        if endpoint.is_of_oss() {
            if cname {
                return Err(OssBucketProblem::CnameOfOwnDomain);
            }
            if let Some(without) = endpoint.without(&bucket) {
                return Err(OssBucketProblem::NamesBucket { without });
            }
            if let Some(named) = endpoint.region()
                && named != region.as_str()
            {
                return Err(OssBucketProblem::OtherRegion { named, region: region.to_string() });
            }
        }
        Ok(Self { bucket, region, endpoint, cname })
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    pub(crate) fn endpoint(&self) -> &OssEndpoint {
        &self.endpoint
    }

    /// Whether the endpoint is a domain of the bucket, before which no bucket is written.
    pub(crate) fn cname(&self) -> bool {
        self.cname
    }

    /// The URL of the bucket, which the keys of its objects follow: `https://sample-bucket.oss-cn-hangzhou.aliyuncs.com/`.
    ///
    /// An emulated OSS at a loopback address has the bucket in its path, as OSS's SDKs write it: no resolver need know a name
    /// below `localhost`.
    pub(crate) fn url(&self) -> String {
        let (bucket, endpoint) = (&self.bucket, self.endpoint.as_str());
        if self.cname {
            format!("{endpoint}/")
        } else if self.endpoint.is_loopback() {
            format!("{endpoint}/{bucket}/")
        } else {
            endpoint.replacen("://", &format!("://{bucket}."), 1) + "/"
        }
    }
}

/// An origin that OSS is reached at, such as `https://oss-cn-hangzhou.aliyuncs.com`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct OssEndpoint(String);

impl OssEndpoint {
    fn public_of(region: &Region) -> Self {
        Self(format!("https://oss-{region}{OWN_DOMAIN}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its host, with the port if there is one.
    fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }

    fn host(&self) -> &str {
        self.authority().split(':').next().unwrap_or_default()
    }

    fn is_loopback(&self) -> bool {
        let url = Url::parse(&self.0).ok();
        url.is_some_and(|url| url.host_str().is_some_and(is_loopback))
    }

    fn is_of_oss(&self) -> bool {
        self.host().ends_with(OWN_DOMAIN)
    }

    /// The endpoint that is left without the bucket that it begins with.
    fn without(&self, bucket: &Bucket) -> Option<String> {
        let rest = self.authority().strip_prefix(bucket.as_str())?.strip_prefix('.')?;
        // `aliyuncs.com` alone is no endpoint: the bucket has the name of one.
        rest.contains(OWN_DOMAIN).then(|| format!("https://{rest}"))
    }

    /// The known region that its host names.
    fn region(&self) -> Option<&'static str> {
        let named = self.host().strip_suffix(OWN_DOMAIN)?.strip_prefix("oss-")?;
        let named = named.strip_suffix("-internal").unwrap_or(named);
        KNOWN_REGIONS.into_iter().find(|known| *known == named)
    }
}

impl TryFrom<String> for OssEndpoint {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "an endpoint of OSS reads `https://<host>`, with a port if need be, in lower case and without user, path, query \
             and fragment; `http` is admitted on `localhost` and loopback addresses only",
        );
        let raw = raw.strip_suffix('/').unwrap_or(&raw);
        let (scheme, authority) = raw.split_once("://").ok_or(RULE)?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
        if authority.is_empty() || !authority.bytes().all(plain) {
            return Err(RULE);
        }
        let url = Url::parse(raw).map_err(|_| RULE)?;
        match (scheme, url.host_str()) {
            ("https", Some(_)) => Ok(Self(raw.to_owned())),
            ("http", Some(host)) if is_loopback(host) => Ok(Self(raw.to_owned())),
            _ => Err(RULE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(endpoint: Option<&str>, cname: bool) -> Result<String, String> {
        let endpoint = endpoint.map(|raw| OssEndpoint::try_from(raw.to_owned()).unwrap());
        let region = Region::try_from("cn-hangzhou".to_owned()).unwrap();
        OssBucket::new("sample-bucket".parse().unwrap(), region, endpoint, cname)
            .map(|bucket| bucket.endpoint().as_str().to_owned())
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn an_endpoint_is_an_origin() {
        for (good, written) in [
            ("https://oss-cn-hangzhou.aliyuncs.com", "https://oss-cn-hangzhou.aliyuncs.com"),
            ("https://photos.example.com/", "https://photos.example.com"),
            ("https://photos.example.com:8443", "https://photos.example.com:8443"),
            ("http://127.0.0.1:8091", "http://127.0.0.1:8091"),
            ("http://[::1]:8091", "http://[::1]:8091"),
        ] {
            assert_eq!(OssEndpoint::try_from(good.to_owned()).unwrap().as_str(), written);
        }
        for bad in [
            "",
            "oss-cn-hangzhou.aliyuncs.com",
            "https://",
            "https:///",
            "http://oss-cn-hangzhou.aliyuncs.com",
            "ftp://127.0.0.1",
            "https://photos.example.com/path",
            "https://photos.example.com//",
            "https://photos.example.com?a=b",
            "https://photos.example.com#a",
            "https://user@photos.example.com",
            "https://user:word@photos.example.com",
            "https://Photos.example.com",
            "https://photos.example.com:port",
            "https://photos.example.com\n",
        ] {
            assert!(OssEndpoint::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn without_an_endpoint_it_is_the_public_one_of_the_region() {
        let default = Ok("https://oss-cn-hangzhou.aliyuncs.com".to_owned());
        assert_eq!(bucket(None, false), default);
    }

    #[test]
    fn the_url_of_a_bucket_is_where_its_endpoint_serves_it() {
        let url = |endpoint: &str, cname| {
            let endpoint = OssEndpoint::try_from(endpoint.to_owned()).unwrap();
            let region = Region::try_from("cn-hangzhou".to_owned()).unwrap();
            let bucket = "sample-bucket".parse().unwrap();
            OssBucket::new(bucket, region, Some(endpoint), cname).unwrap().url()
        };
        let urls = [
            url("https://oss-cn-hangzhou.aliyuncs.com", false),
            url("https://oss.example.com:8443", false),
            url("https://photos.example.com", true),
            url("http://localhost:8091", true),
            url("http://localhost:8091", false),
            url("http://127.0.0.1:8091", false),
            url("http://[::1]:8091", false),
        ];
        insta::assert_snapshot!(urls.join("\n"), @r"
        https://sample-bucket.oss-cn-hangzhou.aliyuncs.com/
        https://sample-bucket.oss.example.com:8443/
        https://photos.example.com/
        http://localhost:8091/
        http://localhost:8091/sample-bucket/
        http://127.0.0.1:8091/sample-bucket/
        http://[::1]:8091/sample-bucket/
        ");
    }

    #[test]
    fn an_endpoint_goes_with_the_bucket_the_region_and_cname() {
        for (endpoint, cname) in [
            ("https://oss-cn-hangzhou-internal.aliyuncs.com", false),
            ("https://oss-accelerate-overseas.aliyuncs.com", false),
            // A region of its own, which this version does not know.
            ("https://oss-cn-hangzhou-9.aliyuncs.com", false),
            ("https://photos.example.com", true),
            ("https://sample-bucket.example.com", true),
            ("http://127.0.0.1:8091", false),
        ] {
            assert_eq!(bucket(Some(endpoint), cname), Ok(endpoint.to_owned()));
        }
        let refusals = [
            bucket(Some("https://oss-cn-hangzhou.aliyuncs.com"), true),
            bucket(Some("https://sample-bucket.oss-cn-hangzhou.aliyuncs.com"), true),
            bucket(None, true),
            bucket(Some("https://sample-bucket.oss-cn-hangzhou.aliyuncs.com"), false),
            bucket(Some("https://oss-cn-shanghai-internal.aliyuncs.com"), false),
        ];
        insta::assert_snapshot!(refusals.map(Result::unwrap_err).join("\n"), @r"
with `cname = true` it is a domain that is bound to the bucket, not one of aliyuncs.com: write that domain, or set `cname = false`
with `cname = true` it is a domain that is bound to the bucket, not one of aliyuncs.com: write that domain, or set `cname = false`
with `cname = true` it is required: write the domain that is bound to the bucket
SDKs put the bucket before it themselves: write `https://oss-cn-hangzhou.aliyuncs.com`
it is in `cn-shanghai`, and `region` is `cn-hangzhou`: write both of one region
");
    }
}
