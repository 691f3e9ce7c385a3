//! STS fails, and callers notice as little as can be.

use super::*;

/// T18.
#[tokio::test(start_paused = true)]
async fn while_sts_fails_a_token_is_handed_out_until_five_minutes_are_left_and_never_longer() {
    let stage = stage();
    stage.vend("app-one", "phone").await.unwrap();
    stage.sts.set(|sts| sts.mood = Mood::Troubled);
    for age in [1801, 2500, 3299] {
        let at = stage.sts.0.lock().unwrap().start + LATENCY + secs(age);
        sleep_until(at).await;
        let stale = stage.vend("app-one", "phone").await.unwrap();
        assert_eq!(stale.id(), "STS.1", "at {age} s");
        assert!(stage.remaining(&stale) > secs(299), "it was usable when the wait began");
        let back = stale.refresh_after - stale.token.credentials().issued_at();
        assert!((i64::try_from(age).unwrap()..3600).contains(&back.num_seconds()));
    }
    assert_eq!(stage.given(Lookup::Stale), 3);
    sleep(secs(2)).await;
    let refused = stage.vend("app-one", "phone").await.unwrap_err();
    assert!(refused.is_passing(), "{refused:?}");
    // A failed call has not cost the token its place; a successful one takes it.
    stage.sts.set(|sts| sts.mood = Mood::Well);
    sleep(secs(10)).await;
    let fresh = stage.vend("app-one", "phone").await.unwrap();
    assert_eq!(stage.remaining(&fresh), secs(3600) - LATENCY);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_ends_the_use_of_a_token_that_is_no_longer_fresh() {
    let stage = stage();
    stage.vend("app-one", "phone").await.unwrap();
    sleep(secs(1900)).await;
    stage.sts.set(|sts| sts.mood = Mood::Refusing(Reason::NoPermission));
    assert!(matches!(stage.vend("app-one", "phone").await, Err(VendError::Sts(_))));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_lives_shorter_does_not_take_the_place_of_one_that_lives_longer() {
    let stage = stage();
    stage.vend("app-one", "phone").await.unwrap();
    sleep(secs(1900)).await;
    stage.sts.set(|sts| sts.life = Some(TimeDelta::seconds(10)));
    assert_eq!(stage.vend("app-one", "phone").await.unwrap().id(), "STS.1");
    assert_eq!(stage.sts.calls(), 2);
    stage.sts.set(|sts| sts.mood = Mood::Troubled);
    assert_eq!(stage.vend("app-one", "phone").await.unwrap().id(), "STS.1");
}

#[tokio::test(start_paused = true)]
async fn the_breaker_spares_callers_the_wait_and_sts_the_calls() {
    let stage = stage();
    stage.sts.set(|sts| sts.mood = Mood::Silent);
    // Ten attempts in a row, of 5 s each, by callers who wait 15 s.
    for _ in 0..4 {
        let herd: Vec<_> =
            (0..3).map(|n| stage.spawn("app-one", &format!("phone-{n}"), secs(15))).collect();
        for phone in herd {
            phone.await.unwrap().unwrap_err();
        }
    }
    let (calls, begun) = (stage.sts.calls(), Instant::now());
    for n in 0..100 {
        let refused = stage.vend("app-one", &format!("other-{n}")).await.unwrap_err();
        let VendError::CircuitOpen { retry_after } = refused else { panic!("{refused:?}") };
        assert!(retry_after <= secs(5));
    }
    assert_eq!((stage.sts.calls() - calls, begun.elapsed()), (0, Duration::ZERO));
    stage.sts.set(|sts| sts.mood = Mood::Well);
    sleep(secs(5)).await;
    assert!(stage.vend("app-one", "phone").await.is_ok(), "one call tries again, and STS is back");
    assert!(stage.vend("app-one", "another").await.is_ok());
}

/// A fleet whose SDKs ask every five minutes, and STS is gone from the 50th to the 70th minute,
/// in either way.
#[tokio::test(start_paused = true)]
async fn sts_is_down_for_20_minutes_and_callers_with_usable_tokens_never_notice() {
    for outage in [Mood::Troubled, Mood::Silent] {
        let stage = stage();
        let phones: Vec<_> = (0..300)
            .map(|n| {
                let stage = stage.clone();
                tokio::spawn(async move {
                    sleep(secs(n)).await;
                    let mut longest = Duration::ZERO;
                    for _ in 0..24 {
                        let begun = Instant::now();
                        let vended = stage.vend("app-one", &format!("phone-{n}")).await.unwrap();
                        assert!(stage.remaining(&vended) > secs(300));
                        longest = longest.max(begun.elapsed());
                        sleep(secs(300)).await;
                    }
                    longest
                })
            })
            .collect();
        sleep(secs(3000)).await;
        stage.sts.set(|sts| sts.mood = outage);
        let before = stage.sts.calls();
        sleep(secs(1200)).await;
        let during = stage.sts.calls() - before;
        stage.sts.set(|sts| sts.mood = Mood::Well);
        for phone in phones {
            // One second is the patience of who has a usable token; LATENCY that of the first call.
            assert!(phone.await.unwrap() <= secs(1), "{outage:?}");
        }
        assert!(stage.given(Lookup::Stale) > 200, "{outage:?}: {}", stage.given(Lookup::Stale));
        assert_eq!(stage.given(Lookup::Failed), 0, "{outage:?}");
        println!("{outage:?}: {} stale, {during} calls", stage.given(Lookup::Stale));
        // Ten attempts open the breaker, a few are under way by then, and one probe is made each 5 s at most.
        assert!(during < 10 + 20 + 240, "{during} calls while STS was down, {outage:?}");
    }
}
