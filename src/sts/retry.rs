//! The retry loop of calls to STS, and which errors are retried.

use std::mem::replace;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::StsError;
use crate::backoff::Backoff;
use crate::outbound::ProxyError;

/// The longest wait between two attempts, unless STS asks for a longer one: an app waits for the response.
const LONGEST: Duration = Duration::from_secs(5);
/// Waits after a failed attempt. Source of the first wait, the doubling and the jitter: Alibaba's Python SDK.
const FAILED: Backoff = Backoff::new(Duration::from_millis(100), LONGEST, 0.5);
/// Waits after throttling without a `TimeLeft`.
const THROTTLED: Backoff = Backoff::new(Duration::from_millis(500), LONGEST, 0.5);

/// Runs attempts until one succeeds, an error is final, attempts are used up, or `deadline` passes.
///
/// No attempt starts after the deadline; an attempt must itself end by then. The error is that of the last attempt.
/// `attempt` gets its number, from 1.
///
/// (The bound is not `AsyncFnMut`, because its futures cannot be bounded by `Send`.)
pub(crate) async fn retrying<T, F>(
    deadline: Instant,
    most: NonZeroU32,
    mut attempt: impl FnMut(u32) -> F,
) -> Result<T, StsError>
where
    F: Future<Output = Result<T, StsError>>,
{
    let mut retries = Retries::default();
    let mut last = StsError::TimedOut;
    for number in 1..=most.get() {
        if Instant::now() >= deadline {
            break;
        }
        last = match attempt(number).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        match retries.wait_after(&last, number) {
            Some(wait) if wait < left && number < most.get() => sleep(wait).await,
            _ => break,
        }
    }
    Err(last)
}

/// The retries of one call so far. Most causes are retried once: a second failure shows that a retry does not help.
#[derive(Default)]
struct Retries {
    nonce_was_renewed: bool,
    clock_was_set: bool,
    response_was_retried: bool,
    throttled_retries: u32,
}

impl Retries {
    /// How long to wait after the error of attempt `number`; `None` if there is no retry.
    fn wait_after(&mut self, error: &StsError, number: u32) -> Option<Duration> {
        let at_once = |was_done: bool| (!was_done).then_some(Duration::ZERO);
        match error {
            StsError::NonceUsed { .. } => at_once(replace(&mut self.nonce_was_renewed, true)),
            StsError::ClockSkewed { sts_time: Some(_), .. } => {
                at_once(replace(&mut self.clock_was_set, true))
            }
            StsError::ClockSkewed { sts_time: None, .. }
            | StsError::NoCredentials
            | StsError::Refused { .. } => None,
            StsError::Throttled { retry_after, .. } => {
                // Retries must not multiply the calls of an account that is over its quota.
                let most = if retry_after.is_some() { 2 } else { 1 };
                let asked = retry_after.unwrap_or_default();
                let wait = asked.max(THROTTLED.wait_after(number));
                let is_another = self.throttled_retries < most;
                self.throttled_retries += 1;
                is_another.then_some(wait)
            }
            // Each such response may have cost a token that is lost.
            StsError::InvalidResponse { .. } => {
                (!replace(&mut self.response_was_retried, true)).then(|| FAILED.wait_after(number))
            }
            // A proxy may lock a user after some wrong passwords.
            StsError::Proxy(ProxyError::Authentication { .. }) => None,
            StsError::Unavailable { .. }
            | StsError::Unreachable(_)
            | StsError::Proxy(ProxyError::Unreachable { .. } | ProxyError::Refused { .. })
            | StsError::TimedOut => Some(FAILED.wait_after(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::sts::error::InvalidResponse;
    use crate::sts::refusal::{Reason, Refusal};

    const MOST: NonZeroU32 = NonZeroU32::new(5).unwrap();

    fn throttled(millis: Option<u64>) -> StsError {
        let retry_after = millis.map(Duration::from_millis);
        StsError::Throttled { retry_after, request_id: None }
    }

    fn skewed(sts_time: Option<&str>) -> StsError {
        let sts_time = sts_time.map(|time| time.parse().unwrap());
        StsError::ClockSkewed { sts_time, request_id: None }
    }

    fn refused() -> StsError {
        let refusal = Refusal::new(Reason::NoPermission, "NoPermission".parse().unwrap());
        StsError::Refused { refusal, request_id: None }
    }

    fn unavailable() -> StsError {
        StsError::Unavailable { status: 503, request_id: None }
    }

    fn nonce_used() -> StsError {
        StsError::NonceUsed { request_id: None }
    }

    /// The result of a call whose attempts fail with these errors, and the start of each attempt in milliseconds.
    async fn begun(
        errors: impl IntoIterator<Item = StsError>,
        patience: Duration,
    ) -> (Result<u32, StsError>, Vec<u128>) {
        let start = Instant::now();
        let mut begun = vec![];
        let mut errors = errors.into_iter();
        let outcome = retrying(start + patience, MOST, |number| {
            begun.push(start.elapsed().as_millis());
            ready(errors.next().map_or(Ok(number), Err))
        });
        (outcome.await, begun)
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_with_jitter_until_the_attempts_are_used_up() {
        let (outcome, begun) =
            begun(std::iter::repeat_with(unavailable), Duration::from_mins(1)).await;
        assert!(matches!(outcome, Err(StsError::Unavailable { .. })));
        let waits: Vec<u128> = begun.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits.len(), 4);
        for (wait, most) in waits.into_iter().zip([100, 200, 400, 800]) {
            // Timers have a resolution of a millisecond.
            assert!((most / 2..=most + 2).contains(&wait), "{wait} of {most}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_has_a_longer_wait() {
        let (outcome, begun) =
            begun([unavailable(), throttled(None)], Duration::from_mins(1)).await;
        assert_eq!(outcome.unwrap(), 3);
        assert!((500..=1002).contains(&(begun[2] - begun[1])), "{begun:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_is_retried_once_or_twice_if_sts_gives_a_time() {
        for (hints, attempts) in [
            (vec![None; 5], 2),
            (vec![Some(1); 5], 3),
            (vec![None, Some(1), Some(1)], 3),
            (vec![Some(1), None, None], 2),
        ] {
            let told = format!("{hints:?}");
            let errors = hints.into_iter().map(throttled);
            let (outcome, begun) = begun(errors, Duration::from_mins(1)).await;
            assert_eq!(
                (outcome.unwrap_err().kind(), begun.len()),
                ("throttled", attempts),
                "{told}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_that_sts_requests_is_observed() {
        let (outcome, begun) = begun([throttled(Some(2000))], Duration::from_mins(1)).await;
        assert_eq!(outcome.unwrap(), 2);
        assert!((2000..=2002).contains(&begun[1]), "{begun:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_deadline_is_not_started() {
        let patience = Duration::from_millis(1999);
        let start = Instant::now();
        let (outcome, begun) = begun([throttled(Some(2000))], patience).await;
        assert_eq!(outcome.unwrap_err().retry_after(), Some(Duration::from_secs(2)));
        assert_eq!((begun, start.elapsed()), (vec![0], Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_overflowing_wait_is_an_error_and_no_panic() {
        let (outcome, _) = begun([throttled(Some(u64::MAX))], Duration::from_mins(1)).await;
        let asked = Some(Duration::from_millis(u64::MAX));
        assert_eq!(outcome.unwrap_err().retry_after(), asked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_final() {
        let (outcome, begun) = begun([refused()], Duration::from_mins(1)).await;
        assert!(matches!(outcome, Err(StsError::Refused { .. })));
        assert_eq!(begun, [0]);
    }

    /// Some proxies lock a user after a few wrong passwords.
    #[tokio::test(start_paused = true)]
    async fn a_password_that_the_proxy_rejects_is_not_sent_again() {
        let proxy = || "http://proxy.example.com:3128".to_owned().try_into().unwrap();
        for (error, attempts) in [
            (ProxyError::Authentication { proxy: proxy() }, 1),
            (ProxyError::Refused { proxy: proxy() }, 2),
        ] {
            let errors = [StsError::Proxy(error)];
            let (outcome, begun) = begun(errors, Duration::from_mins(1)).await;
            assert_eq!(begun.len(), attempts, "{outcome:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_used_nonce_is_renewed_once() {
        let (outcome, begun) = begun([nonce_used()], Duration::from_mins(1)).await;
        assert_eq!((outcome.unwrap(), begun), (2, vec![0, 0]));
        let (outcome, begun) =
            self::begun([nonce_used(), nonce_used()], Duration::from_mins(1)).await;
        assert_eq!((outcome.unwrap_err().kind(), begun.len()), ("nonce_used", 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_is_adjusted_once_and_only_to_the_time_of_sts() {
        let time = || skewed(Some("2016-01-13T14:02:37Z"));
        let (outcome, begun) = begun([time()], Duration::from_mins(1)).await;
        assert_eq!((outcome.unwrap(), begun), (2, vec![0, 0]));
        let (outcome, begun) = self::begun([time(), time()], Duration::from_mins(1)).await;
        assert_eq!((outcome.unwrap_err().kind(), begun.len()), ("clock_skewed", 2));
        let (outcome, begun) = self::begun([skewed(None)], Duration::from_mins(1)).await;
        assert_eq!((outcome.unwrap_err().kind(), begun.len()), ("clock_skewed", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_invalid_response_is_retried_once() {
        let garbled =
            || StsError::InvalidResponse { problem: InvalidResponse::NotJson, request_id: None };
        let (outcome, _) = begun([garbled(), StsError::TimedOut], Duration::from_mins(1)).await;
        assert_eq!(outcome.unwrap(), 3);
        let (outcome, begun) =
            self::begun([garbled(), StsError::TimedOut, garbled()], Duration::from_mins(1)).await;
        assert_eq!((outcome.unwrap_err().kind(), begun.len()), ("invalid_response", 3));
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_deadline_nothing_is_attempted() {
        let (outcome, begun) = begun([], Duration::ZERO).await;
        assert!(matches!(outcome, Err(StsError::TimedOut)));
        assert!(begun.is_empty());
    }

    #[test]
    fn no_wait_is_longer_than_the_cap() {
        for (backoff, failures) in [(FAILED, 40), (THROTTLED, u32::MAX)] {
            let wait = backoff.wait_after(failures);
            assert!((LONGEST / 2..=LONGEST).contains(&wait), "{wait:?}");
        }
    }
}
