//! What is known of one name in the shared list: until when it is revoked, and which of its revocations were taken back.
//!
//! Replicas and Redis may each have lost what the other has. Two states of one name are joined, and never does one overwrite the
//! other. Each revocation has a revision of its own, and only what names it takes it back: no clock decides about that.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};

use super::entry::{Reason, Revocation};
use super::revoked::{Revoked, RevokedKind};

/// The revisions of a state that are valid. There is one, or some of revocations that did not know of each other.
const MOST_VALID: usize = 16;
/// Those that were taken back. If there are more, an old one that nobody remembers is valid again where Redis is restored.
const MOST_UNDONE: usize = 48;
/// The bits of a revision that are random. Those above are a time in milliseconds.
const RANDOM_BITS: u32 = 20;

/// The state of one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct RevocationState {
    /// `None` if all were taken back. Of several the one that ends last.
    revoked: Option<Arc<Revocation>>,
    /// The revisions of all revocations that were not taken back; empty if there is none.
    valid: BTreeSet<u64>,
    /// The revisions that were taken back.
    undone: BTreeSet<u64>,
    /// The latest end of all revocations that the name had: after it, nobody can have one of them any more.
    kept_until: DateTime<Utc>,
}

impl RevocationState {
    /// The state after a revocation. It replaces the one before, unless that ends later.
    pub(super) fn revoke(
        before: Option<&Self>,
        revocation: Revocation,
        now: DateTime<Utc>,
    ) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        // The time only sorts revisions: where there are too many, the oldest are forgotten.
        let next = before.map_or(0, |before| before.last_revision().saturating_add(1));
        let random: u64 = rand::random_range(0..1 << RANDOM_BITS);
        let revision = (millis << RANDOM_BITS).max(next).saturating_add(random);
        let state = Self::of(revocation, revision);
        let Some(before) = before else { return state };
        let is_longer = before.revocation().is_some_and(|held| held.until() > state.kept_until);
        if is_longer { before.join(&state) } else { before.undo().join(&state) }
    }

    fn of(revocation: Revocation, revision: u64) -> Self {
        let kept_until = revocation.until();
        let (revoked, valid) = (Some(Arc::new(revocation)), BTreeSet::from([revision]));
        Self { revoked, valid, undone: BTreeSet::new(), kept_until }
    }

    /// The state after all revocations that are known here are taken back. One that is not known here stays: it may be a later
    /// one.
    pub(super) fn undo(&self) -> Self {
        let undone = newest(&self.undone | &self.valid, MOST_UNDONE);
        Self { revoked: None, valid: BTreeSet::new(), undone, kept_until: self.kept_until }
    }

    /// The state in place of something that nobody can read. Who knows what it was puts that back.
    pub(super) fn unknown(kept_until: DateTime<Utc>) -> Self {
        let (valid, undone) = (BTreeSet::new(), BTreeSet::new());
        Self { revoked: None, valid, undone, kept_until }
    }

    pub(super) fn last_revision(&self) -> u64 {
        let last = |revisions: &BTreeSet<u64>| revisions.last().copied().unwrap_or_default();
        last(&self.valid).max(last(&self.undone))
    }

    /// What is known of the name by both. It errs on the side of a revocation.
    pub(super) fn join(&self, other: &Self) -> Self {
        let undone = newest(&self.undone | &other.undone, MOST_UNDONE);
        let valid = |state: &Self| &state.valid - &undone;
        let [one, two] = [self, other].map(valid);
        let held = [(self, &one), (other, &two)].into_iter().filter(|(_, valid)| !valid.is_empty());
        let revoked = held.filter_map(|(state, valid)| Some((state.revoked.as_ref()?, valid)));
        let revoked = revoked.max_by_key(|(revocation, valid)| {
            (revocation.until(), valid.last().copied(), revocation.reason().as_str())
        });
        let revoked = revoked.map(|(revocation, _)| Arc::clone(revocation));
        let valid = newest(&one | &two, MOST_VALID);
        Self { revoked, valid, undone, kept_until: self.kept_until.max(other.kept_until) }
    }

    /// The revocation, if it was not taken back. It may have ended.
    pub(super) fn revocation(&self) -> Option<&Arc<Revocation>> {
        self.revoked.as_ref()
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
        let revoked = self.revocation().map(|held| (held.until(), held.reason().as_str()));
        format!("{:?}", (revoked, &self.valid, &self.undone, self.kept_until))
    }

    pub(super) fn write(&self) -> SecretSlice<u8> {
        let revoked = self.revocation().map(|revocation| RevokedRecord {
            kind: revocation.what().kind().as_str().to_owned(),
            name: revocation.what().name(),
            until: revocation.until(),
            reason: revocation.reason().as_str().to_owned(),
            revisions: self.valid.clone(),
        });
        let (undone, kept_until) = (self.undone.clone(), self.kept_until);
        let record = StateRecord { revoked, undone, kept_until };
        serde_json::to_vec(&record).expect("text and times can be written").into()
    }

    /// A decrypted value may still fail to parse: another version may have written it.
    pub(super) fn read(plain: &SecretSlice<u8>) -> Option<Self> {
        let record: StateRecord = serde_json::from_slice(plain.expose_secret()).ok()?;
        let StateRecord { revoked, undone, kept_until } = record;
        let Some(RevokedRecord { kind, name, until, reason, revisions }) = revoked else {
            return Some(Self { undone, ..Self::unknown(kept_until) });
        };
        let what = Revoked::parse(RevokedKind::named(&kind)?, &name).ok()?;
        let revocation = Revocation::accepted(what, until, Reason::try_from(reason).ok()?);
        let is_valid = !revisions.is_empty() && revisions.is_disjoint(&undone);
        let revoked = Some(Arc::new(revocation));
        is_valid.then_some(Self { revoked, valid: revisions, undone, kept_until })
    }
}

fn newest(mut revisions: BTreeSet<u64>, most: usize) -> BTreeSet<u64> {
    while revisions.len() > most {
        revisions.pop_first();
    }
    revisions
}

/// A state in Redis, before encryption. A new field needs a default, so that replicas of two versions can read it. One that was
/// taken back has no name.
#[derive(Deserialize, Serialize)]
struct StateRecord {
    revoked: Option<RevokedRecord>,
    undone: BTreeSet<u64>,
    kept_until: DateTime<Utc>,
}

#[derive(Deserialize, Serialize)]
struct RevokedRecord {
    kind: String,
    name: String,
    until: DateTime<Utc>,
    reason: String,
    revisions: BTreeSet<u64>,
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
        RevocationState::of(revocation(hours, "stolen"), revision)
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
            r#"{"revoked":{"kind":"issuer","name":"a","until":"2016-01-13T14:02:37Z","reason":"","revisions":[]},"undone":[],"kept_until":"2016-01-13T14:02:37Z"}"#,
            r#"{"revoked":{"kind":"issuer","name":"a","until":"2016-01-13T14:02:37Z","reason":"","revisions":[1]},"undone":[1],"kept_until":"2016-01-13T14:02:37Z"}"#,
            r#"{"revoked":{"kind":"device","name":"a","until":"2016-01-13T14:02:37Z","reason":"","revisions":[1]},"undone":[],"kept_until":"2016-01-13T14:02:37Z"}"#,
        ] {
            assert!(RevocationState::read(&other.as_bytes().to_vec().into()).is_none(), "{other}");
        }
    }

    #[test]
    fn an_extended_revocation_is_never_joined_to_its_shorter_end() {
        let short = revoked(1, 5);
        let extended = RevocationState::revoke(Some(&short), revocation(12, "worse"), start());
        for joined in [short.join(&extended), extended.join(&short)] {
            assert_eq!((&joined, hours(&joined)), (&extended, Some(12)));
        }
    }

    #[test]
    fn what_was_taken_back_stays_so_and_a_shorter_revocation_after_it_is_shorter() {
        let long = revoked(12, 5);
        let undone = long.undo();
        assert_eq!(hours(&long.join(&undone)), None);
        // The clock was set back.
        let past = start() - TimeDelta::days(9_000);
        let again = RevocationState::revoke(Some(&undone), revocation(1, ""), past);
        assert_eq!(hours(&again.join(&long)), Some(1));
        assert_eq!(again.join(&long).kept_until(), long.kept_until());
    }

    #[test]
    fn what_was_taken_back_lifts_nothing_that_it_does_not_name() {
        let undone = revoked(12, u64::MAX).undo();
        let later = revoked(1, 5);
        for joined in [undone.join(&later), later.join(&undone)] {
            assert_eq!(hours(&joined), Some(1));
            assert_eq!(hours(&joined.undo().join(&later)), None);
        }
        // One that is shorter takes nothing back.
        let both = RevocationState::revoke(Some(&revoked(12, 5)), revocation(1, ""), start());
        assert_eq!(hours(&both), Some(12));
        assert_eq!(hours(&both.undo().join(&revoked(12, 5))), None);
    }

    #[test]
    fn the_largest_state_is_smaller_than_what_a_value_may_be() {
        let what = Revoked::parse(RevokedKind::Jti, &"\"".repeat(512)).unwrap();
        let reason = "\u{1F600}".repeat(200).parse().unwrap();
        let revocation = Revocation::new(what, start(), reason, start()).unwrap();
        let mut state = RevocationState::of(revocation.clone(), u64::MAX);
        for number in 1..100 {
            let revision = u64::MAX - number;
            let other = RevocationState::of(revocation.clone(), revision);
            let undone = RevocationState::of(revocation.clone(), revision / 2).undo();
            state = state.join(&other).join(&undone);
        }
        assert_eq!((state.valid.len(), state.undone.len()), (MOST_VALID, MOST_UNDONE));
        let bytes = state.write().expose_secret().len();
        assert!(bytes < 4_000, "{bytes}");
    }

    fn any_state() -> impl Strategy<Value = RevocationState> {
        (1..6_i64, 1..6_u64, proptest::option::of(1..6_u64), any::<bool>()).prop_map(
            |(hours, revision, undone, is_first)| {
                let state = revoked(hours, revision);
                match undone {
                    Some(undone) if is_first => state.join(&revoked(hours, undone).undo()),
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
                let Some(revocation) = state.revocation() else { continue };
                let until = joined.revocation().map(|one| one.until());
                let is_undone = state.valid.iter().any(|one| other.undone.contains(one));
                prop_assert!(until >= Some(revocation.until()) || is_undone);
            }
        }
    }
}
