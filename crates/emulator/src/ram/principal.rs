//! Owners of AccessKeys, and the senders of requests.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::session_token::Session;
use super::user::User;

/// The owner of a long-lived AccessKey.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Owner {
    /// The account itself, by its id.
    Root(String),
    /// By ARN.
    User(String),
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

impl Principal {
    /// The id of the principal's account.
    pub(crate) fn account(&self) -> &str {
        match self {
            Self::Root(account) => account,
            Self::User(user) => &user.account,
            Self::Session(session) => {
                let account = session.role_arn.strip_prefix("acs:ram::");
                account.and_then(|rest| rest.split_once(':')).map_or("", |(account, _)| account)
            }
        }
    }
}
