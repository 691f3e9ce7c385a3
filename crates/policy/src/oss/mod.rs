//! What OSS documents about its actions, operations and condition keys.

pub(crate) mod catalogue;
pub(crate) mod operation;
