use super::*;
use crate::limit::Per;

const CONNECTION: u64 = 1;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A share after these answers of Redis, each taken for one request; and what was decided of those.
fn answered(answers: &[(u32, u64)], now: Instant) -> (Share, Vec<Duration>) {
    let mut share = Share::none(CONNECTION, now);
    let decided = answers
        .iter()
        .map(|(given, wait)| share.answered(CONNECTION, (*given, millis(*wait)), now))
        .collect();
    (share, decided)
}

/// How many requests of ten go without asking Redis again.
fn used(share: &mut Share, now: Instant) -> usize {
    let decided = (0..10).map_while(|_| share.decide(CONNECTION, now));
    decided.filter(Duration::is_zero).count()
}

#[test]
fn a_share_lets_as_many_through_as_redis_gave_and_then_redis_is_asked_again() {
    let now = Instant::now();
    let (mut share, first) = answered(&[(5, 0)], now);
    assert_eq!(first, [Duration::ZERO]);
    assert_eq!(used(&mut share, now), 4);
    assert_eq!(share.decide(CONNECTION, now), None);
}

#[test]
fn a_share_that_is_not_used_is_given_up_after_a_quarter_of_a_second() {
    let now = Instant::now();
    let (mut share, _) = answered(&[(5, 0)], now);
    assert_eq!(share.decide(CONNECTION, now + millis(249)), Some(Duration::ZERO));
    assert_eq!(share.decide(CONNECTION, now + millis(250)), None);
    // Nor is it good again with the next one.
    assert_eq!(share.answered(CONNECTION, (2, Duration::ZERO), now + millis(300)), Duration::ZERO);
    assert_eq!(used(&mut share, now + millis(300)), 1);
}

#[test]
fn two_who_asked_at_once_may_use_what_both_were_given() {
    let now = Instant::now();
    let (mut share, _) = answered(&[(5, 0), (4, 0)], now);
    assert_eq!(used(&mut share, now), 7);
}

#[test]
fn who_asked_at_once_and_was_given_nothing_takes_nothing_from_who_was_given_more() {
    let now = Instant::now();
    let (mut share, decided) = answered(&[(3, 0), (0, 100)], now);
    assert_eq!(decided, [Duration::ZERO; 2], "of the other's share");
    assert_eq!(used(&mut share, now), 1);
    assert_eq!(share.decide(CONNECTION, now), Some(millis(100)));
}

#[test]
fn who_is_over_the_limit_costs_redis_nothing_until_there_is_another() {
    let now = Instant::now();
    let (mut share, refused) = answered(&[(0, 100)], now);
    assert_eq!(refused, [millis(100)]);
    let decided = [0, 40, 99].map(|at| share.decide(CONNECTION, now + millis(at)));
    assert_eq!(decided, [100, 60, 1].map(|left| Some(millis(left))));
    assert_eq!(share.decide(CONNECTION, now + millis(100)), None);
}

#[test]
fn what_was_said_on_another_connection_is_void() {
    let now = Instant::now();
    for answer in [(5, 0), (0, 60_000)] {
        let (mut share, _) = answered(&[answer], now);
        assert_eq!(share.decide(CONNECTION + 1, now), None, "{answer:?}");
    }
}

/// Alone, a replica has its part of the rate and not only of the burst.
#[tokio::test(start_paused = true)]
async fn alone_a_replica_lets_its_part_of_the_rate_through() {
    let [requests, burst, parts] = [120, 30, 3].map(|n| NonZeroU32::new(n).unwrap());
    let bucket = Bucket::new(LimitTerms { requests, per: Per::Second, burst }, parts);
    let start = Instant::now();
    let mut admitted = 0;
    while start.elapsed() < Duration::from_secs(10) {
        let wait = bucket.decide_alone();
        admitted += u32::from(wait.is_zero());
        tokio::time::advance(wait).await;
    }
    assert!((409..=410).contains(&admitted), "{admitted}: 10 at once and 40 a second");
}
