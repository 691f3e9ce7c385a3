//! What a grant renders for one request: the session policy, the session name and the source identity. Only this folder makes a
//! `SessionPolicy`.

pub(crate) mod grant_template;
pub(crate) mod name_template;
pub(crate) mod policy_refusal;
pub(crate) mod session_policy;
