//! A role session as a bucket policy names it.

use std::collections::BTreeSet;

use appserver_domain::{RoleArn, SessionName};

/// A role session: everything that is signed with its credentials, under whichever AccessKey.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ShutSession {
    pub(crate) role: RoleArn,
    pub(crate) name: SessionName,
}

impl ShutSession {
    /// The names of the session in `Principal`.
    ///
    /// RAM's ARNs have the role's name in lower case, and whether OSS compares letter case is not documented: a role with capital
    /// letters is named in both ways.
    pub(crate) fn principals(&self) -> BTreeSet<String> {
        let (account, role) = (self.role.account(), self.role.name());
        [role.to_owned(), role.to_lowercase()]
            .into_iter()
            .map(|role| format!("arn:sts::{account}:assumed-role/{role}/{}", self.name.as_str()))
            .collect()
    }
}

/// Whether the text names one session, and not all of a role.
pub(super) fn is_session_principal(text: &str) -> bool {
    let parts = text.strip_prefix("arn:sts::").and_then(|rest| rest.split_once(":assumed-role/"));
    parts
        .and_then(|(_, rest)| rest.split_once('/'))
        .is_some_and(|(_, session)| !session.is_empty() && session.chars().all(SessionName::admits))
}
