//! Tokens of removed clients and changed grants.

use super::*;

fn only(clients: &[&str]) -> GrantHolders {
    GrantHolders::Only(clients.iter().map(|client| holder(client)).collect())
}

#[tokio::test(start_paused = true)]
async fn tokens_of_a_removed_client_are_removed_and_those_of_others_stay() {
    let harness = harness();
    for (client, name) in [("app-one", "one"), ("app-two", "two")] {
        harness.vend(client, name).await.unwrap();
    }
    harness.vendor.retain_holders(only(&["app-two"]));
    assert_eq!(harness.vend("app-two", "two").await.unwrap().id(), "STS.2");
    // A grant holder that remains gets a new token.
    assert_eq!(harness.vend("app-two", "one").await.unwrap().id(), "STS.3");
}

#[tokio::test(start_paused = true)]
async fn holders_that_are_removed_lose_their_tokens_and_no_others_do() {
    let harness = harness();
    for (client, name) in [("app-one", "one"), ("app-one", "three"), ("app-two", "two")] {
        harness.vend(client, name).await.unwrap();
    }
    let of_one = holder("app-one");
    assert_eq!(harness.vendor.remove_holders(|holder| *holder == of_one), 2);
    assert_eq!(harness.vend("app-two", "two").await.unwrap().id(), "STS.3");
    assert_eq!(harness.vend("app-one", "one").await.unwrap().id(), "STS.4");
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
async fn a_removed_token_is_not_refreshed() {
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
async fn a_call_in_flight_during_a_removal_serves_its_waiters_and_is_not_cached() {
    let harness = harness();
    let waiting = harness.spawn("app-one", "device", Duration::from_secs(15));
    sleep(LATENCY / 2).await;
    harness.vendor.retain_holders(only(&["app-two"]));
    assert_eq!(waiting.await.unwrap().unwrap().id(), "STS.1");
    assert_eq!(harness.vend("app-two", "device").await.unwrap().id(), "STS.2");
}
