//! When rejected callers should retry.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use appserver_domain::ClientId;

/// No caller has to wait longer, however many were rejected before.
const MAX_WAIT: Duration = Duration::from_mins(10);

/// The last time given to each client, so that no two callers get the same one: a crowd that does not fit into the queue
/// returns one by one, at the rate at which it can be served.
///
/// Each client has times of its own. A client that ignores them does not affect the times of others.
#[derive(Debug, Default)]
pub(super) struct RetrySchedule(HashMap<ClientId, Instant>);

impl RetrySchedule {
    /// The time until the next free retry of `client`. `wait` is how long its call would have been queued, `rate` the calls
    /// per second for all `clients` clients.
    pub(super) fn book(
        &mut self,
        client: &ClientId,
        now: Instant,
        wait: Duration,
        rate: f64,
        clients: usize,
    ) -> Duration {
        self.0.retain(|_, last| *last > now);
        let sharing = self.0.len().max(clients).max(1);
        let step =
            Duration::try_from_secs_f64(sharing as f64 / rate).unwrap_or(MAX_WAIT).min(MAX_WAIT);
        // Half of the queue is left when the first callers return, so the budget does not idle in between.
        let first = now + wait.min(MAX_WAIT) / 2;
        let last = self.0.entry(client.clone()).or_insert(first);
        *last = (*last).max(first).min(now + MAX_WAIT) + step;
        last.saturating_duration_since(now).min(MAX_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_callers_retry_one_by_one_and_each_client_by_itself() {
        let now = Instant::now();
        let mut retry_schedule = RetrySchedule::default();
        let [crowd, other]: [ClientId; 2] = ["crowd", "other"].map(|id| id.parse().unwrap());
        let mut book = |client, secs: u64| {
            let at = now + Duration::from_secs(secs);
            retry_schedule.book(client, at, Duration::from_secs(10), 10.0, 1).as_millis()
        };
        let times: Vec<_> = (0..3).map(|_| book(&crowd, 0)).collect();
        assert_eq!(times, [5100, 5200, 5300]);
        // From here on two clients share the rate.
        assert_eq!([book(&other, 0), book(&other, 0), book(&crowd, 0)], [5100, 5300, 5500]);
        // Long after, nothing is left of it.
        assert_eq!(book(&crowd, 1000), 5100);
    }

    #[test]
    fn no_caller_has_to_wait_for_more_than_ten_minutes() {
        let now = Instant::now();
        let mut retry_schedule = RetrySchedule::default();
        let client: ClientId = "crowd".parse().unwrap();
        let longest =
            (0..100_000).map(|_| retry_schedule.book(&client, now, Duration::MAX, 90.0, 1)).max();
        assert_eq!(longest, Some(MAX_WAIT));
    }
}
