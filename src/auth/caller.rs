//! Who is calling.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::domain::{ClientId, Subject};

/// An authenticated client, with its subject and verified claims if the credential proved any.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    client: ClientId,
    subject: Option<Subject>,
    claims: BTreeMap<String, String>,
    method: Method,
    until: Option<DateTime<Utc>>,
}

/// How a caller proved itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    /// `Authorization: Basic`.
    ClientSecret,
    /// `Authorization: Bearer`.
    Jwt,
    /// The certificate of its connection.
    ClientCertificate,
    /// `?Ticket=`.
    Ticket,
    /// Nobody proved anything: the operator tries out what a caller would get, on the command line.
    Operator,
}

impl Method {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecret => "ClientSecret",
            Self::Jwt => "Jwt",
            Self::ClientCertificate => "ClientCertificate",
            Self::Ticket => "Ticket",
            Self::Operator => "Operator",
        }
    }
}

impl Caller {
    /// A client that knew its secret; nothing is proven of any user behind it.
    pub(super) fn by_secret(client: ClientId) -> Self {
        Self {
            client,
            subject: None,
            claims: BTreeMap::new(),
            method: Method::ClientSecret,
            until: None,
        }
    }

    /// A client whose certificate was verified; nothing is proven of any user behind it.
    pub(super) fn by_certificate(client: ClientId) -> Self {
        Self {
            client,
            subject: None,
            claims: BTreeMap::new(),
            method: Method::ClientCertificate,
            until: None,
        }
    }

    /// A user of a client's, proven by an issuer's token with these claims.
    pub(super) fn by_jwt(
        client: ClientId,
        subject: Subject,
        claims: BTreeMap<String, String>,
        until: Option<DateTime<Utc>>,
    ) -> Self {
        Self { client, subject: Some(subject), claims, method: Method::Jwt, until }
    }

    /// Whoever a ticket was made for.
    pub(super) fn by_ticket(
        client: ClientId,
        subject: Option<Subject>,
        claims: BTreeMap<String, String>,
        until: Option<DateTime<Utc>>,
    ) -> Self {
        Self { client, subject, claims, method: Method::Ticket, until }
    }

    /// A caller that exists only to be shown what it would get; no request ever becomes one.
    pub(crate) fn imagined(
        client: ClientId,
        subject: Option<Subject>,
        claims: BTreeMap<String, String>,
    ) -> Self {
        Self { client, subject, claims, method: Method::Operator, until: None }
    }

    /// The same caller with those of its claims that are to be kept.
    pub(crate) fn with_claims(&self, keep: impl Fn(&str) -> bool) -> Self {
        let claims = self.claims.iter().filter(|(name, _)| keep(name));
        let claims = claims.map(|(name, claim)| (name.clone(), claim.clone())).collect();
        Self { client: self.client.clone(), subject: self.subject.clone(), claims, ..*self }
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

    /// When whatever the caller is given must end, if its issuer says so: its login's own end.
    pub(crate) fn until(&self) -> Option<DateTime<Utc>> {
        self.until
    }

    /// The same caller with a login that ends.
    #[cfg(test)]
    pub(crate) fn logged_in_until(self, end: DateTime<Utc>) -> Self {
        Self { until: Some(end), ..self }
    }

    pub(crate) fn method(&self) -> Method {
        self.method
    }
}
