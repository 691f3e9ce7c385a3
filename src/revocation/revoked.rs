//! Who or what a revocation refuses.

use std::fmt;

use crate::auth::{JwtId, TicketId};
use appserver_domain::{ClientId, Invalid, IssuerName, Subject, text_type};

/// Who or what is refused.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Revoked {
    User {
        issuer: IssuerName,
        subject: Subject,
    },
    /// With all of its users.
    Client(ClientId),
    Ticket(TicketId),
    /// One token of a user, by its `jti`, and the tickets that were made with it.
    Jti(Jti),
    /// All users of an issuer.
    Issuer(IssuerName),
}

/// The kinds, as the command line and the file name them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RevokedKind {
    User,
    Client,
    Ticket,
    Jti,
    Issuer,
}

/// The `jti` of a token as its issuer wrote it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Jti(String);

text_type!(
    Jti,
    |s| (1..=512).contains(&s.len()) && !s.chars().any(char::is_control),
    "a `jti` is 1 to 512 bytes of text without control characters"
);

impl Jti {
    pub(super) fn id(&self) -> JwtId {
        JwtId::of(&self.0)
    }
}

impl RevokedKind {
    pub(crate) const ALL: [Self; 5] =
        [Self::User, Self::Client, Self::Ticket, Self::Jti, Self::Issuer];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Client => "client",
            Self::Ticket => "ticket",
            Self::Jti => "jti",
            Self::Issuer => "issuer",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Revoked {
    /// The one of this kind that the text names; a user is named `ISSUER/SUBJECT`.
    pub(crate) fn parse(kind: RevokedKind, name: &str) -> Result<Self, Invalid> {
        Ok(match kind {
            RevokedKind::User => {
                let (issuer, subject) = name.split_once('/').ok_or(Invalid(
                    "a user is `ISSUER/SUBJECT`: the key of `issuers`, a slash, and the user's subject",
                ))?;
                Self::User { issuer: issuer.parse()?, subject: subject.parse()? }
            }
            RevokedKind::Client => Self::Client(name.parse()?),
            RevokedKind::Ticket => Self::Ticket(name.parse()?),
            RevokedKind::Jti => Self::Jti(name.parse()?),
            RevokedKind::Issuer => Self::Issuer(name.parse()?),
        })
    }

    pub(crate) fn kind(&self) -> RevokedKind {
        match self {
            Self::User { .. } => RevokedKind::User,
            Self::Client(_) => RevokedKind::Client,
            Self::Ticket(_) => RevokedKind::Ticket,
            Self::Jti(_) => RevokedKind::Jti,
            Self::Issuer(_) => RevokedKind::Issuer,
        }
    }

    /// The name that [`parse`](Self::parse) takes.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::User { issuer, subject } => format!("{issuer}/{subject}"),
            Self::Client(client) => client.to_string(),
            Self::Ticket(ticket) => ticket.to_string(),
            Self::Jti(jti) => jti.to_string(),
            Self::Issuer(issuer) => issuer.to_string(),
        }
    }
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind().as_str(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_revoked_has_the_name_that_it_is_parsed_from() {
        for (kind, name) in [
            (RevokedKind::User, "company/alice"),
            (RevokedKind::User, "company/auth0|a/b"),
            (RevokedKind::Client, "photo-app"),
            (RevokedKind::Ticket, "00ff00ff00ff00ff"),
            (RevokedKind::Jti, "f81d4fae-7dec-11d0"),
            (RevokedKind::Issuer, "company"),
        ] {
            let revoked = Revoked::parse(kind, name).unwrap();
            assert_eq!((revoked.kind(), revoked.name().as_str()), (kind, name));
            assert_eq!(RevokedKind::named(kind.as_str()), Some(kind));
        }
        for (kind, name) in [
            (RevokedKind::User, "alice"),
            (RevokedKind::User, "Company/alice"),
            (RevokedKind::User, "company/"),
            (RevokedKind::Client, "Photo"),
            (RevokedKind::Ticket, "ff"),
            (RevokedKind::Ticket, "00FF00FF00FF00FF"),
            (RevokedKind::Ticket, "+0ff00ff00ff00ff"),
            (RevokedKind::Jti, ""),
            (RevokedKind::Issuer, "a/b"),
        ] {
            assert!(Revoked::parse(kind, name).is_err(), "{kind:?} {name}");
        }
    }
}
