//! Tokens of clients that were disabled, and of grants that were changed.

use super::*;

fn only(clients: &[&str]) -> Holders {
    Holders::Only(clients.iter().map(|client| holder(client)).collect())
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_for_a_client_that_is_gone_is_dropped_and_the_others_stays() {
    let stage = stage();
    for (client, name) in [("app-one", "one"), ("app-two", "two")] {
        stage.vend(client, name).await.unwrap();
    }
    stage.vendor.keep_for(only(&["app-two"]));
    assert_eq!(stage.vend("app-two", "two").await.unwrap().id(), "STS.2");
    // Whoever may still have the same is served anew.
    assert_eq!(stage.vend("app-two", "one").await.unwrap().id(), "STS.3");
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_was_changed_is_another_holder() {
    let stage = stage();
    stage.vend("app-one", "phone").await.unwrap();
    let changed = Holder { grant: Fingerprint::of([&b"changed"[..]]), ..holder("app-one") };
    stage.vendor.keep_for(Holders::Only([changed.clone()].into()));
    let soon = Instant::now() + Duration::from_secs(15);
    let vended = stage.vendor.vend(&changed, &session("phone"), soon).await.unwrap();
    assert_eq!(vended.id(), "STS.2");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_dropped_is_not_renewed() {
    let stage = stage();
    for _ in 0..2 {
        stage.vend("app-one", "one").await.unwrap();
        stage.vend("app-two", "two").await.unwrap();
    }
    stage.vendor.keep_for(only(&["app-two"]));
    sleep(Duration::from_secs(1790)).await;
    assert_eq!(stage.sts.names(), ["one", "two", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_was_under_way_serves_who_waits_and_is_not_kept() {
    let stage = stage();
    let waiting = stage.spawn("app-one", "phone", Duration::from_secs(15));
    sleep(LATENCY / 2).await;
    stage.vendor.keep_for(only(&["app-two"]));
    assert_eq!(waiting.await.unwrap().unwrap().id(), "STS.1");
    assert_eq!(stage.vend("app-two", "phone").await.unwrap().id(), "STS.2");
}
