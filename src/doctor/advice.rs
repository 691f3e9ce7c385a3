//! What `appserver check` says of the same configuration.

use super::Finding;
use crate::config::Problem;

pub(super) fn findings(advice: &[Problem]) -> Vec<Finding> {
    let found = |Problem { path, message }: &Problem| {
        Finding::warning("configuration", message.as_str()).of(path.as_str())
    };
    advice.iter().map(found).collect()
}
