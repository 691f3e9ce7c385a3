//! The authenticated caller of a request.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::SecretHash;
use appserver_domain::{ClientId, Fingerprint, IssuerName, Subject};

/// An authenticated client, with its subject and verified claims if the credential proved any.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    client: ClientId,
    /// The identity provider that proved the subject: `alice` of one issuer is not `alice` of another.
    issuer: Option<IssuerName>,
    subject: Option<Subject>,
    claims: BTreeMap<String, String>,
    method: Method,
    until: Option<DateTime<Utc>>,
    parent: Parent,
    jwt: Option<JwtId>,
}

/// The credential that authenticated a caller.
#[derive(Clone, Debug)]
enum Parent {
    /// Its fingerprint is computed when a ticket needs it: it costs as much as checking the secret.
    Secret(SecretHash),
    Known(Fingerprint),
}

/// Identifies one token of a user: a hash of its `jti`, which may be of any length.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct JwtId(Fingerprint);

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
    /// No credential: a caller that the operator simulates on the command line.
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

impl JwtId {
    pub(crate) fn of(jti: &str) -> Self {
        Self(Fingerprint::of([b"jti".as_slice(), jti.as_bytes()]))
    }

    /// The bytes, for a ticket.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0.to_bytes()
    }

    /// The id that has these bytes.
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes.into())
    }
}

impl Caller {
    /// A client authenticated by the secret with this hash, without a subject.
    pub(super) fn by_secret(client: ClientId, secret: SecretHash) -> Self {
        Self::of_client(client, Method::ClientSecret, Parent::Secret(secret))
    }

    /// A client authenticated by a certificate, without a subject. `parent` identifies the certificate's name.
    pub(super) fn by_certificate(client: ClientId, parent: Fingerprint) -> Self {
        Self::of_client(client, Method::ClientCertificate, Parent::Known(parent))
    }

    /// A user of a client, authenticated by a JWT with these claims. `parent` identifies the issuer's configuration.
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
            ..Self::of_client(client, Method::Jwt, Parent::Known(parent))
        }
    }

    /// The caller that a ticket was issued for.
    pub(super) fn by_ticket(
        client: ClientId,
        user: Option<(IssuerName, Subject)>,
        claims: BTreeMap<String, String>,
        until: Option<DateTime<Utc>>,
        parent: Fingerprint,
    ) -> Self {
        let (issuer, subject) = user.unzip();
        let client = Self::of_client(client, Method::Ticket, Parent::Known(parent));
        Self { issuer, subject, claims, until, ..client }
    }

    /// A caller for dry runs and the operator's commands; no request becomes one.
    pub(crate) fn simulated(
        client: ClientId,
        subject: Option<Subject>,
        claims: BTreeMap<String, String>,
    ) -> Self {
        let parent = Parent::Known(Fingerprint::of([]));
        let client = Self::of_client(client, Method::Operator, parent);
        Self { subject, claims, ..client }
    }

    /// The same simulated caller as a user of this issuer.
    pub(crate) fn of_issuer(self, issuer: Option<IssuerName>) -> Self {
        Self { issuer, ..self }
    }

    /// The same caller with the id of the token that authenticated it, or that its ticket was made with.
    pub(super) fn with_jwt(self, jwt: Option<JwtId>) -> Self {
        Self { jwt, ..self }
    }

    fn of_client(client: ClientId, method: Method, parent: Parent) -> Self {
        let claims = BTreeMap::new();
        Self { client, issuer: None, subject: None, claims, method, until: None, parent, jwt: None }
    }

    /// The same caller with only the claims that `keep` selects.
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

    /// The latest end of anything issued to the caller: the end of its login, if its issuer is configured so.
    pub(crate) fn until(&self) -> Option<DateTime<Utc>> {
        self.until
    }

    /// The same caller with a login that ends.
    #[cfg(test)]
    pub(crate) fn logged_in_until(self, end: DateTime<Utc>) -> Self {
        Self { until: Some(end), ..self }
    }

    /// Identifies the credential that authenticated the caller. A ticket issued with it is valid only while the
    /// credential is.
    pub(super) fn parent(&self) -> Fingerprint {
        match &self.parent {
            Parent::Secret(secret) => secret.as_parent(),
            Parent::Known(fingerprint) => *fingerprint,
        }
    }

    /// The id of the user's token, if it has one; also that of the token that a ticket was made with.
    pub(crate) fn jwt(&self) -> Option<JwtId> {
        self.jwt
    }

    pub(crate) fn method(&self) -> Method {
        self.method
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_caller_has_the_user_and_the_claims_that_it_is_given() {
        let claims = [("tenant", "blue"), ("role", "guest")];
        let claims = claims.map(|(name, claim)| (name.to_owned(), claim.to_owned())).into();
        let alice = Some("alice".parse().unwrap());
        let caller = Caller::simulated("photo-app".parse().unwrap(), alice, claims);
        let caller = caller.of_issuer(Some("company".parse().unwrap()));
        let told = |caller: &Caller| {
            let issuer = caller.issuer().map(ToString::to_string);
            let subject = caller.subject().map(|subject| subject.as_str().to_owned());
            let method = caller.method().as_str();
            format!("{} {issuer:?} {subject:?} {:?} {method}", caller.client(), caller.claims())
        };
        assert_eq!(
            told(&caller),
            r#"photo-app Some("company") Some("alice") {"role": "guest", "tenant": "blue"} Operator"#
        );
        assert_eq!(
            told(&caller.with_claims(|name| name == "role")),
            r#"photo-app Some("company") Some("alice") {"role": "guest"} Operator"#
        );
    }
}
