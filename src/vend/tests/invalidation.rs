//! Tokens of clients that were disabled, and of grants that were changed.

use super::*;

fn only(clients: &[&str]) -> GrantHolders {
    GrantHolders::Only(clients.iter().map(|client| holder(client)).collect())
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_for_a_client_that_is_gone_is_dropped_and_the_others_stays() {
    let harness = harness();
    for (client, name) in [("app-one", "one"), ("app-two", "two")] {
        harness.vend(client, name).await.unwrap();
    }
    harness.vendor.retain_holders(only(&["app-two"]));
    assert_eq!(harness.vend("app-two", "two").await.unwrap().id(), "STS.2");
    // Whoever may still have the same is served anew.
    assert_eq!(harness.vend("app-two", "one").await.unwrap().id(), "STS.3");
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_was_changed_is_another_holder() {
    let harness = harness();
    harness.vend("app-one", "device").await.unwrap();
    let changed = GrantHolder { grant: Fingerprint::of([&b"changed"[..]]), ..holder("app-one") };
    harness.vendor.retain_holders(GrantHolders::Only([changed.clone()].into()));
    let soon = Instant::now() + Duration::from_secs(15);
    let vended = harness.vendor.vend(&changed, &session("device"), soon).await.unwrap();
    assert_eq!(vended.id(), "STS.2");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_dropped_is_not_renewed() {
    let harness = harness();
    for _ in 0..2 {
        harness.vend("app-one", "one").await.unwrap();
        harness.vend("app-two", "two").await.unwrap();
    }
    harness.vendor.retain_holders(only(&["app-two"]));
    sleep(Duration::from_secs(1790)).await;
    assert_eq!(harness.sts.names(), ["one", "two", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_was_under_way_serves_who_waits_and_is_not_kept() {
    let harness = harness();
    let waiting = harness.spawn("app-one", "device", Duration::from_secs(15));
    sleep(LATENCY / 2).await;
    harness.vendor.retain_holders(only(&["app-two"]));
    assert_eq!(waiting.await.unwrap().unwrap().id(), "STS.1");
    assert_eq!(harness.vend("app-two", "device").await.unwrap().id(), "STS.2");
}
