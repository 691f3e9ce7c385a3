//! Who is calling.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use appserver_domain::{ClientId, Fingerprint, IssuerName, Subject};

/// An authenticated client, with its subject and verified claims if the credential proved any.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    client: ClientId,
    /// Who vouches for the subject: `alice` of one issuer is not `alice` of another.
    issuer: Option<IssuerName>,
    subject: Option<Subject>,
    claims: BTreeMap<String, String>,
    method: Method,
    until: Option<DateTime<Utc>>,
    parent: Fingerprint,
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
    /// A client that knew the secret that `parent` stands for; nothing is proven of any user behind it.
    pub(super) fn by_secret(client: ClientId, parent: Fingerprint) -> Self {
        Self::of_client(client, Method::ClientSecret, parent)
    }

    /// A client whose certificate, with the name that `parent` stands for, was verified; nothing is proven of any user
    /// behind it.
    pub(super) fn by_certificate(client: ClientId, parent: Fingerprint) -> Self {
        Self::of_client(client, Method::ClientCertificate, parent)
    }

    /// A user of a client's, proven by a token with these claims of an issuer whose configuration `parent` stands for.
    pub(super) fn by_jwt(
        client: ClientId,
        (issuer, subject): (IssuerName, Subject),
        claims: BTreeMap<String, String>,
        until: Option<DateTime<Utc>>,
        parent: Fingerprint,
    ) -> Self {
        Self {
            issuer: Some(issuer),
            subject: Some(subject),
            claims,
            until,
            ..Self::of_client(client, Method::Jwt, parent)
        }
    }

    /// The caller that a ticket was made for.
    pub(super) fn by_ticket(
        client: ClientId,
        user: Option<(IssuerName, Subject)>,
        claims: BTreeMap<String, String>,
        until: Option<DateTime<Utc>>,
        parent: Fingerprint,
    ) -> Self {
        let (issuer, subject) = user.unzip();
        let client = Self::of_client(client, Method::Ticket, parent);
        Self { issuer, subject, claims, until, ..client }
    }

    /// A caller that exists only to be shown what it would get; no request ever becomes one.
    pub(crate) fn simulated(
        client: ClientId,
        subject: Option<Subject>,
        claims: BTreeMap<String, String>,
    ) -> Self {
        let client = Self::of_client(client, Method::Operator, Fingerprint::of([]));
        Self { subject, claims, ..client }
    }

    /// The same simulated caller as a user of this issuer.
    pub(crate) fn of_issuer(self, issuer: Option<IssuerName>) -> Self {
        Self { issuer, ..self }
    }

    fn of_client(client: ClientId, method: Method, parent: Fingerprint) -> Self {
        let claims = BTreeMap::new();
        Self { client, issuer: None, subject: None, claims, method, until: None, parent }
    }

    /// The same caller with those of its claims that are to be kept.
    pub(crate) fn with_claims(&self, keep: impl Fn(&str) -> bool) -> Self {
        let claims = self.claims.iter().filter(|(name, _)| keep(name));
        let claims = claims.map(|(name, claim)| (name.clone(), claim.clone())).collect();
        Self { claims, ..self.clone() }
    }

    pub(crate) fn client(&self) -> &ClientId {
        &self.client
    }

    pub(crate) fn issuer(&self) -> Option<&IssuerName> {
        self.issuer.as_ref()
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

    /// Stands for the credential that proved the caller. A ticket made with it is valid only while the credential is.
    pub(super) fn parent(&self) -> Fingerprint {
        self.parent
    }

    pub(crate) fn method(&self) -> Method {
        self.method
    }
}
