pub(crate) mod action;
pub(crate) mod condition;
pub(crate) mod pattern;
pub(crate) mod resource;
