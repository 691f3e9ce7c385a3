//! Warnings about a valid configuration: it loads, and will not do what its author expects.

mod exposed_files;
mod placeholders;
mod redundant;
mod short_lived;
mod unusable;
mod without_effect;

pub(super) use exposed_files::exposed_files;
pub(super) use placeholders::{example_buckets, placeholders, unknown_regions};
pub(super) use redundant::{
    repeated_grants, repeated_keys, unread_proxies, unread_variables, unused_roles,
};
pub(super) use without_effect::without_effect;

use super::problems::Problem;
use super::sections::clients::ResolvedClient;
use crate::auth::Issuer;
use crate::grant::Grants;
use crate::vend::Freshness;

/// The warnings that need more than one section, each kind in the order of its keys.
pub(super) fn across_sections(
    clients: &[ResolvedClient],
    grants: &Grants,
    issuers: &[Issuer],
    freshness: &Freshness,
) -> Vec<Problem> {
    let mut found = short_lived::short_lived(grants, freshness);
    found.extend(unusable::unusable(clients, grants, issuers));
    found.extend(redundant::shared_secrets(clients));
    found
}
