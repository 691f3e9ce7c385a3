//! What a client may ask for in a second.

use futures_util::future::join_all;

use crate::fleet::Fleet;
use crate::stage::{Setting, Stage};

#[tokio::test]
async fn a_client_beyond_its_limit_is_told_when_to_come_back_and_others_are_served() {
    let config = "[clients.client-002.limit]\nrequests_per_second = 1\nburst = 3\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    for _ in 0..3 {
        assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "200 Success");
    }
    let refused = stage.get("client-002", "/v1/whoami").await;
    assert_eq!(refused.outcome(), "429 Throttled.Client", "every route counts");
    let refused = stage.get("client-002", "/v1/token").await;
    let field = |name: &str| refused.headers[name].to_str().unwrap().to_owned();
    assert!(["1", "2"].contains(&field("retry-after").as_str()), "{}", field("retry-after"));
    assert_eq!(field("ratelimit-policy"), r#""client";q=3;w=3"#);
    assert_eq!(field("ratelimit"), r#""client";r=0;t=1"#);
    insta::assert_json_snapshot!(refused.steady(), @r#"
    {
      "Code": "Throttled.Client",
      "ErrorCode": "Throttled.Client",
      "ErrorMessage": "The client makes more than 1 requests a second.",
      "Message": "The client makes more than 1 requests a second.",
      "RequestId": "<RequestId>",
      "StatusCode": 429
    }
    "#);
    // Who is not authenticated spends nobody's limit, and others have their own.
    let stranger = stage.request("GET", "/v1/token").basic_auth("client-002", Some("wrong"));
    assert_eq!(stage.send(stranger).await.outcome(), "401 Unauthenticated");
    for _ in 0..10 {
        assert_eq!(stage.get("client-001", "/v1/token").await.outcome(), "200 Success");
    }
    stage.close().await;
}

#[tokio::test]
async fn whoami_shows_the_limit() {
    let config = "[clients.client-002.limit]\nrequests_per_second = 7\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let answer = stage.get("client-002", "/v1/whoami").await;
    let limit = serde_json::json!({"RequestsPerSecond": 7, "Burst": 7});
    assert_eq!(answer.body["Limit"], limit);
    assert_eq!(stage.get("client-001", "/v1/whoami").await.body.get("Limit"), None);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_count_a_clients_requests_together() {
    let config = "store.redis.timeout_ms = 5000\n\
                  [clients.client-003.limit]\nrequests_per_second = 1\nburst = 30\n";
    let fleet = Fleet::of(3, config).await;
    let asked = (0..90).map(|number| fleet.album(number % 3, "2015"));
    let served = join_all(asked).await.into_iter().filter(|(code, _)| code == "Success").count();
    // 30, and one more for each second that it took.
    assert!((30..=36).contains(&served), "{served} of 90");
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_replica_lets_its_part_through() {
    let config = "store.redis.expected_replicas = 3\n\
                  [clients.client-003.limit]\nrequests_per_second = 1\nburst = 30\n";
    let fleet = Fleet::of(1, config).await;
    fleet.redis.kill();
    fleet.album(0, "2015").await;
    fleet.until_degraded(true).await;
    let asked = (0..60).map(|_| fleet.album(0, "2015"));
    let served = join_all(asked).await.into_iter().filter(|(code, _)| code == "Success").count();
    assert!((9..=13).contains(&served), "{served} of 60");
    fleet.close();
}
