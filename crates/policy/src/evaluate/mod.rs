//! The decision of policies about a request, by RAM's rules, with its reasons.

pub(crate) mod decision;
pub(crate) mod explanation;
pub(crate) mod request;
pub(crate) mod signing;
