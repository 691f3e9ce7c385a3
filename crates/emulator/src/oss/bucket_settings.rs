//! The configuration of one bucket. The configuration builds it, the store opens it; it is no part of either.

use super::access::Acl;
use appserver_domain::Bucket;

/// A bucket of the emulated OSS.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// Its name.
    pub name: Bucket,
    /// Its region, such as `cn-hangzhou`.
    pub region: String,
    /// The account whose bucket it is.
    pub(crate) account: String,
    pub(crate) acl: Acl,
    /// Hosts that are bound to it, in lower case.
    pub(crate) domains: Vec<String>,
    /// Keys of the objects that it begins with; what they hold is made from the keys.
    pub(crate) objects: Vec<String>,
}
