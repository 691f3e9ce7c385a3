pub(crate) mod decision;
pub(crate) mod explanation;
pub(crate) mod request;
