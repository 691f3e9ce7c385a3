//! What can be called.

mod assume_role;
mod caller_identity;
mod forms;

pub(crate) use assume_role::{Assumption, assume_role};
pub(crate) use caller_identity::caller_identity;
