//! STS fails, and callers notice as little as possible.

use super::*;

#[tokio::test(start_paused = true)]
async fn while_sts_fails_a_token_is_handed_out_until_five_minutes_are_left_and_never_longer() {
    let harness = harness();
    harness.vend("app-one", "device").await.unwrap();
    harness.sts.set(|sts| sts.behavior = StsBehavior::Unavailable);
    for age in [1801, 2500, 3299] {
        let at = harness.sts.0.lock().unwrap().start + LATENCY + secs(age);
        sleep_until(at).await;
        let stale = harness.vend("app-one", "device").await.unwrap();
        assert_eq!(stale.id(), "STS.1", "at {age} s");
        assert!(harness.remaining(&stale) > secs(299), "it was usable when the wait began");
        let back = stale.refresh_after - stale.token.credentials().issued_at();
        assert!((i64::try_from(age).unwrap()..3600).contains(&back.num_seconds()));
    }
    assert_eq!(harness.given(Lookup::Stale), 3);
    sleep(secs(2)).await;
    let refused = harness.vend("app-one", "device").await.unwrap_err();
    assert!(refused.is_temporary(), "{refused:?}");
    // A failed call does not replace the cached token; a successful one does.
    harness.sts.set(|sts| sts.behavior = StsBehavior::Healthy);
    sleep(secs(10)).await;
    let fresh = harness.vend("app-one", "device").await.unwrap();
    assert_eq!(harness.remaining(&fresh), secs(3600).checked_sub(LATENCY).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_permanent_refusal_ends_the_use_of_a_stale_token() {
    let harness = harness();
    harness.vend("app-one", "device").await.unwrap();
    sleep(secs(1900)).await;
    harness.sts.set(|sts| sts.behavior = StsBehavior::Refusing(Reason::NoPermission));
    assert!(matches!(harness.vend("app-one", "device").await, Err(VendError::Sts(_))));
}

#[tokio::test(start_paused = true)]
async fn a_token_with_a_shorter_lifetime_does_not_replace_one_with_a_longer_lifetime() {
    let harness = harness();
    harness.vend("app-one", "device").await.unwrap();
    sleep(secs(1900)).await;
    harness.sts.set(|sts| sts.life = Some(TimeDelta::seconds(10)));
    assert_eq!(harness.vend("app-one", "device").await.unwrap().id(), "STS.1");
    assert_eq!(harness.sts.calls(), 2);
    harness.sts.set(|sts| sts.behavior = StsBehavior::Unavailable);
    assert_eq!(harness.vend("app-one", "device").await.unwrap().id(), "STS.1");
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_fails_callers_at_once_and_makes_no_calls() {
    let harness = harness();
    harness.sts.set(|sts| sts.behavior = StsBehavior::Silent);
    // Ten attempts in a row, of 5 s each, by callers who wait 15 s.
    for _ in 0..4 {
        let callers: Vec<_> =
            (0..3).map(|n| harness.spawn("app-one", &format!("device-{n}"), secs(15))).collect();
        for device in callers {
            device.await.unwrap().unwrap_err();
        }
    }
    let (calls, begun) = (harness.sts.calls(), Instant::now());
    for n in 0..100 {
        let refused = harness.vend("app-one", &format!("other-{n}")).await.unwrap_err();
        let VendError::CircuitOpen { retry_after } = refused else { panic!("{refused:?}") };
        assert!(retry_after <= secs(5));
    }
    assert_eq!((harness.sts.calls() - calls, begun.elapsed()), (0, Duration::ZERO));
    harness.sts.set(|sts| sts.behavior = StsBehavior::Healthy);
    sleep(secs(5)).await;
    assert!(
        harness.vend("app-one", "device").await.is_ok(),
        "one call tries again, and STS is back"
    );
    assert!(harness.vend("app-one", "another").await.is_ok());
}

/// The SDKs of a fleet request a token every five minutes, and STS fails from the 50th to the 70th minute, by errors or
/// by silence.
#[tokio::test(start_paused = true)]
async fn callers_with_usable_tokens_do_not_notice_20_minutes_without_sts() {
    for outage in [StsBehavior::Unavailable, StsBehavior::Silent] {
        let harness = harness();
        let devices: Vec<_> = (0..300)
            .map(|n| {
                let harness = harness.clone();
                tokio::spawn(async move {
                    sleep(secs(n)).await;
                    let mut longest = Duration::ZERO;
                    for _ in 0..24 {
                        let begun = Instant::now();
                        let vended = harness.vend("app-one", &format!("device-{n}")).await.unwrap();
                        assert!(harness.remaining(&vended) > secs(300));
                        longest = longest.max(begun.elapsed());
                        sleep(secs(300)).await;
                    }
                    longest
                })
            })
            .collect();
        sleep(secs(3000)).await;
        harness.sts.set(|sts| sts.behavior = outage);
        let before = harness.sts.calls();
        sleep(secs(1200)).await;
        let during = harness.sts.calls() - before;
        harness.sts.set(|sts| sts.behavior = StsBehavior::Healthy);
        for device in devices {
            // With a usable token a caller waits for one second at most; the first call takes LATENCY.
            assert!(device.await.unwrap() <= secs(1), "{outage:?}");
        }
        assert!(harness.given(Lookup::Stale) > 200, "{outage:?}: {}", harness.given(Lookup::Stale));
        assert_eq!(harness.given(Lookup::Failed), 0, "{outage:?}");
        println!("{outage:?}: {} stale, {during} calls", harness.given(Lookup::Stale));
        // Ten attempts open the breaker, a few are in flight by then, and at most one probe is made every 5 s.
        assert!(during < 10 + 20 + 240, "{during} calls while STS was down, {outage:?}");
    }
}

/// The source of our own credentials is down for so long that the last ones end.
#[tokio::test(start_paused = true)]
async fn without_credentials_to_sign_with_cached_tokens_are_vended_and_sts_is_not_called() {
    let harness = harness();
    harness.vend("app-one", "device").await.unwrap();
    harness.sts.set(|sts| sts.can_sign = false);
    let begun = Instant::now();
    for n in 0..100 {
        let refused = harness.vend("app-one", &format!("other-{n}")).await.unwrap_err();
        assert!(matches!(refused, VendError::NoCredentials), "{refused:?}");
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "none of them waits for the budget");
    for age in [1000, 1900, 3000] {
        sleep_until(begun + secs(age)).await;
        assert_eq!(harness.vend("app-one", "device").await.unwrap().id(), "STS.1", "at {age} s");
    }
    assert_eq!(harness.sts.calls(), 1);
    harness.sts.set(|sts| sts.can_sign = true);
    assert!(harness.vend("app-one", "other-1").await.is_ok());
    sleep(secs(30)).await;
    assert_ne!(harness.vend("app-one", "device").await.unwrap().id(), "STS.1");
}
