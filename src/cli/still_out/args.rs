//! The options about what is still out.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::oss_bucket::OssEndpoint;
use crate::sts::Region;
use appserver_domain::{AccountId, Bucket, Invalid};

#[derive(Debug, Args)]
pub(in crate::cli) struct StillOutArgs {
    /// Audit files of all replicas, including rotated ones: print what the caller has that is still valid, and the statement
    /// that shuts its sessions out of OSS
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "name")]
    pub(in crate::cli) audit: Vec<PathBuf>,
    /// Add this statement to the policies of the buckets, with an administrator's AccessKey of the environment; with --undo,
    /// take it back
    #[arg(long, requires = "audit")]
    pub(super) apply: bool,
    /// Also shut out sessions that others use: those that sign forms and URLs for all callers of a grant
    #[arg(long, requires = "audit")]
    pub(super) whole_grant: bool,
    /// Also this bucket; the others are those of `[grants.NAME.oss]`
    #[arg(long = "bucket", value_name = "REGION/NAME", requires = "audit")]
    pub(super) buckets: Vec<RegionalBucket>,
    /// The account that owns the buckets, if it is not the account of the roles
    #[arg(long, value_name = "UID", requires = "audit")]
    pub(super) bucket_owner: Option<AccountId>,
    /// Where OSS is reached instead of the configured endpoints, which may be internal ones; `http` only on loopback
    #[arg(long, value_name = "URL", requires = "apply", value_parser = endpoint)]
    pub(super) oss_endpoint: Option<OssEndpoint>,
}

/// A bucket and its region: `cn-hangzhou/sample-bucket`.
#[derive(Clone, Debug)]
pub(super) struct RegionalBucket {
    pub(super) region: Region,
    pub(super) bucket: Bucket,
}

impl FromStr for RegionalBucket {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let (region, bucket) =
            parts.ok_or("it reads `REGION/NAME`, as `cn-hangzhou/sample-bucket`")?;
        let region = Region::try_from(region.to_owned()).map_err(|error| error.to_string())?;
        let bucket = bucket.parse::<Bucket>().map_err(|error| error.to_string())?;
        Ok(Self { region, bucket })
    }
}

fn endpoint(text: &str) -> Result<OssEndpoint, Invalid> {
    text.to_owned().try_into()
}
