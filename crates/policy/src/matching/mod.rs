//! Matches actions, resources and condition values against the patterns of a policy, and patterns against each other.

pub(crate) mod action;
pub(crate) mod condition;
pub(crate) mod pattern;
pub(crate) mod resource;
