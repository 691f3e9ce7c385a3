//! Authentication: turns a presented credential into a [`Caller`] or an [`AuthError`]. Independent of the HTTP
//! framework.

mod caller;
mod certificate;
mod jwt;
mod presented_credential;
mod secret;
mod ticket;

use std::collections::HashMap;

pub(crate) use caller::{Caller, JwtId};
pub(crate) use certificate::{CertificateName, CertificateNames};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use jwt::fuzz_jwt;
pub(crate) use jwt::{
    ClaimKind, ClaimPath, ClaimRule, ConfiguredKeys, FetchProblem, Issuer, IssuerTlsError, Issuers,
    Jwks, JwksEndpoint, JwtRefusal, KeyAddress, LONGEST_TOKEN, NamedClaim, RefreshPolicy,
    SignatureAlgorithm, SubjectType, TokenKind,
};
pub(crate) use presented_credential::PresentedCredential;
pub(crate) use secret::{ClientSecret, SecretHash};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use ticket::fuzz_ticket;
pub(crate) use ticket::{Ticket, TicketId, TicketProblem, TicketSeal};

use chrono::{DateTime, Utc};

use appserver_domain::{ClientId, Fingerprint};

/// The registered clients and how each authenticates.
#[derive(Debug)]
pub(crate) struct Authenticator {
    clients: foldhash::HashMap<ClientId, Client>,
    issuers: Issuers,
    /// The client of each certificate name.
    certificates: HashMap<CertificateName, ClientId>,
    /// Whether any client has a secret.
    has_secrets: bool,
    /// Compared with the presented secret if the client is unknown or has no secret, so that the rejection takes the
    /// same time.
    decoy: [SecretHash; 2],
}

/// The credentials of one client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// One hash (held twice), or two during a rotation; both are always compared. None for a client without a secret.
    pub(crate) secrets: Option<[SecretHash; 2]>,
    /// Any one of these certificate names authenticates the client. No two clients share a name.
    pub(crate) certificates: Vec<CertificateName>,
    /// A disabled client learns that it is disabled only after it has authenticated.
    pub(crate) enabled: bool,
}

/// Why authentication failed. The log has the reason. Callers get one response to a ticket, and one to every other credential; only
/// a caller whose credential is valid learns that it sent [several](AuthError::Several) or that its client is
/// [disabled](AuthError::Disabled).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("no credential was presented")]
    Missing,
    #[error("the Authorization header could not be read")]
    Malformed,
    #[error("this kind of credential is not accepted")]
    NotOffered,
    #[error("the client is not registered")]
    UnknownClient,
    #[error("the secret is wrong")]
    WrongSecret(ClientId),
    #[error("the certificate names no client, or several")]
    UnknownCertificate,
    #[error(
        "the certificate of the connection has expired, is revoked, or is not signed by a CA that is trusted now"
    )]
    EndedCertificate,
    #[error(transparent)]
    Jwt(#[from] JwtRefusal),
    #[error(transparent)]
    Ticket(#[from] TicketProblem),
    #[error("several credentials: an `Authorization` header and a ticket")]
    Several,
    #[error("the client is disabled")]
    Disabled(ClientId),
}

impl AuthError {
    /// The registered client that the request claims to come from, for the log.
    pub(crate) fn client(&self) -> Option<&ClientId> {
        match self {
            Self::WrongSecret(client) | Self::Disabled(client) => Some(client),
            Self::Ticket(problem) => problem.client(),
            Self::Jwt(refusal) => refusal.client(),
            Self::Missing
            | Self::Malformed
            | Self::NotOffered
            | Self::UnknownClient
            | Self::UnknownCertificate
            | Self::EndedCertificate
            | Self::Several => None,
        }
    }
}

impl AuthError {
    /// Whether it counts as a failed attempt. A request without a credential does not: some HTTP libraries send one
    /// before they send the credential.
    pub(crate) fn is_attempt(&self) -> bool {
        match self {
            Self::Missing | Self::Several | Self::Disabled(_) => false,
            Self::Malformed
            | Self::NotOffered
            | Self::UnknownClient
            | Self::UnknownCertificate
            | Self::EndedCertificate
            | Self::WrongSecret(_)
            | Self::Jwt(_)
            | Self::Ticket(_) => true,
        }
    }
}

impl Authenticator {
    pub(crate) fn new(clients: HashMap<ClientId, Client>, issuers: Issuers) -> Self {
        let unguessable = SecretHash::of(&ClientSecret::generate().into());
        let decoy = [unguessable.clone(), unguessable];
        let has_secrets = clients.values().any(|client| client.secrets.is_some());
        let of_client = |(id, client): (&ClientId, &Client)| {
            let names = client.certificates.clone().into_iter();
            names.map(|name| (name, id.clone())).collect::<Vec<_>>()
        };
        let certificates = clients.iter().flat_map(of_client).collect();
        let clients = clients.into_iter().collect();
        Self { clients, issuers, certificates, has_secrets, decoy }
    }

    /// Whether checking the credential means verifying a signature, rather than a few hashes.
    pub(crate) fn needs_signature_check(
        &self,
        presented: &PresentedCredential,
        now: DateTime<Utc>,
    ) -> bool {
        match presented {
            PresentedCredential::Jwt(token) => self.issuers.needs_signature_check(token, now),
            // The handshake has verified the certificate's signature.
            PresentedCredential::Certificate(_)
            | PresentedCredential::Secret { .. }
            | PresentedCredential::Other
            | PresentedCredential::Malformed
            | PresentedCredential::Nothing => false,
        }
    }

    /// Whether any client has a secret.
    pub(crate) fn has_secrets(&self) -> bool {
        self.has_secrets
    }

    /// The trusted issuers.
    pub(crate) fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Authenticates by the credential. Waits only for an issuer's new keys, if the token's key is unknown.
    pub(crate) async fn authenticate(
        &self,
        presented: &PresentedCredential,
        now: DateTime<Utc>,
    ) -> Result<Caller, AuthError> {
        match (self.authenticate_at_once(presented, now), presented) {
            (Err(AuthError::Jwt(refusal)), PresentedCredential::Jwt(token))
                if refusal.may_end_with_newer_keys() =>
            {
                // Boxed: it is rare, and its size would be part of every other future.
                let newer = self.issuers.verify_by_newer_keys(token, now, refusal);
                self.registered(Box::pin(newer).await?)
            }
            (outcome, _) => outcome,
        }
    }

    /// The same without waiting. Tickets are opened by [`TicketSeal`]: they also hold the request.
    pub(crate) fn authenticate_at_once(
        &self,
        presented: &PresentedCredential,
        now: DateTime<Utc>,
    ) -> Result<Caller, AuthError> {
        match presented {
            PresentedCredential::Secret { client, secret } => {
                let known = self.clients.get_key_value(client.as_str());
                let secrets = known.and_then(|(_, client)| client.secrets.as_ref());
                let offered = SecretHash::of(secret);
                let proven =
                    is_one_of(secrets.unwrap_or(&self.decoy), &offered) & secrets.is_some();
                match known.map(|(id, client)| (id.clone(), client)) {
                    Some((id, client)) if proven && client.enabled => {
                        Ok(Caller::by_secret(id, offered))
                    }
                    Some((id, _)) if proven => Err(AuthError::Disabled(id)),
                    Some((id, _)) => Err(AuthError::WrongSecret(id)),
                    None => Err(AuthError::UnknownClient),
                }
            }
            PresentedCredential::Jwt(_) if self.issuers.is_empty() => Err(AuthError::NotOffered),
            PresentedCredential::Jwt(token) => self.registered(self.issuers.verify(token, now)?),
            PresentedCredential::Certificate(names) => {
                let (name, client) = self.named_by(names).ok_or(AuthError::UnknownCertificate)?;
                self.registered(Caller::by_certificate(client.clone(), name.as_parent()))
            }
            PresentedCredential::Other => Err(AuthError::NotOffered),
            PresentedCredential::Malformed => Err(AuthError::Malformed),
            PresentedCredential::Nothing => Err(AuthError::Missing),
        }
    }

    /// The caller of a ticket, if the credential that the ticket was issued with is still valid.
    pub(crate) fn authenticate_ticket(&self, caller: Caller) -> Result<Caller, AuthError> {
        let client = caller.client().clone();
        let caller = self.registered(caller).map_err(|error| match error {
            AuthError::UnknownClient => TicketProblem::ParentEnded(client).into(),
            other => other,
        })?;
        let parent = caller.parent();
        let is_valid = match caller.issuer() {
            Some(issuer) => self.issuers.parent(issuer) == Some(parent),
            None => self
                .clients
                .get(caller.client())
                .is_some_and(|client| client.has_credential(parent)),
        };
        if is_valid {
            Ok(caller)
        } else {
            Err(TicketProblem::ParentEnded(caller.client().clone()).into())
        }
    }

    /// The authenticated caller, if its client is registered and enabled.
    fn registered(&self, caller: Caller) -> Result<Caller, AuthError> {
        match self.clients.get(caller.client()) {
            Some(client) if client.enabled => Ok(caller),
            Some(_) => Err(AuthError::Disabled(caller.client().clone())),
            None => Err(AuthError::UnknownClient),
        }
    }
}

impl Authenticator {
    /// The one client that has a name of the certificate, and the first such name. A certificate that names two
    /// clients authenticates neither.
    fn named_by(&self, names: &CertificateNames) -> Option<(&CertificateName, &ClientId)> {
        let mut named = names.iter().filter_map(|name| self.certificates.get_key_value(name));
        let first = named.next()?;
        named.all(|(_, other)| other == first.1).then_some(first)
    }
}

/// Compares with both hashes, whatever the first comparison gives.
fn is_one_of([first, second]: &[SecretHash; 2], offered: &SecretHash) -> bool {
    first.is_same(offered) | second.is_same(offered)
}

impl Client {
    /// Whether the fingerprint is that of a secret or a certificate name of this client.
    fn has_credential(&self, parent: Fingerprint) -> bool {
        self.secrets.iter().flatten().any(|secret| secret.as_parent() == parent)
            || self.certificates.iter().any(|name| name.as_parent() == parent)
    }
}

#[cfg(test)]
mod tests {
    use super::caller::Method;
    use super::*;

    fn hash(secret: &str) -> SecretHash {
        SecretHash::of(&secret.into())
    }

    fn present(client: &str, secret: &str) -> PresentedCredential {
        PresentedCredential::Secret { client: client.into(), secret: secret.into() }
    }

    fn now() -> DateTime<Utc> {
        "2016-01-13T14:02:37Z".parse().unwrap()
    }

    fn authenticator() -> Authenticator {
        let client = |secrets, name: &str, enabled| {
            let certificates = vec![CertificateName::try_from(name.to_owned()).unwrap()];
            Client { secrets, certificates, enabled }
        };
        let rotating = client(Some([hash("old"), hash("new")]), "dns:two.example.com", true);
        let disabled = client(Some([hash("old"), hash("old")]), "dns:nine.example.com", false);
        let without_secret = client(None, "dns:three.example.com", true);
        Authenticator::new(
            HashMap::from([
                ("client-002".parse().unwrap(), rotating),
                ("client-009".parse().unwrap(), disabled),
                ("client-004".parse().unwrap(), without_secret),
            ]),
            Issuers::default(),
        )
    }

    #[test]
    fn both_secrets_work_while_one_is_rotated() {
        let auth = authenticator();
        for secret in ["old", "new"] {
            let caller = auth.authenticate_at_once(&present("client-002", secret), now()).unwrap();
            assert_eq!((caller.client().as_str(), caller.subject()), ("client-002", None));
        }
    }

    #[test]
    fn any_other_credential_is_rejected() {
        let auth = authenticator();
        let refusal = |presented| auth.authenticate_at_once(&presented, now()).unwrap_err();
        let wrong = AuthError::WrongSecret("client-002".parse().unwrap());
        assert_eq!(refusal(present("client-002", "")), wrong);
        assert_eq!(refusal(present("client-002", "Old")), wrong);
        assert_eq!(refusal(present("client-003", "old")), AuthError::UnknownClient);
        let without_secret = AuthError::WrongSecret("client-004".parse().unwrap());
        assert_eq!(refusal(present("client-004", "")), without_secret);
        assert_eq!(refusal(present("Client-002", "old")), AuthError::UnknownClient);
        let token = PresentedCredential::Jwt("a.b.c".into());
        assert_eq!(refusal(token), AuthError::NotOffered, "there is no issuer");
        assert_eq!(refusal(PresentedCredential::Other), AuthError::NotOffered);
        assert_eq!(refusal(PresentedCredential::Malformed), AuthError::Malformed);
        assert_eq!(refusal(PresentedCredential::Nothing), AuthError::Missing);
    }

    #[test]
    fn a_failure_names_its_client_and_counts_unless_no_credential_is_wrong() {
        let client: ClientId = "client-002".parse().unwrap();
        for (error, names, is_attempt) in [
            (AuthError::Missing, false, false),
            (AuthError::Several, false, false),
            (AuthError::Disabled(client.clone()), true, false),
            (AuthError::Malformed, false, true),
            (AuthError::UnknownClient, false, true),
            (AuthError::UnknownCertificate, false, true),
            (AuthError::WrongSecret(client.clone()), true, true),
            (AuthError::Ticket(TicketProblem::ParentEnded(client.clone())), true, true),
            (AuthError::Ticket(TicketProblem::Malformed), false, true),
        ] {
            assert_eq!(error.client(), names.then_some(&client), "{error}");
            assert_eq!(error.is_attempt(), is_attempt, "{error}");
        }
        assert!(authenticator().has_secrets());
    }

    /// The time of a rejection reveals nothing.
    #[test]
    fn any_secret_costs_the_same_work_and_one_hash() {
        let auth = authenticator();
        let work = |presented: PresentedCredential| {
            secret::work::taken();
            let _ = auth.authenticate_at_once(&presented, now());
            secret::work::taken()
        };
        let expected = secret::work::Work { hashes: 1, comparisons: 2 };
        let presented = [
            present("client-002", "new"),
            present("client-002", "old"),
            present("client-002", "wrong"),
            present("client-003", "wrong"),
            present("no client's name", "wrong"),
            present("client-009", "old"),
            present("client-004", "wrong"),
        ];
        assert_eq!(presented.map(work), [expected; 7]);
    }

    #[test]
    fn a_client_learns_that_it_is_disabled_only_with_its_secret() {
        let auth = authenticator();
        let refusal =
            |secret| auth.authenticate_at_once(&present("client-009", secret), now()).unwrap_err();
        let id: ClientId = "client-009".parse().unwrap();
        let expected = (AuthError::Disabled(id.clone()), AuthError::WrongSecret(id));
        assert_eq!((refusal("old"), refusal("guess")), expected);
    }

    #[test]
    fn a_certificate_proves_the_one_client_that_it_names() {
        let auth = authenticator();
        let prove = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            let certificate = rcgen::generate_simple_self_signed(names).unwrap().cert;
            let names = CertificateNames::of(certificate.der());
            let caller =
                auth.authenticate_at_once(&PresentedCredential::Certificate(names.into()), now())?;
            Ok((caller.client().to_string(), caller.method()))
        };
        let two = ("client-002".to_owned(), Method::ClientCertificate);
        let disabled = AuthError::Disabled("client-009".parse().unwrap());
        for (names, expected) in [
            (&["two.example.com"][..], Ok(two.clone())),
            (&["other.example.com", "Two.Example.com"], Ok(two)),
            (&["nine.example.com"], Err(disabled)),
            (&["a.two.example.com"], Err(AuthError::UnknownCertificate)),
            (&["*.example.com"], Err(AuthError::UnknownCertificate)),
            (&["two.example.com", "nine.example.com"], Err(AuthError::UnknownCertificate)),
        ] {
            assert_eq!(prove(names), expected, "{names:?}");
        }
    }

    #[test]
    fn a_ticket_is_valid_as_long_as_the_credential_it_was_issued_with() {
        let with = |secrets: [&str; 2], names: &[&str]| {
            let certificates =
                names.iter().map(|name| (*name).to_owned().try_into().unwrap()).collect();
            let secrets = Some(secrets.map(hash));
            let client = Client { secrets, certificates, enabled: true };
            let clients = HashMap::from([("client-002".parse().unwrap(), client)]);
            Authenticator::new(clients, Issuers::default())
        };
        let before = with(["old", "new"], &["dns:one.example.com", "dns:two.example.com"]);
        let certificate = |name: &str| {
            let certificate = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap().cert;
            PresentedCredential::Certificate(CertificateNames::of(certificate.der()).into())
        };
        let presented = [
            present("client-002", "old"),
            present("client-002", "new"),
            certificate("one.example.com"),
            certificate("two.example.com"),
        ];
        let made = presented.map(|one| before.authenticate_at_once(&one, now()).unwrap());
        let valid = |after: Authenticator| {
            made.clone().map(|caller| match after.authenticate_ticket(caller) {
                Ok(_) => true,
                Err(error) => {
                    let ended = TicketProblem::ParentEnded("client-002".parse().unwrap());
                    assert_eq!(error, AuthError::Ticket(ended));
                    false
                }
            })
        };
        let (one, two) = ("dns:one.example.com", "dns:two.example.com");
        assert_eq!(valid(with(["new", "old"], &[two, one])), [true; 4]);
        assert_eq!(valid(with(["new", "new"], &[one, two])), [false, true, true, true]);
        assert_eq!(valid(with(["newer", "new"], &[two])), [false, true, false, true]);
        assert_eq!(valid(with(["newer", "newest"], &[])), [false; 4]);
    }
}
