//! `[grants.NAME.oss]`: the bucket that the answers of a grant name, with what an SDK needs to reach it.

use serde::Deserialize;

use crate::config::field::Field;
use crate::config::problems::{Problem, Problems};
use crate::oss_bucket::{OssBucket, OssEndpoint};
use crate::sts::Region;
use appserver_domain::Bucket;
use appserver_policy::GrantTemplate;

#[derive(Debug, Deserialize)]
pub(crate) struct RawOss {
    /// Required. A bucket that the policy allows.
    bucket: Field<Bucket>,
    /// Required. Such as `cn-hangzhou`; V4 signatures contain it.
    region: Field<Region>,
    /// Default: the public endpoint of the region. Required with `cname`.
    endpoint: Field<OssEndpoint>,
    /// Default false. Whether the endpoint is a domain that is bound to the bucket.
    cname: Field<bool>,
}

/// The bucket, or `None` if a key of it is invalid.
pub(crate) fn oss_bucket(path: &str, raw: RawOss, problems: &mut Problems) -> Option<OssBucket> {
    let is_invalid = raw.endpoint.is_invalid();
    let bucket = problems.require(raw.bucket);
    let region = problems.require(raw.region);
    let endpoint = problems.take(raw.endpoint);
    let cname = problems.or(raw.cname, false);
    if is_invalid {
        return None;
    }
    OssBucket::new(bucket?, region?, endpoint, cname?)
        .map_err(|problem| problems.add_absence(format!("{path}.endpoint"), problem.to_string()))
        .ok()
}

/// Clients of a bucket that the policy does not allow are refused by OSS in each request.
pub(crate) fn unnamed_bucket(
    path: &str,
    oss: &OssBucket,
    template: &GrantTemplate,
) -> Option<Problem> {
    let bucket = oss.bucket();
    (!template.names_bucket(bucket)).then(|| Problem {
        path: format!("{path}.bucket"),
        message: format!(
            "the policy allows nothing in `{}`, so OSS refuses each request there: name the policy's bucket, or allow this one",
            bucket.as_str()
        ),
    })
}
