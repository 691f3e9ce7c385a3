//! Credentials that are kept, and how long they are good for what.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::time::Instant;

use super::key::Key;
use super::settings::Freshness;
use crate::audit::TokenFields;
use crate::telemetry::{self, Span};
use appserver_domain::Credentials;
use appserver_domain::clock::Moment;

/// Credentials, and when they were asked for.
///
/// Their life is what STS said, from its answer's date to their end: neither the duration that was asked for nor how far
/// this machine's clock is from STS's has a say. It is counted from the moment of asking, by whichever of our clocks
/// says that more has passed: see [`Clock`](appserver_domain::clock::Clock).
#[derive(Debug)]
pub(crate) struct Token {
    /// What it is kept by.
    key: Arc<Key>,
    credentials: Credentials,
    asked: Moment,
    /// What was left of its life then.
    left: Duration,
    life: Duration,
    origin: Origin,
    /// Set by the first hit, for only what is used is refreshed ahead; with the place of that request where it is
    /// traced, for then the refresh is, too. Boxed, because hardly any is.
    first_use: OnceLock<Option<Box<telemetry::SpanLink>>>,
    /// The part of an answer that is the same for everyone who gets this token.
    written: OnceLock<SecretString>,
    /// The same of its lines in the audit.
    audited: OnceLock<Arc<TokenFields>>,
}

/// Why a token was fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// Somebody needed it.
    Need,
    /// The one before was renewed ahead.
    Renewal,
    /// Another replica had it.
    Replica,
}

impl Token {
    /// Credentials that STS has just issued.
    pub(super) fn new(
        key: Arc<Key>,
        credentials: Credentials,
        asked: Moment,
        origin: Origin,
    ) -> Self {
        Self::with_left(key, credentials, asked, Duration::MAX, origin)
    }

    /// Credentials that another replica has had for a while.
    pub(super) fn of_replica(
        key: Arc<Key>,
        credentials: Credentials,
        asked: Moment,
        left: Duration,
    ) -> Self {
        Self::with_left(key, credentials, asked, left, Origin::Replica)
    }

    fn with_left(
        key: Arc<Key>,
        credentials: Credentials,
        asked: Moment,
        left: Duration,
        origin: Origin,
    ) -> Self {
        // `Credentials` cannot hold an end that is not after its beginning.
        let life =
            (credentials.expiration() - credentials.issued_at()).to_std().unwrap_or_default();
        Self {
            key,
            credentials,
            asked,
            left: left.min(life),
            life,
            origin,
            first_use: OnceLock::new(),
            written: OnceLock::new(),
            audited: OnceLock::new(),
        }
    }

    pub(super) fn key(&self) -> &Arc<Key> {
        &self.key
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The fixed part of an answer; `write` makes it for the first who asks.
    pub(crate) fn written(
        &self,
        write: impl FnOnce(&Credentials) -> SecretString,
    ) -> &SecretString {
        self.written.get_or_init(|| write(&self.credentials))
    }

    /// The fixed part of its lines in the audit; `write` makes it for the first who asks.
    pub(crate) fn audited(
        &self,
        write: impl FnOnce(&Credentials) -> TokenFields,
    ) -> &Arc<TokenFields> {
        self.audited.get_or_init(|| Arc::new(write(&self.credentials)))
    }

    /// What is left of its life.
    pub(super) fn remaining(&self, now: Moment) -> Duration {
        self.left.saturating_sub(now.since(self.asked))
    }

    /// Whether it has enough left to be handed out while STS is there to give another.
    pub(super) fn is_fresh(&self, now: Moment, freshness: &Freshness) -> bool {
        self.remaining(now) >= freshness.least(self.life)
    }

    /// Whether it is still worth having while STS gives none.
    pub(super) fn is_usable(&self, now: Moment, freshness: &Freshness) -> bool {
        self.remaining(now) > freshness.stale_remaining
    }

    /// Whether another replica fetched it.
    pub(super) fn is_of_replica(&self) -> bool {
        self.origin == Origin::Replica
    }

    /// Whether this is the first time that it is used again.
    pub(super) fn is_first_use(&self) -> bool {
        // The look keeps hits from writing to memory that they share.
        if self.is_used() {
            return false;
        }
        let origin = Span::current().and_then(|trace| trace.link_target()).map(Box::new);
        self.first_use.set(origin).is_ok()
    }

    pub(super) fn is_used(&self) -> bool {
        self.first_use.get().is_some()
    }

    /// The request of its first use, where that was traced.
    pub(super) fn first_traced(&self) -> Option<&telemetry::SpanLink> {
        self.first_use.get()?.as_deref()
    }

    /// When to renew it ahead, as a part of the time for which it is fresh.
    ///
    /// Tokens that somebody needed may have come in a wave, so their first renewals are spread over one whole
    /// period, 10 to 90 %. From then on each is renewed after 70 to 90 %: the wave stays flat. The last tenth is
    /// left for second tries. Another replica's token is mostly renewed by that replica, so it comes late too.
    pub(super) fn refresh_due(&self, freshness: &Freshness, spread: f64) -> Instant {
        let fresh_for = self.left.saturating_sub(freshness.least(self.life));
        let part = match self.origin {
            Origin::Need => 0.1 + 0.8 * spread,
            Origin::Renewal | Origin::Replica => 0.7 + 0.2 * spread,
        };
        self.asked.monotonic() + fresh_for.mul_f64(part)
    }

    /// When who gets it now should come back, by STS's clock.
    ///
    /// The moment lies where 97 to 75 % of the least remainder are left: past the point from which a new token is
    /// handed out (coming earlier would bring the same one again), and before SDKs discard theirs, of an hour with
    /// 15 minutes left. The quarter is wide on purpose: everyone who shares the token is spread over it, however
    /// close together they came. A token that has less, because STS fails, is to be changed as soon as that may
    /// be over: after a quarter to half of what is left.
    pub(super) fn refresh_after(
        &self,
        now: Moment,
        freshness: &Freshness,
        spread: f64,
    ) -> DateTime<Utc> {
        let (remaining, least) = (self.remaining(now), freshness.least(self.life));
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
    use crate::vend::key::KeyHashing;
    use crate::vend::tests::session;
    use appserver_domain::{AssumedRoleUser, Fingerprint};

    const HALF: Freshness =
        Freshness { min_remaining: None, stale_remaining: Duration::from_secs(300) };

    /// An hour for the session of this name, as if it had just come from STS.
    pub(in crate::vend) fn a_token(hashing: &KeyHashing, name: &str) -> Arc<Token> {
        Arc::new(token_for(hashing, name, 3600))
    }

    fn token(life_secs: i64) -> Token {
        token_for(&KeyHashing::default(), "device", life_secs)
    }

    fn token_for(hashing: &KeyHashing, name: &str, life_secs: i64) -> Token {
        let holder = GrantHolder { client: "app-one".parse().unwrap(), grant: Fingerprint::of([]) };
        let key = hashing.seek(&session(name), &holder).to_key();
        let issued_at: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        let credentials = Credentials::new(
            "STS.1".into(),
            "secret".into(),
            "token".into(),
            issued_at,
            issued_at + TimeDelta::seconds(life_secs),
            AssumedRoleUser { arn: String::new(), id: String::new() },
        );
        Token::new(key, credentials.unwrap(), now(), Origin::Need)
    }

    pub(in crate::vend) fn now() -> Moment {
        Moment::at("2016-01-13T14:02:37Z".parse().unwrap())
    }

    fn at(token: &Token, secs: u64) -> Moment {
        token.asked.moved(TimeDelta::seconds(secs as i64), Duration::from_secs(secs))
    }

    /// The ways in which so much time passes at the most: both clocks go, one stands, the wall clock is set back.
    fn ways(token: &Token, secs: u64) -> [Moment; 4] {
        let (wall, monotonic) = (TimeDelta::seconds(secs as i64), Duration::from_secs(secs));
        [
            token.asked.moved(wall, monotonic),
            token.asked.moved(wall, Duration::ZERO),
            token.asked.moved(TimeDelta::zero(), monotonic),
            token.asked.moved(-wall, monotonic),
        ]
    }

    /// T11, T47: the ages up to which tokens are fresh, and up to which they are usable.
    #[test]
    fn fresh_is_half_of_the_life_and_valid_is_more_than_five_minutes() {
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
    fn a_token_that_is_over_or_close_to_it_is_neither_fresh_nor_usable() {
        let token = token(250);
        for secs in [0, 249, 250, 251, 1_000_000] {
            for now in ways(&token, secs) {
                assert!(!token.is_fresh(now, &HALF) && !token.is_usable(now, &HALF), "{secs}");
            }
        }
    }

    #[test]
    fn devices_come_back_when_there_is_a_new_token_and_before_their_sdks_want_one() {
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
