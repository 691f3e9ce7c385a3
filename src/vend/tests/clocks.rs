//! Cached entries expire by whichever clock of the machine is ahead, and limits on load go by the monotonic clock.
//! (The remaining lifetime of tokens is tested in `cache::token`, verified JWTs and issuers' keys in `auth::jwt`.)

use super::*;

/// How the clocks move while an entry expires.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Normal operation.
    Together,
    /// Suspended, or the wall clock is set forward.
    WallAlone,
    /// The wall clock is set back by exactly the elapsed time.
    MonotonicAlone,
    /// The wall clock is set back by far more.
    Apart,
}

const WAYS: [Way; 4] = [Way::Together, Way::WallAlone, Way::MonotonicAlone, Way::Apart];

impl Harness {
    async fn pass(&self, way: Way, secs: u64) {
        let wall = TimeDelta::seconds(secs.cast_signed());
        match way {
            Way::Together | Way::WallAlone => self.clock.advance(wall),
            Way::MonotonicAlone => {}
            Way::Apart => self.clock.advance(-TimeDelta::days(400)),
        }
        match way {
            Way::WallAlone => {}
            Way::Together | Way::MonotonicAlone | Way::Apart => {
                tokio::time::advance(Duration::from_secs(secs)).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_handed_out_again_for_half_of_its_life_by_either_clock() {
    for way in WAYS {
        let harness = harness();
        harness.vend("app-one", "device").await.unwrap();
        harness.pass(way, 1790).await;
        // Not requested before, because a hit would schedule its refresh.
        assert_eq!(harness.vend("app-one", "device").await.unwrap().id(), "STS.1", "{way:?}");
        harness.pass(way, 11).await;
        let vended = harness.vend("app-one", "device").await.unwrap();
        assert_ne!(vended.id(), "STS.1", "{way:?}");
        assert!(harness.remaining(&vended) > secs(1800), "{way:?}");
    }
}

/// After a suspend of two hours the monotonic clock has not moved.
#[tokio::test(start_paused = true)]
async fn a_token_past_its_end_is_not_handed_out_even_while_sts_is_down() {
    for way in WAYS {
        let harness = harness();
        harness.vend("app-one", "device").await.unwrap();
        harness.sts.set(|sts| sts.behavior = StsBehavior::Unavailable);
        harness.pass(way, 3290).await;
        let vended = harness.vend("app-one", "device").await.unwrap();
        assert_eq!((vended.id(), vended.source), ("STS.1", TokenSource::Stale), "{way:?}");
        harness.pass(way, 7200).await;
        let vended = harness.vend("app-one", "device").await;
        assert!(matches!(vended, Err(VendError::Sts(_))), "{way:?}: {vended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_cached_for_a_minute_by_either_clock() {
    for way in WAYS {
        let harness = harness();
        harness.sts.set(|sts| sts.behavior = StsBehavior::Refusing(Reason::NoPermission));
        for (passes, calls) in [(0, 1), (58, 1), (3, 2)] {
            harness.pass(way, passes).await;
            harness.vend("app-one", "device").await.unwrap_err();
            assert_eq!(harness.sts.calls(), calls, "{way:?} after {passes} s more");
        }
    }
}

/// The age of an answer that arrives during a suspend counts from its request.
#[tokio::test(start_paused = true)]
async fn the_age_of_a_token_that_arrives_during_a_suspend_counts_from_its_call() {
    let harness = harness();
    let waiting = harness.spawn("app-one", "device", secs(15));
    sleep(LATENCY / 2).await;
    harness.clock.advance(TimeDelta::hours(2));
    waiting.await.unwrap().unwrap();
    let vended = harness.vend("app-one", "device").await.unwrap();
    assert_eq!(vended.id(), "STS.2");
}

/// A wall clock that is set forward ends no pause and fills no budget.
#[tokio::test(start_paused = true)]
async fn waits_and_quotas_do_not_follow_a_wall_clock_that_is_set() {
    let harness = harness_with(|settings| {
        (settings.budget.per_second, settings.budget.burst) = (1, 1);
        settings.breaker.failures = 1;
    });
    harness.vend("app-one", "first").await.unwrap();
    harness.clock.advance(TimeDelta::hours(2));
    let spent =
        harness.vend_within("app-one", &session("second"), Duration::from_millis(300)).await;
    assert!(matches!(spent, Err(VendError::Overloaded { .. })), "{spent:?}");
    harness.sts.set(|sts| sts.behavior = StsBehavior::Unavailable);
    sleep(secs(1)).await;
    harness.vend("app-one", "third").await.unwrap_err();
    harness.clock.advance(TimeDelta::hours(2));
    let open = harness.vend("app-one", "fourth").await;
    assert!(matches!(open, Err(VendError::CircuitOpen { .. })), "{open:?}");
}
