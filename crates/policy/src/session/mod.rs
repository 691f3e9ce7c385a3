//! What a grant renders for one request: the session policy, the session name and the source identity; and the policy of
//! the grant's own session, which signs. Only this folder makes a `SessionPolicy` or a `GrantSessionPolicy`.

pub(crate) mod admitted_caller;
pub(crate) mod grant_session_policy;
pub(crate) mod grant_template;
pub(crate) mod name_template;
pub(crate) mod object_key_template;
pub(crate) mod policy_refusal;
pub(crate) mod possible_keys;
pub(crate) mod session_policy;
