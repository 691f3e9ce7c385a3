use super::*;
use crate::limit::Per;

const CONNECTION: u64 = 1;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A share after these results of Redis, each obtained for one request, and the decisions on those requests.
fn answered(answers: &[(u32, u64)], now: Instant) -> (Share, Vec<Duration>) {
    let mut share = Share::none(CONNECTION, now);
    let decided = answers
        .iter()
        .map(|(granted, wait)| share.apply(CONNECTION, (*granted, millis(*wait)), now))
        .collect();
    (share, decided)
}

/// How many of ten requests are admitted without another call to Redis.
fn used(share: &mut Share, now: Instant) -> usize {
    let decided = (0..10).map_while(|_| share.decide(CONNECTION, now));
    decided.filter(Duration::is_zero).count()
}

#[test]
fn a_share_admits_the_granted_number_and_then_needs_another_call() {
    let now = Instant::now();
    let (mut share, first) = answered(&[(5, 0)], now);
    assert_eq!(first, [Duration::ZERO]);
    assert_eq!(used(&mut share, now), 4);
    assert_eq!(share.decide(CONNECTION, now), None);
}

#[test]
fn an_unused_share_expires_after_a_quarter_of_a_second() {
    let now = Instant::now();
    let (mut share, _) = answered(&[(5, 0)], now);
    assert_eq!(share.decide(CONNECTION, now + millis(249)), Some(Duration::ZERO));
    assert_eq!(share.decide(CONNECTION, now + millis(250)), None);
    // The next share does not revive it.
    for later in [250, 300] {
        let (mut share, _) = answered(&[(5, 0)], now);
        let later = now + millis(later);
        assert_eq!(share.apply(CONNECTION, (2, Duration::ZERO), later), Duration::ZERO);
        assert_eq!(used(&mut share, later), 1);
    }
}

#[test]
fn shares_of_concurrent_calls_add_up() {
    let now = Instant::now();
    let (mut share, _) = answered(&[(5, 0), (4, 0)], now);
    assert_eq!(used(&mut share, now), 7);
}

#[test]
fn an_empty_result_does_not_reduce_the_share_of_a_concurrent_call() {
    let now = Instant::now();
    let (mut share, decided) = answered(&[(3, 0), (0, 100)], now);
    assert_eq!(decided, [Duration::ZERO; 2], "of the other's share");
    assert_eq!(used(&mut share, now), 1);
    assert_eq!(share.decide(CONNECTION, now), Some(millis(100)));
}

#[test]
fn an_exhausted_limit_costs_no_call_until_the_next_request_is_available() {
    let now = Instant::now();
    let (mut share, refused) = answered(&[(0, 100)], now);
    assert_eq!(refused, [millis(100)]);
    let decided = [0, 40, 99].map(|at| share.decide(CONNECTION, now + millis(at)));
    assert_eq!(decided, [100, 60, 1].map(|left| Some(millis(left))));
    assert_eq!(share.decide(CONNECTION, now + millis(100)), None);
}

#[test]
fn results_of_another_connection_are_ignored() {
    let now = Instant::now();
    for answer in [(5, 0), (0, 60_000)] {
        let (mut share, _) = answered(&[answer], now);
        assert_eq!(share.decide(CONNECTION + 1, now), None, "{answer:?}");
    }
}

/// The rate is divided, and not only the burst.
#[tokio::test(start_paused = true)]
async fn a_replica_alone_admits_its_part_of_the_rate() {
    let [requests, burst, parts] = [120, 30, 3].map(|n| NonZeroU32::new(n).unwrap());
    let bucket = Bucket::new(LimitTerms { requests, per: Per::Second, burst }, parts);
    let start = Instant::now();
    let mut admitted = 0;
    while start.elapsed() < Duration::from_secs(10) {
        let wait = bucket.decide_locally();
        admitted += u32::from(wait.is_zero());
        tokio::time::advance(wait).await;
    }
    assert!((409..=410).contains(&admitted), "{admitted}: 10 at once and 40 a second");
}
