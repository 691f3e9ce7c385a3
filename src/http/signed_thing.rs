//! What a grant may sign, and what a caller sees if its grant does not sign it.

use std::fmt;

use crate::sign::UrlMethod;
use appserver_domain::GrantName;

/// What a grant may sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SignedThing {
    Uploads,
    Urls(UrlMethod),
}

impl fmt::Display for SignedThing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uploads => f.write_str("uploads"),
            Self::Urls(method) => write!(f, "URLs for `{}`", method.as_str()),
        }
    }
}

/// The most grants that a message names.
const NAMED_GRANTS: usize = 10;

pub(super) fn not_signed(what: SignedThing, grants: &[GrantName]) -> String {
    if grants.is_empty() {
        return format!("No grant of this client signs {what}; ask for a token: `POST /v1/token`.");
    }
    format!(
        "The grant signs no {what}; name one that does ({}), or ask for a token: `POST /v1/token`.",
        listed(grants)
    )
}

/// The first names.
pub(super) fn listed(grants: &[GrantName]) -> String {
    let named: Vec<_> =
        grants.iter().take(NAMED_GRANTS).map(|grant| format!("`{grant}`")).collect();
    let more = if grants.len() > NAMED_GRANTS { ", …" } else { "" };
    named.join(", ") + more
}
