//! Asks a source again before its credentials end. One task: there is never more than one request under way.
//!
//! New credentials are due when a third of the life is left, and are published; the old ones stay in use meanwhile. A source
//! that hands out the same ones until shortly before their end, as instance metadata does, is asked each minute then.

use std::time::Duration;

use tokio::time::sleep;

use super::error::FetchError;
use crate::backoff::{Backoff, jittered};
use crate::telemetry::{IdentityMetrics, IdentityRenewal, causes};
use appserver_domain::clock::{Clock, Stamp};
use appserver_domain::{SigningCredentials, UpstreamName};

/// The pauses after failures. Replicas that failed together do not return together.
const AFTER_FAILURE: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1), 0.5);
/// The pause after the same credentials as before.
const UNCHANGED: Duration = Duration::from_mins(1);
/// The part by which waits are shortened at random.
const JITTER: f64 = 0.05;
/// The longest pause after a failure while no credentials are left: callers are refused.
const WITHOUT_CREDENTIALS: Duration = Duration::from_secs(5);
/// No pause is shorter, however little is left.
const SHORTEST: Duration = Duration::from_secs(1);
/// How often a long wait looks at the clocks: the monotonic one stops while the machine is suspended.
const LOOK: Duration = Duration::from_secs(30);

/// The renewal of one identity.
#[derive(Debug)]
pub(crate) struct Renewal {
    clock: Clock,
    /// Named in log lines.
    upstream: UpstreamName,
    metrics: IdentityMetrics,
    /// The last credentials of the source.
    present: Option<SigningCredentials>,
    /// Consecutive ones.
    failures: u32,
}

impl Renewal {
    pub(crate) fn new(clock: Clock, upstream: UpstreamName, metrics: IdentityMetrics) -> Self {
        Self { clock, upstream, metrics, present: None, failures: 0 }
    }

    /// Asks at once and then before the credentials end, and never returns. Everything that the source hands out is published, unchanged credentials too:
    /// the rest of their life may be known better by now.
    pub(crate) async fn run<F>(
        mut self,
        fetch: impl Fn() -> F,
        publish: impl Fn(SigningCredentials),
    ) where
        F: Future<Output = Result<SigningCredentials, FetchError>>,
    {
        loop {
            let pause = match fetch().await {
                Ok(credentials) => {
                    let pause = self.succeeded(&credentials);
                    publish(credentials);
                    pause
                }
                Err(error) => self.failed(&error),
            };
            self.wait(pause).await;
        }
    }

    /// Keeps the credentials, and returns the pause until the next renewal.
    fn succeeded(&mut self, credentials: &SigningCredentials) -> Duration {
        self.failures = 0;
        let left = credentials.left(self.clock.moment()).unwrap_or_default();
        let is_unchanged = self.present.as_ref() == Some(credentials);
        self.present = Some(credentials.clone());
        if is_unchanged {
            self.metrics.renewed(IdentityRenewal::Unchanged);
            return jittered(UNCHANGED.min(left / 2), JITTER).max(SHORTEST);
        }
        self.metrics.renewed(IdentityRenewal::Renewed);
        let expires_at = credentials.expiration().map(Stamp::of);
        tracing::info!(
            upstream.name = self.upstream.name_unless_default(),
            access_key.id = %credentials.id(),
            access_key.expires_at = expires_at.as_ref().map(Stamp::as_str),
            "new credentials from the source of the upstream identity"
        );
        // A third of the life is left then.
        jittered(left * 2 / 3, JITTER).max(SHORTEST)
    }

    fn failed(&mut self, error: &FetchError) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.metrics.renewed(IdentityRenewal::Failed);
        let now = self.clock.moment();
        let left = self.present.as_ref().and_then(|present| present.left(now));
        let left = left.filter(|left| !left.is_zero());
        let consequence = match (left, &self.present) {
            (Some(_), _) => "the last credentials are used to their end",
            (None, Some(_)) => "the last credentials have expired",
            (None, None) => "there have been no credentials yet",
        };
        tracing::warn!(
            upstream.name = self.upstream.name_unless_default(),
            error.kind = error.kind(),
            error.cause = causes(error),
            access_key.left_secs = left.map(|left| left.as_secs()),
            "renewing the upstream identity failed; {consequence}: {error}"
        );
        // Not sooner even if no credentials are left: a proxy may lock a user who sends a wrong password often.
        if error.is_proxy_authentication() {
            return AFTER_FAILURE.wait_after(self.failures);
        }
        let longest = (left.unwrap_or_default() / 2).max(WITHOUT_CREDENTIALS);
        AFTER_FAILURE.at_most(longest).wait_after(self.failures)
    }

    async fn wait(&self, pause: Duration) {
        let began = self.clock.moment();
        loop {
            let left = pause.saturating_sub(self.clock.moment().since(began));
            if left.is_zero() {
                return;
            }
            sleep(left.min(LOOK)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use chrono::{DateTime, TimeDelta, Utc};
    use tokio::time::Instant;

    use super::*;
    use crate::outbound::ProxyError;
    use crate::sts::StsError;
    use crate::telemetry::Metrics;

    /// A source in virtual time: the wall clock stands still, and tokio's moves.
    #[derive(Clone)]
    struct World {
        start: Instant,
        clock: Clock,
        /// What it answers at a second since the start.
        source: Arc<dyn Fn(u64) -> Answer + Send + Sync>,
        /// The seconds at which it was asked.
        asked: Arc<Mutex<Vec<u64>>>,
        /// The published credentials, with the second.
        published: Arc<Mutex<Vec<(u64, SigningCredentials)>>>,
        metrics: Arc<Metrics>,
    }

    enum Answer {
        /// Credentials of this number that end at this second.
        Until(u64, u64),
        Fails,
        Slow(Duration),
        WrongProxyPassword,
    }

    const EPOCH: &str = "2016-01-13T14:00:00Z";

    impl World {
        fn new(source: impl Fn(u64) -> Answer + Send + Sync + 'static) -> Self {
            Self {
                start: Instant::now(),
                clock: Clock::manual(EPOCH.parse().unwrap()),
                source: Arc::new(source),
                asked: Arc::default(),
                published: Arc::default(),
                metrics: Arc::new(Metrics::new()),
            }
        }

        fn now(&self) -> u64 {
            self.start.elapsed().as_secs()
        }

        async fn fetch(self) -> Result<SigningCredentials, FetchError> {
            let now = self.now();
            self.asked.lock().unwrap().push(now);
            let at = |secs: u64| -> DateTime<Utc> {
                EPOCH.parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(secs.cast_signed())
            };
            match (self.source)(now) {
                Answer::Until(number, end) => Ok(SigningCredentials::temporary(
                    &format!("STS.{number}"),
                    "secret".into(),
                    "token".into(),
                    at(end),
                    at(now),
                    self.clock.moment(),
                )?),
                Answer::Fails => Err(FetchError::Status(500)),
                Answer::WrongProxyPassword => {
                    let proxy = "http://proxy.example.com:3128".to_owned().try_into().unwrap();
                    let error = ProxyError::Authentication { proxy };
                    Err(FetchError::Sts(StsError::Proxy(error)))
                }
                Answer::Slow(for_long) => {
                    sleep(for_long).await;
                    Err(FetchError::TimedOut)
                }
            }
        }

        /// Runs the renewal for so long.
        async fn run(&self, for_long: Duration) {
            let renewal = Renewal::new(
                self.clock.clone(),
                UpstreamName::default(),
                self.metrics.identity.clone(),
            );
            let fetch = || self.clone().fetch();
            let publish = |credentials| {
                self.published.lock().unwrap().push((self.now(), credentials));
            };
            let _ = tokio::time::timeout(for_long, renewal.run(fetch, publish)).await;
        }

        /// The ids that were published, each with the second at which it first was.
        fn new_ones(&self) -> Vec<(u64, String)> {
            let mut first = BTreeMap::new();
            for (at, credentials) in self.published.lock().unwrap().iter() {
                first.entry(credentials.id().to_string()).or_insert(*at);
            }
            first.into_iter().map(|(id, at)| (at, id)).collect()
        }

        /// The longest time without published credentials that have ten seconds left, the beginning excluded.
        fn longest_gap(&self, until: u64) -> u64 {
            let published = self.published.lock().unwrap();
            let (mut covered, mut gap) = (published[0].0, 0);
            for (at, credentials) in &*published {
                gap = gap.max(at.saturating_sub(covered));
                let end =
                    credentials.expiration().unwrap() - EPOCH.parse::<DateTime<Utc>>().unwrap();
                covered = covered.max(end.num_seconds().cast_unsigned() - 10);
            }
            gap.max(until.saturating_sub(covered))
        }

        fn count(&self, outcome: &str) -> u64 {
            let name =
                format!("appserver_upstream_identity_renewals_total{{outcome=\"{outcome}\"}} ");
            let text = self.metrics.encoded();
            text.lines().find_map(|line| line.strip_prefix(&*name)).unwrap().parse().unwrap()
        }
    }

    const HOUR: u64 = 3600;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_are_renewed_with_a_third_of_their_life_left() {
        let world = World::new(|now| Answer::Until(now, now + HOUR));
        world.run(secs(6 * HOUR)).await;
        let asked = world.asked.lock().unwrap().clone();
        for pair in asked.windows(2) {
            let pause = pair[1] - pair[0];
            assert!((HOUR * 2 / 3 - 121..=HOUR * 2 / 3 + 1).contains(&pause), "{asked:?}");
        }
        assert!(asked.len() >= 9, "{asked:?}");
        assert_eq!(world.longest_gap(6 * HOUR), 0);
        assert_eq!((world.count("failed"), world.count("unchanged")), (0, 0));
    }

    /// Instance metadata hands out new credentials half an hour before the old ones end, and not before.
    #[tokio::test(start_paused = true)]
    async fn unchanged_credentials_are_no_failure_and_are_asked_for_each_minute() {
        let world = World::new(|now| match now {
            ..19_800 => Answer::Until(1, 6 * HOUR),
            _ => Answer::Until(2, 12 * HOUR),
        });
        world.run(secs(6 * HOUR)).await;
        let new = world.new_ones();
        assert_eq!(new.len(), 2);
        assert!((19_800..19_861).contains(&new[1].0), "{new:?}");
        assert_eq!((world.count("renewed"), world.count("failed")), (2, 0));
        // From four hours on, for an hour and a half.
        let unchanged = world.count("unchanged");
        assert!((88..=110).contains(&unchanged), "{unchanged}");
        assert_eq!(world.longest_gap(6 * HOUR), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_20_minutes_leaves_no_moment_without_credentials() {
        for from in (0..4 * HOUR).step_by(600).skip(1) {
            let world = World::new(move |now| match now {
                now if (from..from + 1200).contains(&now) => Answer::Fails,
                now => Answer::Until(now, now + HOUR),
            });
            world.run(secs(5 * HOUR)).await;
            assert_eq!(world.longest_gap(5 * HOUR), 0, "an outage from {from} on");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn once_no_credentials_are_left_the_source_is_asked_each_five_seconds() {
        let world = World::new(|now| match now {
            0 => Answer::Until(1, HOUR),
            1..5000 => Answer::Fails,
            _ => Answer::Until(2, 5000 + HOUR),
        });
        world.run(secs(6000)).await;
        let new = world.new_ones();
        assert!((5000..=5005).contains(&new[1].0), "{new:?}");
        let asked = world.asked.lock().unwrap().clone();
        let pauses = |span: std::ops::Range<u64>| -> Vec<u64> {
            let of_span = asked.windows(2).filter(|pair| span.contains(&pair[0]));
            of_span.map(|pair| pair[1] - pair[0]).collect()
        };
        // From shortly before the end on; seconds are counted whole.
        let without = pauses(HOUR - 10..5000);
        assert!(without.iter().all(|pause| (2..=6).contains(pause)), "{without:?}");
        // Before that no more than about one request in 30 seconds.
        let with = pauses(2400..HOUR - 120);
        assert!(with.len() <= 45, "{with:?}");
    }

    /// At the start there are none, either.
    #[tokio::test(start_paused = true)]
    async fn the_first_credentials_are_asked_for_each_five_seconds() {
        let world = World::new(|now| match now {
            ..600 => Answer::Fails,
            now => Answer::Until(1, now + HOUR),
        });
        world.run(secs(700)).await;
        let new = world.new_ones();
        assert!((600..=605).contains(&new[0].0), "{new:?}");
    }

    /// Some proxies lock a user after a few wrong passwords.
    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_asks_for_another_password_is_asked_once_a_minute_at_last() {
        let world = World::new(|_| Answer::WrongProxyPassword);
        world.run(secs(HOUR)).await;
        let asked = world.asked.lock().unwrap().len();
        assert!((60..=130).contains(&asked), "{asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_request_at_a_time_and_a_slow_one_delays_only_itself() {
        let world = World::new(|now| match now {
            0 => Answer::Until(1, HOUR),
            1..2600 => Answer::Slow(secs(15)),
            now => Answer::Until(2, now + HOUR),
        });
        world.run(secs(HOUR)).await;
        let asked = world.asked.lock().unwrap().clone();
        let slow: Vec<_> = asked.into_iter().filter(|at| (1..2600).contains(at)).collect();
        assert!(slow.len() > 2 && slow.windows(2).all(|pair| pair[1] - pair[0] >= 15), "{slow:?}");
        assert_eq!(world.longest_gap(HOUR), 0);
    }

    /// A source that hands out credentials with a minute to live, and the same ones again.
    #[tokio::test(start_paused = true)]
    async fn credentials_that_end_soon_are_renewed_soon_and_not_in_a_loop() {
        let world = World::new(|now| Answer::Until(now / 60, (now / 60 + 1) * 60 + 20));
        world.run(secs(1200)).await;
        assert_eq!(world.longest_gap(1200), 0);
        let asked = world.asked.lock().unwrap().len();
        assert!(asked < 120, "{asked}");
    }

    /// A clock that was wrong at the start: the rest of the life is taken from the last answer.
    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_is_set_forward_makes_the_source_be_asked_at_once() {
        let world = World::new(|now| Answer::Until(1 + now / 100, now + 6 * HOUR));
        let clock = world.clock.clone();
        tokio::spawn(async move {
            sleep(secs(500)).await;
            clock.advance(TimeDelta::hours(5));
        });
        world.run(secs(700)).await;
        let asked = world.asked.lock().unwrap().clone();
        assert!(asked.len() == 2 && (500..=531).contains(&asked[1]), "{asked:?}");
    }
}
