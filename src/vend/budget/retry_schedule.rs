//! When those who were turned away should come back.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use appserver_domain::ClientId;

/// Nobody is sent away for longer, however many were before.
const LONGEST: Duration = Duration::from_secs(600);

/// Times that were given out, so that no two get the same one: a crowd that comes at once and does not fit into
/// the queue returns one by one, at the rate at which it can be served.
///
/// Each client has times of its own. One that ignores them, or never comes back, moves nobody else's.
#[derive(Debug, Default)]
pub(super) struct RetrySchedule(HashMap<ClientId, Instant>);

impl RetrySchedule {
    /// The next free time for `client`, from now. `wait` is how long its place in the queue would have taken,
    /// `rate` how many calls a second are made for `clients` clients.
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
            Duration::try_from_secs_f64(sharing as f64 / rate).unwrap_or(LONGEST).min(LONGEST);
        // Half of the queue is left when the first come back: the bucket does not idle between the two crowds.
        let first = now + wait.min(LONGEST) / 2;
        let last = self.0.entry(client.clone()).or_insert(first);
        *last = (*last).max(first).min(now + LONGEST) + step;
        last.saturating_duration_since(now).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_told_to_return_one_by_one_and_each_client_by_itself() {
        let now = Instant::now();
        let mut retry_schedule = RetrySchedule::default();
        let [crowd, other]: [ClientId; 2] = ["crowd", "other"].map(|id| id.parse().unwrap());
        let mut book = |client, secs: u64| {
            let at = now + Duration::from_secs(secs);
            retry_schedule.book(client, at, Duration::from_secs(10), 10.0, 1).as_millis()
        };
        let told: Vec<_> = (0..3).map(|_| book(&crowd, 0)).collect();
        assert_eq!(told, [5100, 5200, 5300]);
        // From here on two clients share the rate.
        assert_eq!([book(&other, 0), book(&other, 0), book(&crowd, 0)], [5100, 5300, 5500]);
        // Long after, nothing is left of it.
        assert_eq!(book(&crowd, 1000), 5100);
    }

    #[test]
    fn nobody_is_sent_away_for_more_than_ten_minutes() {
        let now = Instant::now();
        let mut retry_schedule = RetrySchedule::default();
        let client: ClientId = "crowd".parse().unwrap();
        let longest =
            (0..100_000).map(|_| retry_schedule.book(&client, now, Duration::MAX, 90.0, 1)).max();
        assert_eq!(longest, Some(LONGEST));
    }
}
