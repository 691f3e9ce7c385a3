//! The budget, as callers see it.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_caller_whose_turn_would_come_too_late_is_rejected_at_once_with_a_time_to_retry() {
    let harness = harness_with(|settings| settings.budget.per_second = 10);
    let begun = Instant::now();
    let crowd: Vec<_> =
        (0..200).map(|n| harness.spawn("app-one", &format!("device-{n}"), secs(15))).collect();
    sleep(Duration::from_millis(1)).await;
    // 10 are called at once; the turns of 147 come in time for a call to end within 15 s.
    let (rejected, waiting): (Vec<_>, Vec<_>) =
        crowd.into_iter().partition(tokio::task::JoinHandle::is_finished);
    assert_eq!((rejected.len(), waiting.len()), (43, 157));
    let mut times = vec![];
    for rejected in rejected {
        match rejected.await.unwrap().unwrap_err() {
            VendError::Overloaded { retry_after } => times.push(retry_after.as_secs_f64()),
            other => panic!("{other:?}"),
        }
    }
    // They retry in their order of arrival, one call apart, the first one when half of the queue is served.
    let apart = times.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(apart.into_iter().all(|apart| (0.099..0.101).contains(&apart)), "{times:?}");
    assert!((7.0..8.0).contains(&times[0]), "{times:?}");
    // It is the first call of another client, so its turn comes soon.
    let other = harness.vend_within("app-two", &session("other"), secs(1)).await;
    assert!(other.is_ok() && begun.elapsed() < Duration::from_millis(400), "{other:?}");
    for device in waiting {
        device.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_queued_call_whose_callers_have_all_left_is_not_made() {
    let harness = harness_with(|settings| {
        settings.budget.per_second = 1;
        settings.budget.burst = 1;
    });
    harness.vend("app-one", "first").await.unwrap();
    let gone: Vec<_> =
        (0..10).map(|n| harness.spawn("app-one", &format!("gone-{n}"), secs(15))).collect();
    sleep(Duration::from_millis(10)).await;
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    sleep(Duration::from_millis(10)).await;
    harness.vend("app-one", "stays").await.unwrap();
    assert_eq!(harness.sts.names(), ["first", "stays"]);
}

#[tokio::test(start_paused = true)]
async fn retries_spend_the_budget_too() {
    let harness = harness_with(|settings| settings.breaker.failures = 1000);
    harness.sts.set(|sts| sts.behavior = StsBehavior::Unavailable);
    let crowd: Vec<_> =
        (0..300).map(|n| harness.spawn("app-one", &format!("device-{n}"), secs(60))).collect();
    for device in crowd {
        device.await.unwrap().unwrap_err();
    }
    assert!(harness.sts.calls() > 900, "{}", harness.sts.calls());
    assert_eq!(harness.sts.throttled(), 0);
}

/// Another user of the account spends half of the account's quota for ten minutes.
#[tokio::test(start_paused = true)]
async fn the_rate_follows_what_sts_allows_down_and_up_again() {
    let harness = harness();
    harness.sts.set(|sts| sts.quota = 50);
    let load = harness.clone();
    let load = tokio::spawn(async move {
        for n in 0.. {
            drop(load.spawn("app-one", &format!("device-{n}"), secs(15)));
            sleep(Duration::from_millis(10)).await;
        }
    });
    sleep(secs(600)).await;
    let (calls, throttled) = (harness.sts.calls(), harness.sts.throttled());
    let useful = calls - throttled;
    assert!(useful > 600 * 50 * 6 / 10, "{useful} of {calls}");
    assert!(throttled < calls / 10, "{throttled} of {calls}");
    harness.sts.set(|sts| sts.quota = 100);
    sleep(secs(60)).await;
    let before = harness.sts.calls();
    sleep(secs(10)).await;
    assert!((890..=910).contains(&(harness.sts.calls() - before)), "the full rate is back");
    load.abort();
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_no_caller_waits_and_one_client_takes_half_of_it() {
    let harness = harness_with(|settings| settings.max_waiting = 20);
    harness.sts.set(|sts| sts.behavior = StsBehavior::Silent);
    let crowd: Vec<_> = (0..30).map(|_| harness.spawn("app-one", "device", secs(4))).collect();
    let other = harness.spawn("app-two", "device", secs(4));
    let mut outcomes = (0, 0);
    for device in crowd {
        match device.await.unwrap().unwrap_err() {
            VendError::Crowded { .. } => outcomes.0 += 1,
            VendError::TimedOut => outcomes.1 += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(outcomes, (20, 10));
    assert!(matches!(other.await.unwrap(), Err(VendError::TimedOut)));
}
