//! Cached credentials and the rules for how long they may be handed out.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::attachments::Attachments;
use super::key::Key;
use crate::sts::InlinePolicy;
use crate::telemetry::{self, Span};
use crate::vend::settings::Freshness;
use appserver_domain::Credentials;
use appserver_domain::clock::Moment;

/// Credentials and the time of their request.
///
/// Their lifetime is what STS answered, from the answer's date to the expiration: neither the requested duration nor the
/// offset between the clocks of this machine and STS matters. It counts from the request, by whichever of the local
/// clocks says that more time has passed: see [`Clock`](appserver_domain::clock::Clock).
#[derive(Debug)]
pub(crate) struct Token {
    /// What it is cached under.
    key: Arc<Key>,
    credentials: Credentials,
    requested_at: Moment,
    /// What was left of its lifetime at `requested_at`.
    left: Duration,
    lifetime: Duration,
    origin: TokenOrigin,
    /// Whether it is of a grant's own session, whose credentials sign what is valid for up to half of their lifetime.
    signs: bool,
    /// Set by the first hit: only tokens that are used are refreshed ahead. It holds the span of that request if it is
    /// traced, because the refresh is then traced too. Boxed, because few requests are traced.
    first_use: OnceLock<Option<Box<telemetry::SpanLink>>>,
    attachments: Attachments,
}

/// Why a token was fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::vend) enum TokenOrigin {
    /// A caller needed it.
    Miss,
    /// It was refreshed ahead of need.
    Refresh,
    /// Another replica fetched it.
    Replica,
}

/// How a caller got its token, for the audit log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TokenSource {
    /// From this replica's cache, fresh.
    Cached,
    /// From STS: this request called, or shared the call.
    Issued,
    /// From another replica.
    Shared,
    /// From this replica's cache, no longer fresh, because no other token was available.
    Stale,
}

impl TokenSource {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cached => "Cached",
            Self::Issued => "Issued",
            Self::Shared => "Shared",
            Self::Stale => "Stale",
        }
    }
}

/// OSS takes a date that is 15 minutes ahead; clocks that are kept in step never differ by this much.
const MAX_WALL_LEAD: Duration = Duration::from_mins(1);

/// The least pause before a failed refresh is tried again, spread up to twice as long.
const REFRESH_RETRY: Duration = Duration::from_secs(10);

impl Token {
    /// Credentials that STS has just issued.
    pub(in crate::vend) fn new(
        key: Arc<Key>,
        credentials: Credentials,
        requested_at: Moment,
        origin: TokenOrigin,
    ) -> Self {
        Self::with_left(key, credentials, requested_at, Duration::MAX, origin)
    }

    /// Credentials that another replica fetched, with `left` of their lifetime.
    pub(in crate::vend) fn of_replica(
        key: Arc<Key>,
        credentials: Credentials,
        requested_at: Moment,
        left: Duration,
    ) -> Self {
        Self::with_left(key, credentials, requested_at, left, TokenOrigin::Replica)
    }

    fn with_left(
        key: Arc<Key>,
        credentials: Credentials,
        requested_at: Moment,
        left: Duration,
        origin: TokenOrigin,
    ) -> Self {
        // `Credentials` always expire after they were issued.
        let lifetime =
            (credentials.expiration() - credentials.issued_at()).to_std().unwrap_or_default();
        Self {
            signs: matches!(key.session().policy, InlinePolicy::Grant(_)),
            key,
            credentials,
            requested_at,
            left: left.min(lifetime),
            lifetime,
            origin,
            first_use: OnceLock::new(),
            attachments: Attachments::default(),
        }
    }

    pub(in crate::vend) fn key(&self) -> &Arc<Key> {
        &self.key
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What another layer derived from the credentials; `make` creates it for the first caller. There is one value of
    /// each type, and it lives as long as the token.
    pub(crate) fn attachment<T: Any + Send + Sync>(
        &self,
        make: impl FnOnce(&Credentials) -> T,
    ) -> &T {
        self.attachments.get_or_init(|| make(&self.credentials))
    }

    /// How long it is still valid.
    pub(in crate::vend) fn remaining(&self, now: Moment) -> Duration {
        self.left.saturating_sub(now.since(self.requested_at))
    }

    /// Whether it is valid long enough to be handed out while STS can issue another.
    pub(in crate::vend) fn is_fresh(&self, now: Moment, freshness: &Freshness) -> bool {
        self.remaining(now) >= self.least(freshness) && !(self.signs && self.has_unsure_age(now))
    }

    /// Whether signatures could get a wrong date by it: they are dated by the session's age, and the clocks disagree on
    /// that. A new answer of STS, or of Redis, has the right one.
    fn has_unsure_age(&self, now: Moment) -> bool {
        now.wall_lead(self.requested_at) > MAX_WALL_LEAD
    }

    /// The minimum remaining lifetime of a fresh token.
    fn least(&self, freshness: &Freshness) -> Duration {
        let least = freshness.least(self.lifetime);
        if self.signs { least.max(self.lifetime / 2) } else { least }
    }

    /// Whether it may be handed out while STS fails.
    pub(in crate::vend) fn is_usable(&self, now: Moment, freshness: &Freshness) -> bool {
        self.remaining(now) > freshness.stale_remaining
    }

    /// Whether another replica fetched it.
    pub(in crate::vend) fn is_of_replica(&self) -> bool {
        self.origin == TokenOrigin::Replica
    }

    /// Marks the token as used; true for the first use after the one it was fetched for.
    pub(in crate::vend) fn is_first_use(&self) -> bool {
        // Read first: hits must not write to shared memory.
        if self.is_used() {
            return false;
        }
        let origin = Span::current().and_then(|span| span.link_target()).map(Box::new);
        self.first_use.set(origin).is_ok()
    }

    pub(in crate::vend) fn is_used(&self) -> bool {
        self.first_use.get().is_some()
    }

    /// The request of its first use, if that was traced.
    pub(in crate::vend) fn first_traced(&self) -> Option<&telemetry::SpanLink> {
        self.first_use.get()?.as_deref()
    }

    /// When to refresh it ahead, as a fraction of the time for which it is fresh.
    ///
    /// Tokens fetched on a miss may have come in a wave, so their first refreshes are spread over 10 to 90 % of that
    /// time. Every later refresh comes after 70 to 90 %, which keeps the wave flat. The last tenth is left for second
    /// attempts. A token of another replica is mostly refreshed by that replica, so it is due late as well.
    pub(in crate::vend) fn refresh_due(&self, freshness: &Freshness, spread: f64) -> Instant {
        let fresh_for = self.left.saturating_sub(self.least(freshness));
        let fraction = match self.origin {
            TokenOrigin::Miss => 0.1 + 0.8 * spread,
            TokenOrigin::Refresh | TokenOrigin::Replica => 0.7 + 0.2 * spread,
        };
        self.requested_at.monotonic() + fresh_for.mul_f64(fraction)
    }

    /// When a refresh that has just failed is tried again: after an eighth to a quarter of the time in which the token is
    /// still fresh. Thousands of tokens for which the budget has no share for hours would ask it all the time otherwise.
    pub(in crate::vend) fn refresh_retry(
        &self,
        now: Moment,
        freshness: &Freshness,
        spread: f64,
    ) -> Instant {
        let fresh_for = self.remaining(now).saturating_sub(self.least(freshness));
        now.monotonic() + (fresh_for / 8).max(REFRESH_RETRY).mul_f64(1.0 + spread)
    }

    /// When a caller that gets the token now should ask again, by STS's clock.
    ///
    /// At that time 97 to 75 % of the minimum remainder are left: a new token is already available (an earlier request
    /// would return the same one), and SDKs have not discarded theirs yet, which they do with 15 minutes of an hour
    /// left. The range is wide on purpose: callers that share the token are spread over it, however close together
    /// they asked. A token with less, because STS fails, is to be replaced as soon as STS may be back: after a quarter
    /// to half of what is left.
    pub(in crate::vend) fn refresh_after(
        &self,
        now: Moment,
        freshness: &Freshness,
        spread: f64,
    ) -> DateTime<Utc> {
        let (remaining, least) = (self.remaining(now), self.least(freshness));
        let left_then = if remaining >= least {
            least.mul_f64(0.97 - 0.22 * spread)
        } else {
            remaining.mul_f64(0.75 - 0.25 * spread)
        };
        self.credentials.expiration() - left_then
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::vend::GrantHolder;
    use crate::vend::cache::KeyHashing;
    use crate::vend::tests::{holder, session};
    use appserver_domain::AssumedRoleUser;

    const HALF: Freshness =
        Freshness { min_remaining: None, stale_remaining: Duration::from_mins(5) };

    /// A token of one hour for the session of this name, as if STS had just issued it.
    pub(in crate::vend) fn a_token(hashing: &KeyHashing, name: &str) -> Arc<Token> {
        Arc::new(token_for(hashing, &holder("app-one"), name, 3600))
    }

    fn token(life_secs: i64) -> Token {
        token_for(&KeyHashing::default(), &holder("app-one"), "device", life_secs)
    }

    pub(in crate::vend) fn token_for(
        hashing: &KeyHashing,
        holder: &GrantHolder,
        name: &str,
        life_secs: i64,
    ) -> Token {
        let key = hashing.key_of(session(name).role_session(), holder).to_key();
        let issued_at: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        let credentials = Credentials::new(
            "STS.1".into(),
            "secret".into(),
            "token".into(),
            issued_at,
            issued_at + TimeDelta::seconds(life_secs),
            AssumedRoleUser { arn: String::new(), id: String::new() },
        );
        Token::new(key, credentials.unwrap(), now(), TokenOrigin::Miss)
    }

    pub(in crate::vend) fn now() -> Moment {
        Moment::at("2016-01-13T14:02:37Z".parse().unwrap())
    }

    fn at(token: &Token, secs: u64) -> Moment {
        token.requested_at.moved(TimeDelta::seconds(secs.cast_signed()), Duration::from_secs(secs))
    }

    /// The ways in which at most this much time passes: both clocks run, one stops, the wall clock is set back.
    fn ways(token: &Token, secs: u64) -> [Moment; 4] {
        let (wall, monotonic) = (TimeDelta::seconds(secs.cast_signed()), Duration::from_secs(secs));
        [
            token.requested_at.moved(wall, monotonic),
            token.requested_at.moved(wall, Duration::ZERO),
            token.requested_at.moved(TimeDelta::zero(), monotonic),
            token.requested_at.moved(-wall, monotonic),
        ]
    }

    /// The ages up to which tokens are fresh, and up to which they are usable.
    #[test]
    fn a_token_is_fresh_for_half_of_its_lifetime_and_usable_until_five_minutes_are_left() {
        let fixed = |secs| Freshness { min_remaining: Some(Duration::from_secs(secs)), ..HALF };
        for (life, freshness, fresh_until, usable_until) in [
            (3600, HALF, 1800, 3299),
            (43200, HALF, 21600, 42899),
            (900, HALF, 450, 599),
            (400, HALF, 100, 99),
            (3600, fixed(2700), 900, 3299),
            (3600, fixed(3600), 900, 3299),
            (3600, fixed(60), 3300, 3299),
        ] {
            let token = token(life);
            let fresh = |secs| ways(&token, secs).map(|now| token.is_fresh(now, &freshness));
            let usable = |secs| ways(&token, secs).map(|now| token.is_usable(now, &freshness));
            assert_eq!(fresh(fresh_until), [true; 4], "{life} s, {freshness:?}");
            assert_eq!(fresh(fresh_until + 1), [false; 4], "{life} s, {freshness:?}");
            assert_eq!(usable(usable_until), [true; 4], "{life} s, {freshness:?}");
            assert_eq!(usable(usable_until + 1), [false; 4], "{life} s, {freshness:?}");
        }
    }

    #[test]
    fn a_token_that_has_expired_or_is_about_to_is_neither_fresh_nor_usable() {
        let token = token(250);
        for secs in [0, 249, 250, 251, 1_000_000] {
            for now in ways(&token, secs) {
                assert!(!token.is_fresh(now, &HALF) && !token.is_usable(now, &HALF), "{secs}");
            }
        }
    }

    /// tests/chaos counts a second call within 170 s as a repetition.
    #[test]
    fn a_refresh_comes_after_three_minutes_of_an_hour_and_after_21_from_the_second_on() {
        for (origin, first, last) in [
            (TokenOrigin::Miss, 180, 1620),
            (TokenOrigin::Refresh, 1260, 1620),
            (TokenOrigin::Replica, 1260, 1620),
        ] {
            let token = Token { origin, ..token(3600) };
            let due = [0.0, 1.0].map(|spread| {
                let due = token.refresh_due(&HALF, spread);
                (due - token.requested_at.monotonic()).as_secs_f64().round()
            });
            assert_eq!(due, [f64::from(first), f64::from(last)], "{origin:?}");
        }
    }

    #[test]
    fn a_failed_refresh_is_tried_again_the_sooner_the_less_fresh_time_is_left() {
        for (life, age, first, last) in [
            (3600, 600, 150, 300),
            (3600, 1640, 20, 40),
            (3600, 1750, 10, 20),
            (3600, 1900, 10, 20),
            (43200, 3600, 2250, 4500),
        ] {
            let token = token(life);
            let now = at(&token, age);
            let pauses = [0.0, 1.0].map(|spread| {
                (token.refresh_retry(now, &HALF, spread) - now.monotonic()).as_secs()
            });
            assert_eq!(pauses, [first, last], "{life} s at {age} s");
        }
    }

    #[test]
    fn refresh_after_is_after_a_new_token_is_available_and_before_sdks_discard_the_old_one() {
        for (life, age, first, last) in [
            (3600, 0, 1854, 2250),
            (3600, 1800, 1854, 2250),
            (900, 0, 463, 562),
            // STS is failing: 1000 s and 400 s are left.
            (3600, 2600, 2850, 3100),
            (3600, 3200, 3300, 3400),
        ] {
            let token = token(life);
            let after = [0.0, 1.0].map(|spread| {
                let after = token.refresh_after(at(&token, age), &HALF, spread);
                (after - token.credentials.issued_at()).num_seconds()
            });
            assert_eq!(after, [first, last], "{life} s at {age} s");
        }
    }
}
