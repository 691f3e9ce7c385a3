//! The revocations of one source, in tables by what they refuse.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::entry::Revocation;
use super::revoked::Revoked;
use crate::auth::{JwtId, TicketId};
use appserver_domain::{ClientId, IssuerName, Subject};

/// What an authenticated request presents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PresentedIdentity<'a> {
    pub(crate) client: &'a ClientId,
    pub(crate) user: Option<(&'a IssuerName, &'a Subject)>,
    pub(crate) ticket: Option<TicketId>,
    /// The `jti` of the user's token, or of that which the ticket was made with.
    pub(crate) jwt: Option<JwtId>,
}

/// The revocations of one source. A look-up takes the same few steps for any number of them.
#[derive(Debug, Default)]
pub(crate) struct RevocationList {
    issuers: HashMap<IssuerName, OfIssuer>,
    clients: HashMap<ClientId, Arc<Revocation>>,
    tickets: HashMap<TicketId, Arc<Revocation>>,
    jwts: HashMap<JwtId, Arc<Revocation>>,
}

#[derive(Debug, Default)]
struct OfIssuer {
    /// That of all of its users.
    all: Option<Arc<Revocation>>,
    users: HashMap<Subject, Arc<Revocation>>,
}

impl RevocationList {
    /// The most revocations of a source, some 400 bytes each.
    pub(crate) const MOST: usize = 100_000;

    /// Adds a revocation. Of two that refuse the same, the one that ends later stays.
    pub(crate) fn insert(&mut self, revocation: Arc<Revocation>) {
        let place = match revocation.what() {
            Revoked::User { issuer, subject } => {
                let of_issuer = self.issuers.entry(issuer.clone()).or_default();
                return keep_later(of_issuer.users.entry(subject.clone()), revocation);
            }
            Revoked::Issuer(issuer) => {
                let all = &mut self.issuers.entry(issuer.clone()).or_default().all;
                if all.as_ref().is_none_or(|held| held.until() < revocation.until()) {
                    *all = Some(revocation);
                }
                return;
            }
            Revoked::Client(client) => {
                return keep_later(self.clients.entry(client.clone()), revocation);
            }
            Revoked::Ticket(ticket) => self.tickets.entry(*ticket),
            Revoked::Jti(jti) => return keep_later(self.jwts.entry(jti.id()), revocation),
        };
        keep_later(place, revocation);
    }

    /// An active revocation that refuses the request.
    pub(crate) fn find(
        &self,
        presented: &PresentedIdentity<'_>,
        now: DateTime<Utc>,
    ) -> Option<&Arc<Revocation>> {
        let PresentedIdentity { client, user, ticket, jwt } = *presented;
        let of_issuer = user.and_then(|(issuer, _)| self.issuers.get(issuer));
        let of_user =
            user.zip(of_issuer).and_then(|((_, subject), of_issuer)| of_issuer.users.get(subject));
        let all = of_issuer.and_then(|of_issuer| of_issuer.all.as_ref());
        let of_jwt = jwt.and_then(|jwt| self.jwts.get(&jwt));
        let of_ticket = ticket.and_then(|ticket| self.tickets.get(&ticket));
        let found = [of_user, self.clients.get(client), of_ticket, of_jwt, all];
        found.into_iter().flatten().find(|found| found.is_active(now))
    }

    /// All revocations, also those that have ended.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Revocation>> {
        let of_issuers =
            self.issuers.values().flat_map(|issuer| issuer.all.iter().chain(issuer.users.values()));
        let others = self.clients.values().chain(self.tickets.values()).chain(self.jwts.values());
        of_issuers.chain(others)
    }

    /// How many are active.
    pub(crate) fn count(&self, now: DateTime<Utc>) -> usize {
        self.iter().filter(|revocation| revocation.is_active(now)).count()
    }

    /// The revocation of exactly this.
    pub(crate) fn get(&self, what: &Revoked) -> Option<&Arc<Revocation>> {
        match what {
            Revoked::User { issuer, subject } => self.issuers.get(issuer)?.users.get(subject),
            Revoked::Issuer(issuer) => self.issuers.get(issuer)?.all.as_ref(),
            Revoked::Client(client) => self.clients.get(client),
            Revoked::Ticket(ticket) => self.tickets.get(ticket),
            Revoked::Jti(jti) => self.jwts.get(&jti.id()),
        }
    }

    /// Those of this list that were not active in `before`.
    pub(crate) fn since(&self, before: &Self, now: DateTime<Utc>) -> Self {
        let was_active = |what| before.get(what).is_some_and(|known| known.is_active(now));
        self.iter().filter(|revocation| !was_active(revocation.what())).cloned().collect()
    }
}

fn keep_later<K>(
    place: std::collections::hash_map::Entry<'_, K, Arc<Revocation>>,
    revocation: Arc<Revocation>,
) {
    let until = revocation.until();
    let held = place.or_insert_with(|| Arc::clone(&revocation));
    if held.until() < until {
        *held = revocation;
    }
}

impl FromIterator<Arc<Revocation>> for RevocationList {
    fn from_iter<I: IntoIterator<Item = Arc<Revocation>>>(revocations: I) -> Self {
        let mut list = Self::default();
        revocations.into_iter().for_each(|revocation| list.insert(revocation));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Reason;
    use super::super::revoked::RevokedKind;
    use super::*;

    fn now() -> DateTime<Utc> {
        "2016-01-13T14:02:37Z".parse().unwrap()
    }

    fn list(rows: &[(RevokedKind, &str, i64)]) -> RevocationList {
        let revocation = |(kind, name, secs): &(RevokedKind, &str, i64)| {
            let what = Revoked::parse(*kind, name).unwrap();
            let until = now() + chrono::TimeDelta::seconds(*secs);
            let reason: Reason = "stolen".parse().unwrap();
            Arc::new(Revocation::new(what, until, reason, now()).unwrap())
        };
        rows.iter().map(revocation).collect()
    }

    /// Which of some requests the list refuses.
    fn refused(list: &RevocationList) -> Vec<&'static str> {
        let client: ClientId = "photo-app".parse().unwrap();
        let [company, other]: [IssuerName; 2] =
            ["company", "other"].map(|name| name.parse().unwrap());
        let [alice, bob]: [Subject; 2] = ["alice", "bob"].map(|name| name.parse().unwrap());
        let ticket: TicketId = "00ff00ff00ff00ff".parse().unwrap();
        let (user, nobody) = (|issuer, subject| Some((issuer, subject)), None);
        let jwt = Some(JwtId::of("one"));
        let requests = [
            ("alice", user(&company, &alice), None, None),
            ("alice's token", user(&company, &alice), None, jwt),
            ("alice's ticket", user(&company, &alice), Some(ticket), None),
            ("alice of another issuer", user(&other, &alice), None, None),
            ("bob", user(&company, &bob), None, None),
            ("the backend", nobody, None, None),
        ];
        let refused = requests.into_iter().filter(|(_, user, ticket, jwt)| {
            let presented =
                PresentedIdentity { client: &client, user: *user, ticket: *ticket, jwt: *jwt };
            list.find(&presented, now()).is_some()
        });
        refused.map(|(name, ..)| name).collect()
    }

    #[test]
    fn each_kind_refuses_its_own_and_no_other() {
        let all = [
            "alice",
            "alice's token",
            "alice's ticket",
            "alice of another issuer",
            "bob",
            "the backend",
        ];
        for (kind, name, expected) in [
            (RevokedKind::User, "company/alice", &all[..3]),
            (RevokedKind::User, "other/alice", &all[3..4]),
            (RevokedKind::Issuer, "company", &[all[0], all[1], all[2], all[4]]),
            (RevokedKind::Client, "photo-app", &all[..]),
            (RevokedKind::Client, "other-app", &[]),
            (RevokedKind::Ticket, "00ff00ff00ff00ff", &all[2..3]),
            (RevokedKind::Jti, "one", &all[1..2]),
            (RevokedKind::Jti, "two", &[]),
        ] {
            assert_eq!(refused(&list(&[(kind, name, 60)])), expected, "{kind:?} {name}");
        }
    }

    #[test]
    fn a_revocation_that_has_ended_refuses_nobody_and_hides_no_other() {
        let ended = list(&[(RevokedKind::User, "company/alice", 0)]);
        assert_eq!((refused(&ended), ended.count(now())), (vec![], 0));
        let both = [(RevokedKind::User, "company/bob", -1), (RevokedKind::Issuer, "company", 60)];
        assert!(refused(&list(&both)).contains(&"bob"));
    }

    #[test]
    fn of_two_revocations_the_one_that_ends_later_stays() {
        for kind in RevokedKind::ALL {
            let name = match kind {
                RevokedKind::User => "company/alice",
                RevokedKind::Ticket => "00ff00ff00ff00ff",
                RevokedKind::Client | RevokedKind::Jti | RevokedKind::Issuer => "one",
            };
            for order in [[60, -1], [-1, 60]] {
                let list = list(&order.map(|secs| (kind, name, secs)));
                assert_eq!((list.count(now()), list.iter().count()), (1, 1), "{kind:?}");
            }
        }
    }

    #[test]
    fn only_what_was_not_active_in_an_earlier_list_is_new() {
        let before = list(&[(RevokedKind::User, "company/alice", 60)]);
        let both =
            [(RevokedKind::User, "company/alice", 90), (RevokedKind::Client, "photo-app", 60)];
        let new = |before| {
            let new = list(&both).since(before, now());
            new.iter().map(|one| one.what().name()).collect::<Vec<_>>()
        };
        assert_eq!(new(&before), ["photo-app"]);
        // One that has ended did not refuse: the user may have a token since.
        let ended = list(&[(RevokedKind::User, "company/alice", 0)]);
        assert_eq!(new(&ended), ["company/alice", "photo-app"]);
    }
}
