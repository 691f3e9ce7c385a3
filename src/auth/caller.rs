//! Who is calling.

use std::collections::BTreeMap;

use crate::domain::{ClientId, Subject};

/// An authenticated client, with its subject and verified claims if the credential proved any.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    client: ClientId,
    subject: Option<Subject>,
    claims: BTreeMap<String, String>,
    method: Method,
}

/// How a caller proved itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    /// `Authorization: Basic`.
    ClientSecret,
    /// `Authorization: Bearer`.
    Jwt,
    /// Nobody proved anything: the operator tries out what a caller would get, on the command line.
    Operator,
}

impl Method {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecret => "ClientSecret",
            Self::Jwt => "Jwt",
            Self::Operator => "Operator",
        }
    }
}

impl Caller {
    /// A client that knew its secret; nothing is proven of any user behind it.
    pub(super) fn by_secret(client: ClientId) -> Self {
        Self { client, subject: None, claims: BTreeMap::new(), method: Method::ClientSecret }
    }

    /// A user of a client's, proven by an issuer's token with these claims.
    pub(super) fn by_jwt(
        client: ClientId,
        subject: Subject,
        claims: BTreeMap<String, String>,
    ) -> Self {
        Self { client, subject: Some(subject), claims, method: Method::Jwt }
    }

    /// A caller that exists only to be shown what it would get; no request ever becomes one.
    pub(crate) fn imagined(
        client: ClientId,
        subject: Option<Subject>,
        claims: BTreeMap<String, String>,
    ) -> Self {
        Self { client, subject, claims, method: Method::Operator }
    }

    pub(crate) fn client(&self) -> &ClientId {
        &self.client
    }

    pub(crate) fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    pub(crate) fn claims(&self) -> &BTreeMap<String, String> {
        &self.claims
    }

    pub(crate) fn method(&self) -> Method {
        self.method
    }
}
