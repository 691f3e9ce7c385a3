//! Accounts, users with their AccessKeys, and roles.

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::SecretString;

use super::evaluate::{Request, decide};
use super::issuers::OidcProvider;
use super::policy::Policy;
use super::session_token::Session;
use super::trust::TrustPolicy;
use appserver_domain::MaxSessionDuration;

/// The state of the emulated RAM.
#[derive(Debug)]
pub(crate) struct Ram {
    /// By AccessKey id.
    pub(crate) keys: HashMap<String, Key>,
    /// By ARN.
    pub(crate) roles: HashMap<String, Role>,
    /// By ARN.
    pub(crate) oidc_providers: HashMap<String, OidcProvider>,
}

/// A long-lived AccessKey.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) secret: SecretString,
    pub(crate) active: bool,
    pub(crate) owner: Owner,
}

#[derive(Clone, Debug)]
pub(crate) enum Owner {
    /// The account itself, by its id.
    Root(String),
    User(Arc<User>),
}

#[derive(Debug)]
pub(crate) struct User {
    pub(crate) account: String,
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) policies: Vec<Arc<Policy>>,
}

#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) account: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) max_session_duration: MaxSessionDuration,
    pub(crate) trust: TrustPolicy,
    pub(crate) policies: Vec<Arc<Policy>>,
}

/// The authenticated sender of a request.
#[derive(Clone, Debug)]
pub(crate) enum Principal {
    /// The account itself.
    Root(String),
    User(Arc<User>),
    /// A role session that this STS issued.
    Session(Session),
}

impl From<Owner> for Principal {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Root(account) => Self::Root(account),
            Owner::User(user) => Self::User(user),
        }
    }
}

impl Ram {
    /// Whether the principal's own policies allow the request. A session needs its role's policies *and* its session policy; a session
    /// of a deleted role is allowed nothing.
    pub(crate) fn permits(&self, principal: &Principal, request: &Request<'_>) -> bool {
        let attached = |policies: &[Arc<Policy>]| {
            decide(policies.iter().map(Arc::as_ref), request).is_allowed()
        };
        match principal {
            Principal::Root(_) => true,
            Principal::User(user) => attached(&user.policies),
            Principal::Session(session) => {
                self.roles.get(&session.role_arn).is_some_and(|role| attached(&role.policies))
                    && session.permits(request)
            }
        }
    }
}
