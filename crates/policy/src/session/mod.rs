pub(crate) mod grant_template;
pub(crate) mod name_template;
pub(crate) mod session_policy;
