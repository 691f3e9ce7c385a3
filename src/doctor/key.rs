//! Which AccessKey is used, so that nobody is surprised by the one that it is not.

use super::Finding;
use crate::config::AccessKeySource;
use appserver_domain::AccessKey;

pub(super) fn finding(source: &AccessKeySource, key: &AccessKey) -> Finding {
    Finding::ok("access key", format!("`{}`, from: {source}", key.id))
}
