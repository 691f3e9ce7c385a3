//! Warnings about policies that are valid and probably do not do what their author intended.

pub(crate) mod avoidable_denials;
pub(crate) mod checks;
pub(crate) mod condition_values;
pub(crate) mod finding;
pub(crate) mod listings;
pub(crate) mod oss_resource;
pub(crate) mod policy_file;
pub(crate) mod resources;
pub(crate) mod unknown_names;
pub(crate) mod warning;
