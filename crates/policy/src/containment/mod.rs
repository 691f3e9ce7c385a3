pub(crate) mod intersection;
pub(crate) mod requested_policy;
