//! The credentials of a grant's own session.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::cache::{Token, TokenSource};
use appserver_domain::clock::Moment;

/// What the server signs upload forms and URLs with, for all callers of a grant.
///
/// The credentials reach what any of these callers reaches, so their secret never leaves the server. Answers and tickets
/// are made of a [`Token`], and there is no way from here to one.
#[derive(Clone, Debug)]
pub(crate) struct GrantCredentials {
    token: Arc<Token>,
    source: TokenSource,
    now: DateTime<Utc>,
}

impl GrantCredentials {
    pub(super) fn new(token: Arc<Token>, source: TokenSource, now: Moment) -> Self {
        let now = token.credentials().expiration() - token.remaining(now);
        Self { token, source, now }
    }

    pub(crate) fn access_key_id(&self) -> &str {
        self.token.credentials().access_key_id()
    }

    /// Part of each form and URL.
    pub(crate) fn security_token(&self) -> &SecretString {
        self.token.credentials().security_token()
    }

    /// For signing alone: what is made of it is a signature.
    pub(crate) fn signing_secret(&self) -> &SecretString {
        self.token.credentials().access_key_secret()
    }

    /// When STS ends the session, and with it all that is signed with the credentials.
    pub(crate) fn expires_at(&self) -> DateTime<Utc> {
        self.token.credentials().expiration()
    }

    /// The time at which they were obtained, by STS's clock: the date of what is signed with them now. It may be late by
    /// the time that the call to STS took.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Whether they came from the cache, for the audit.
    pub(crate) fn source(&self) -> TokenSource {
        self.source
    }
}
