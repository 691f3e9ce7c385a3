//! Refreshes ahead of need, and SDKs that renew their tokens.

use super::*;
use crate::telemetry::Traces;

/// An SDK in constant use: it checks its token each second, and fetches another once no more than `window` is left.
/// Returns the number of fetches in two hours.
async fn sdk(harness: Harness, name: &'static str, window: Duration) -> usize {
    let (mut fetched, mut held) = (0, None::<Vended>);
    for _ in 0..7200 {
        if held.as_ref().is_none_or(|held| harness.remaining(held) <= window) {
            held = Some(harness.vend("app-one", name).await.unwrap());
            fetched += 1;
        }
        sleep(secs(1)).await;
    }
    fetched
}

/// An SDK with a timer, such as ali-oss.
async fn timer(harness: Harness, name: &'static str) -> usize {
    for _ in 0..24 {
        harness.vend("app-one", name).await.unwrap();
        sleep(secs(300)).await;
    }
    24
}

/// An SDK with a key of its own renews after the token's hour less its window: 3600 − 300 s, 3600 − 900 s. The key of the
/// SDK with a timer is refreshed after 180 to 1620 s first, and then every 1260 to 1620 s.
#[tokio::test(start_paused = true)]
async fn sdks_with_keys_of_their_own_cost_the_computed_number_of_calls() {
    let harness = harness();
    let (android, python, ali_oss) = tokio::join!(
        sdk(harness.clone(), "android", secs(299)),
        sdk(harness.clone(), "python", secs(900)),
        timer(harness.clone(), "ali-oss"),
    );
    assert_eq!((android, python, ali_oss), (3, 3, 24));
    let names = harness.sts.names();
    let calls = |name: &str| names.iter().filter(|called| *called == name).count();
    assert_eq!((calls("android"), calls("python")), (3, 3));
    assert!((5..=7).contains(&calls("ali-oss")), "{}", calls("ali-oss"));
}

/// SDKs that share one key get no token that they would discard soon.
#[tokio::test(start_paused = true)]
async fn sdks_that_share_a_key_cost_only_its_refreshes() {
    let harness = harness();
    let (android, python, _) = tokio::join!(
        sdk(harness.clone(), "shared", secs(299)),
        sdk(harness.clone(), "shared", secs(900)),
        timer(harness.clone(), "shared"),
    );
    // A token is handed out with 1800 s at least, so Android holds it for 1500 s and Python for 900 s.
    assert!(android <= 5 && python <= 8, "{android} {python}");
    assert!((5..=7).contains(&harness.sts.calls()), "{}", harness.sts.calls());
}

/// 10,000 keys, fetched as fast as the budget allows, each requested every two minutes.
#[tokio::test(start_paused = true)]
async fn ten_thousand_keys_are_refreshed_at_a_flat_rate_until_they_are_idle() {
    let harness = harness();
    let devices: Vec<_> = (0..10_000_u64)
        .map(|n| {
            let harness = harness.clone();
            tokio::spawn(async move {
                let name = format!("device-{n}");
                sleep(Duration::from_millis(12 * n)).await;
                for _ in 0..60 {
                    harness.vend("app-one", &name).await.unwrap();
                    sleep(secs(120)).await;
                }
            })
        })
        .collect();
    for device in devices {
        device.await.unwrap();
    }
    // No caller has waited since the first request.
    assert_eq!(harness.given(Lookup::Miss), 10_000);
    // Each key is refreshed after 1440 s on average, that is 417 a minute, from the first refreshes on.
    let times = harness.sts.times();
    let in_minute = |minute: u32| {
        let minute = f64::from(minute) * 60.0;
        times.iter().filter(|at| (minute..minute + 60.0).contains(*at)).count()
    };
    let rates: Vec<_> = (8..118).map(in_minute).collect();
    assert!(rates.iter().all(|rate| (260..=580).contains(rate)), "{rates:?}");
    let average = rates.iter().sum::<usize>() / rates.len();
    assert!((395..=435).contains(&average), "{average}");

    // Keys that were used since their last refresh are refreshed once more.
    sleep(secs(1800)).await;
    let calls = harness.sts.calls();
    sleep(secs(36_000)).await;
    assert_eq!(harness.sts.calls(), calls);
    assert_eq!(harness.sts.throttled(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_used_again_is_not_refreshed() {
    let harness = harness();
    harness.vend("app-one", "device").await.unwrap();
    sleep(secs(7200)).await;
    assert_eq!(harness.sts.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn refreshes_never_displace_waiting_callers() {
    let harness = harness_with(|settings| {
        settings.budget.per_second = 10;
        settings.budget.burst = 1;
    });
    for _ in 0..2 {
        harness.vend("app-one", "device").await.unwrap();
    }
    // From before the refresh is due until the token is no longer fresh, some caller always waits.
    let crowd = harness.clone();
    let crowd = tokio::spawn(async move {
        sleep(secs(100)).await;
        for n in 0..20_000 {
            drop(crowd.spawn("app-two", &format!("other-{n}"), secs(15)));
            sleep(Duration::from_millis(95)).await;
        }
    });
    sleep(secs(1750)).await;
    let mine = harness.sts.names().iter().filter(|name| *name == "device").count();
    assert_eq!(mine, 1);
    assert!(harness.metrics.refreshes(Refresh::NoBudget) > 3);
    crowd.abort();
    sleep(secs(40)).await;
    let mine = harness.sts.names().iter().filter(|name| *name == "device").count();
    assert_eq!(mine, 2, "it has its turn once no caller waits");
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_is_tried_again_and_leaves_the_token_as_it_is() {
    let harness = harness();
    for _ in 0..2 {
        harness.vend("app-one", "device").await.unwrap();
    }
    harness.sts.set(|sts| sts.behavior = StsBehavior::Unavailable);
    sleep(secs(1650)).await;
    assert!(harness.metrics.refreshes(Refresh::Failed) > 0);
    assert_eq!(harness.vend("app-one", "device").await.unwrap().id(), "STS.1");
    assert_eq!(harness.given(Lookup::Hit), 2);
    harness.sts.set(|sts| sts.behavior = StsBehavior::Healthy);
    sleep(secs(45)).await;
    assert_eq!(harness.metrics.refreshes(Refresh::Success), 1);
}

/// With Redis each try asks it twice, and a fleet has millions of tokens.
#[tokio::test(start_paused = true)]
async fn a_token_without_budget_for_hours_is_tried_at_most_forty_times() {
    let harness = harness_with(|settings| settings.budget.refresh_share = 0.0);
    harness.sts.set(|sts| sts.life = Some(TimeDelta::hours(12)));
    for _ in 0..2 {
        harness.vend("app-one", "device").await.unwrap();
    }
    sleep(secs(6 * 3600)).await;
    let tries = harness.metrics.refreshes(Refresh::NoBudget);
    assert!((5..=40).contains(&tries), "{tries}");
}

/// A refresh is part of no request. It has a trace of its own if the request that scheduled it is traced.
#[tokio::test(start_paused = true)]
async fn a_refresh_has_a_trace_of_its_own_with_a_link_to_the_request_that_scheduled_it() {
    let (traces, mut spans) = Traces::for_tests();
    let harness = harness();
    harness.vend("app-one", "photos").await.unwrap();
    let request = traces.start_request(&Default::default()).unwrap();
    let id = request.id();
    request.clone().in_scope(harness.vend("app-one", "photos")).await.unwrap();
    drop(request);
    let request = spans.recv().await.unwrap();
    sleep(secs(3000)).await;
    assert_eq!(harness.sts.calls(), 2);
    let refresh = spans.try_recv().unwrap();
    assert_eq!(refresh.name, "refresh");
    let [link] = refresh.links.as_slice() else { panic!("not one link: {:?}", refresh.links) };
    assert_eq!((&link.trace_id, &link.span_id), (&request.trace_id, &request.span_id));
    assert_ne!(refresh.trace_id, request.trace_id);
    assert_eq!(link.trace_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), id);
}

/// The number of timers, and of tasks of any kind.
fn held(harness: &Harness) -> (usize, usize) {
    let timers = harness.vendor.engine.cache.refresh_schedule().len();
    (timers, tokio::runtime::Handle::current().metrics().num_alive_tasks())
}

/// Each of the keys is in use when it is evicted.
#[tokio::test(start_paused = true)]
async fn an_evicted_token_is_not_refreshed_and_leaves_no_timer_and_no_task() {
    let harness = harness_with(|settings| {
        settings.max_cached_tokens = 100;
        (settings.budget.per_second, settings.budget.burst) = (1000, 1000);
    });
    harness.sts.set(|sts| sts.quota = usize::MAX);
    for n in 0..5000 {
        for _ in 0..2 {
            harness.vend("app-one", &format!("device-{n}")).await.unwrap();
        }
        let (timers, tasks) = held(&harness);
        assert!(timers <= harness.vendor.engine.cache.len() && tasks <= 2, "{timers} {tasks}");
    }
    let kept = harness.vendor.engine.cache.len();
    sleep(secs(3600)).await;
    let refreshed = harness.sts.calls() - 5000;
    assert!(refreshed <= kept && kept <= 100, "{refreshed} {kept}");
}

/// For two days users arrive, request tokens for a while and leave; some of their tokens are valid for twelve hours.
#[tokio::test(start_paused = true)]
async fn users_who_have_left_leave_no_timers_and_no_tasks() {
    let harness = harness_with(|settings| settings.max_cached_tokens = 200);
    for minute in 0..2 * 24 * 60 {
        let life = if minute % 3 == 0 { TimeDelta::hours(12) } else { TimeDelta::hours(1) };
        harness.sts.set(|sts| sts.life = Some(life));
        for user in 0..5 {
            for _ in 0..2 {
                harness.vend("app-one", &format!("device-{minute}-{user}")).await.unwrap();
            }
        }
        // Users who arrived half an hour ago are still active.
        harness.vend("app-one", &format!("device-{}-0", (minute - 30).max(0))).await.unwrap();
        sleep(secs(60)).await;
        let (timers, tasks) = held(&harness);
        assert!(timers <= harness.vendor.engine.cache.len(), "{minute}: {timers} timers");
        assert!(tasks <= 10, "{minute}: {tasks} tasks");
    }
    // Without requests each used token is refreshed once more.
    sleep(secs(12 * 3600)).await;
    assert_eq!(held(&harness), (0, 1), "only the task that waits is left");
    drop(harness);
    tokio::task::yield_now().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_refreshes_at_one_time_is_limited() {
    let harness = harness_with(|settings| {
        (settings.budget.per_second, settings.budget.burst) = (10_000, 10_000);
        settings.breaker.failures = u32::MAX;
    });
    harness.sts.set(|sts| sts.quota = usize::MAX);
    for n in 0..1000 {
        harness.vend("app-one", &format!("device-{n}")).await.unwrap();
    }
    for n in 0..1000 {
        harness.vend("app-one", &format!("device-{n}")).await.unwrap();
    }
    harness.sts.set(|sts| sts.behavior = StsBehavior::Silent);
    let mut most = 0;
    // As after a suspend: all of them are due at once.
    tokio::time::advance(secs(1650)).await;
    for _ in 0..100 {
        sleep(Duration::from_millis(100)).await;
        most = most.max(held(&harness).1);
    }
    assert!((64..=70).contains(&most), "{most} tasks");
}
