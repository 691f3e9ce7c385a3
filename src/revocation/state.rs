//! What is known of one name in the shared list: until when it is revoked, and up to which revision that was taken back.
//!
//! Replicas and Redis may each have lost what the other has. Two states of one name are joined, and never does one overwrite the
//! other: a join takes no revocation back that was not taken back after it was made.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};

use super::entry::{Reason, Revocation};
use super::revoked::{Revoked, RevokedKind};

/// The state of one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct RevocationState {
    /// With its revision, which is greater than `undone`; `None` if it was taken back.
    revoked: Option<(Arc<Revocation>, u64)>,
    /// Revisions up to this one were taken back.
    undone: u64,
    /// The latest end of all revocations that the name had: after it, nobody can have one of them any more.
    kept_until: DateTime<Utc>,
}

impl RevocationState {
    /// The state after a revocation, by the time of Redis in milliseconds. Of two revocations the one that ends later stays.
    pub(super) fn revoke(before: Option<&Self>, revocation: Revocation, now: u64) -> Self {
        let next = before.map_or(0, |before| before.last_revision().saturating_add(1));
        let (kept_until, revoked) = (revocation.until(), (Arc::new(revocation), now.max(next)));
        let state = Self { revoked: Some(revoked), undone: 0, kept_until };
        before.map_or(state.clone(), |before| before.join(&state))
    }

    /// The state after the revocation is taken back. One that is not known here stays: it may be a later one.
    pub(super) fn undo(&self) -> Self {
        Self { revoked: None, undone: self.last_revision(), kept_until: self.kept_until }
    }

    /// The state after something that nobody can read is taken back.
    pub(super) fn undo_unknown(now: u64, kept_until: DateTime<Utc>) -> Self {
        Self { revoked: None, undone: now, kept_until }
    }

    pub(super) fn last_revision(&self) -> u64 {
        self.undone.max(self.revoked.as_ref().map_or(0, |(_, revision)| *revision))
    }

    /// What is known of the name by both. It errs on the side of a revocation.
    pub(super) fn join(&self, other: &Self) -> Self {
        let undone = self.undone.max(other.undone);
        let valid = |state: &Self| state.revoked.clone().filter(|(_, revision)| *revision > undone);
        let revoked = match (valid(self), valid(other)) {
            (Some(one), Some(two)) => {
                let revision = one.1.max(two.1);
                let order = |(revocation, revision): &(Arc<Revocation>, u64)| {
                    (revocation.until(), *revision, revocation.reason().as_str().to_owned())
                };
                let later = if order(&one) < order(&two) { two } else { one };
                Some((later.0, revision))
            }
            (one, two) => one.or(two),
        };
        Self { revoked, undone, kept_until: self.kept_until.max(other.kept_until) }
    }

    /// The revocation, if it was not taken back. It may have ended.
    pub(super) fn revocation(&self) -> Option<&Arc<Revocation>> {
        self.revoked.as_ref().map(|(revocation, _)| revocation)
    }

    /// The revocation, if it refuses somebody now.
    pub(super) fn active(&self, now: DateTime<Utc>) -> Option<&Arc<Revocation>> {
        self.revocation().filter(|revocation| revocation.is_active(now))
    }

    /// Until when the state matters: then all revocations of the name have ended.
    pub(super) fn kept_until(&self) -> DateTime<Utc> {
        self.kept_until
    }

    /// Another text for each other state.
    pub(super) fn statement(&self) -> String {
        let revoked = self.revoked.as_ref().map(|(revocation, revision)| {
            (revocation.until(), revocation.reason().as_str(), *revision)
        });
        format!("{:?}", (revoked, self.undone, self.kept_until))
    }

    pub(super) fn write(&self) -> SecretSlice<u8> {
        let revoked = self.revoked.as_ref().map(|(revocation, revision)| RevokedRecord {
            kind: revocation.what().kind().as_str().to_owned(),
            name: revocation.what().name(),
            until: revocation.until(),
            reason: revocation.reason().as_str().to_owned(),
            revision: *revision,
        });
        let record = StateRecord { revoked, undone: self.undone, kept_until: self.kept_until };
        serde_json::to_vec(&record).expect("text and times can be written").into()
    }

    /// A decrypted value may still fail to parse: another version may have written it.
    pub(super) fn read(plain: &SecretSlice<u8>) -> Option<Self> {
        let record: StateRecord = serde_json::from_slice(plain.expose_secret()).ok()?;
        let StateRecord { revoked, undone, kept_until } = record;
        let Some(RevokedRecord { kind, name, until, reason, revision }) = revoked else {
            return Some(Self { revoked: None, undone, kept_until });
        };
        let what = Revoked::parse(RevokedKind::named(&kind)?, &name).ok()?;
        let revocation = Revocation::accepted(what, until, Reason::try_from(reason).ok()?);
        Some(Self { revoked: Some((Arc::new(revocation), revision)), undone, kept_until })
    }
}

/// A state in Redis, before encryption. A new field needs a default, so that replicas of two versions can read it. One that was
/// taken back has no name.
#[derive(Deserialize, Serialize)]
struct StateRecord {
    revoked: Option<RevokedRecord>,
    undone: u64,
    kept_until: DateTime<Utc>,
}

#[derive(Deserialize, Serialize)]
struct RevokedRecord {
    kind: String,
    name: String,
    until: DateTime<Utc>,
    reason: String,
    revision: u64,
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn start() -> DateTime<Utc> {
        "2016-01-13T14:02:37Z".parse().unwrap()
    }

    fn revocation(hours: i64, reason: &str) -> Revocation {
        let what = Revoked::parse(RevokedKind::User, "company/alice").unwrap();
        let until = start() + TimeDelta::hours(hours);
        Revocation::new(what, until, reason.parse().unwrap(), start()).unwrap()
    }

    fn revoked(hours: i64, revision: u64) -> RevocationState {
        RevocationState::revoke(None, revocation(hours, "stolen"), revision)
    }

    /// Until when, in hours.
    fn hours(state: &RevocationState) -> Option<i64> {
        state.revocation().map(|one| (one.until() - start()).num_hours())
    }

    #[test]
    fn a_state_survives_write_and_read_and_other_values_are_none() {
        let state = revoked(12, 7);
        for state in [&state, &state.undo()] {
            assert_eq!(RevocationState::read(&state.write()).as_ref(), Some(state));
        }
        let shown = String::from_utf8(state.undo().write().expose_secret().to_vec()).unwrap();
        assert!(!shown.contains("alice") && !shown.contains("stolen"), "{shown}");
        for other in [
            "",
            "{}",
            r#"{"revoked":{"kind":"device","name":"a","until":"2016-01-13T14:02:37Z","reason":"","revision":1},"undone":0,"kept_until":"2016-01-13T14:02:37Z"}"#,
        ] {
            assert!(RevocationState::read(&other.as_bytes().to_vec().into()).is_none(), "{other}");
        }
    }

    #[test]
    fn an_extended_revocation_is_never_joined_to_its_shorter_end() {
        let short = revoked(1, 5);
        let extended = RevocationState::revoke(Some(&short), revocation(12, "worse"), 7);
        for joined in [short.join(&extended), extended.join(&short)] {
            assert_eq!((&joined, hours(&joined)), (&extended, Some(12)));
        }
    }

    #[test]
    fn what_was_taken_back_stays_so_and_a_shorter_revocation_after_it_is_shorter() {
        let long = revoked(12, 5);
        let undone = long.undo();
        assert_eq!(hours(&long.join(&undone)), None);
        // The clock of Redis was set back.
        let again = RevocationState::revoke(Some(&undone), revocation(1, ""), 2);
        assert_eq!(hours(&again.join(&long)), Some(1));
        assert_eq!(again.join(&long).kept_until(), long.kept_until());
    }

    fn any_state() -> impl Strategy<Value = RevocationState> {
        (1..6_i64, 1..6_u64, proptest::option::of(1..6_u64), any::<bool>()).prop_map(
            |(hours, revision, undone, is_first)| {
                let state = revoked(hours, revision);
                match undone {
                    Some(now) if is_first => {
                        state.join(&RevocationState::undo_unknown(now, start()))
                    }
                    Some(_) => state.undo(),
                    None => state,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_join_lifts_only_what_was_taken_back_and_the_order_does_not_matter(
            one in any_state(), two in any_state()
        ) {
            let joined = one.join(&two);
            prop_assert_eq!(&joined, &two.join(&one));
            prop_assert_eq!(&joined, &joined.join(&one));
            prop_assert_eq!(&joined, &joined.join(&two));
            for (state, other) in [(&one, &two), (&two, &one)] {
                let Some((revocation, revision)) = &state.revoked else { continue };
                let until = joined.revocation().map(|one| one.until());
                prop_assert!(until >= Some(revocation.until()) || other.undone >= *revision);
            }
        }
    }
}
