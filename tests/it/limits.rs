//! The limits of requests: of a client per second, and of each of its users per minute.

use std::time::Duration;

use appserver_emulator::demo_jwt;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::crowd::{self, Crowd};
use crate::fleet::Fleet;
use crate::stage::{Answer, Setting, Stage};

async fn get_as(stage: &Stage, user: &str) -> Answer {
    let jwt = demo_jwt(user, stage.clock.now());
    stage.send(stage.request("GET", "/v1/token").bearer_auth(jwt)).await
}

#[tokio::test]
async fn a_client_beyond_its_limit_gets_retry_after_and_others_are_served() {
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
      "ErrorMessage": "The client makes more than 1 request a second.",
      "Message": "The client makes more than 1 request a second.",
      "RequestId": "<RequestId>",
      "StatusCode": 429
    }
    "#);
    // Unauthenticated requests spend no limit, and other clients have their own.
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
    let limit = serde_json::json!({"RequestsPerSecond": 7, "Burst": 7, "Mode": "enforce"});
    assert_eq!(answer.body["Limit"], limit);
    assert_eq!(stage.get("client-001", "/v1/whoami").await.body.get("Limit"), None);
    stage.close().await;
}

#[tokio::test]
async fn whoami_shows_the_limit_of_a_user() {
    let config = "[clients.photo-app.subject_limit]\n\
                  requests_per_minute = 10\nburst = 20\nmode = \"shadow\"\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let jwt = demo_jwt("alice", stage.clock.now());
    let answer = stage.send(stage.request("GET", "/v1/whoami").bearer_auth(jwt)).await;
    let limit = serde_json::json!({"RequestsPerMinute": 10, "Burst": 20, "Mode": "shadow"});
    assert_eq!(answer.body["SubjectLimit"], limit);
    // The client by its own secret is no user.
    let answer = stage.get("photo-app", "/v1/whoami").await;
    assert_eq!(answer.body.get("SubjectLimit"), None);
    stage.close().await;
}

#[tokio::test]
async fn a_user_beyond_their_limit_gets_retry_after_and_other_users_are_served() {
    let config = "[clients.photo-app.subject_limit]\nrequests_per_minute = 6\nburst = 3\n\
                  [clients.photo-app.limit]\nrequests_per_second = 1\nburst = 7\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    for _ in 0..3 {
        assert_eq!(get_as(&stage, "alice").await.outcome(), "200 Success");
    }
    for _ in 0..20 {
        assert_eq!(get_as(&stage, "alice").await.outcome(), "429 Throttled.Client");
    }
    let refused = get_as(&stage, "alice").await;
    let field = |name: &str| refused.headers[name].to_str().unwrap().to_owned();
    assert_eq!(field("ratelimit-policy"), r#""subject";q=3;w=30"#);
    let wait = field("ratelimit").replace("t=9", "t=10");
    assert_eq!(wait, r#""subject";r=0;t=10"#);
    insta::assert_json_snapshot!(refused.steady(), @r#"
    {
      "Code": "Throttled.Client",
      "ErrorCode": "Throttled.Client",
      "ErrorMessage": "The user makes more than 6 requests a minute.",
      "Message": "The user makes more than 6 requests a minute.",
      "RequestId": "<RequestId>",
      "StatusCode": 429
    }
    "#);
    // The user's refused requests did not spend the client's 7.
    for _ in 0..3 {
        assert_eq!(get_as(&stage, "bob").await.outcome(), "200 Success");
    }
    let (_, metrics) = stage.admin("/metrics").await;
    let counted =
        r#"appserver_throttled_total{client="photo-app",limit="subject",mode="enforce"} 21"#;
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    stage.close().await;
}

#[tokio::test]
async fn a_limit_in_shadow_mode_rejects_no_request_and_counts() {
    let config = "[clients.photo-app.subject_limit]\n\
                  requests_per_minute = 1\nmode = \"shadow\"\n\
                  [clients.photo-app.limit]\n\
                  requests_per_second = 1\nburst = 2\nmode = \"shadow\"\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    for _ in 0..20 {
        assert_eq!(get_as(&stage, "alice").await.outcome(), "200 Success");
    }
    let (_, metrics) = stage.admin("/metrics").await;
    let counted = |limit: &str| {
        let start = format!(
            r#"appserver_throttled_total{{client="photo-app",limit="{limit}",mode="shadow"}} "#
        );
        let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
        line.map(|count| count.parse::<u32>().unwrap())
    };
    assert_eq!(counted("subject"), Some(19));
    assert!(counted("client").is_some_and(|count| count >= 10), "{metrics}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_at_twenty_times_their_limit_does_not_affect_a_hundred_clients_and_their_users() {
    let config = "[clients.photo-app.subject_limit]\nrequests_per_minute = 60\nburst = 20\n\
                  [clients.photo-app.limit]\nrequests_per_second = 100\nburst = 100\n";
    let config = config.to_owned() + &crowd::config();
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let greedy = async || get_as(&stage, "greedy").await.status == 429;
    let users = async {
        let user = async |n| get_as(&stage, &format!("user-{n}")).await.status == 200;
        join_all((0..50).map(user)).await.into_iter().filter(|served| *served).count()
    };
    let (crowd, users) = tokio::join!(Crowd::beside(&stage, greedy), users);
    println!("{crowd:?}");
    assert!(crowd.abuser_refused >= 350 && crowd.abuser_passed < 50, "{crowd:?}");
    assert!(crowd.served_percent() >= 99.0, "{crowd:?}");
    assert_eq!(users, 50, "the other users of the same client");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_count_a_users_requests_together_and_redis_holds_no_subject() {
    let config = "store.redis.timeout_ms = 5000\n\
                  [clients.photo-app.subject_limit]\nrequests_per_minute = 6\nburst = 9\n";
    let fleet = Fleet::of(3, config).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let served = async |user: &str| {
        let jwt = demo_jwt(user, fleet.clock.now());
        let requests = (0..30).map(|number| {
            let url = format!("http://{}/v1/whoami", fleet.replicas[number % 3].public_addr());
            http.get(url).bearer_auth(&jwt).send()
        });
        let answers = join_all(requests).await.into_iter();
        answers.filter(|answer| answer.as_ref().unwrap().status() == 200).count()
    };
    let (alices, bobs) = (served("alice").await, served("bob").await);
    // 9 each, and one more for each ten seconds that it took.
    assert!((9..=10).contains(&alices) && (9..=10).contains(&bobs), "{alices}, {bobs}");
    let mut connection = fleet.redis.connection().await;
    let names: Vec<String> =
        redis::cmd("KEYS").arg("*:limit").query_async(&mut connection).await.unwrap();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!names.concat().contains("alice") && !names.concat().contains("photo"), "{names:?}");
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_count_a_clients_requests_together() {
    let config = "store.redis.timeout_ms = 5000\n\
                  [clients.client-003.limit]\nrequests_per_second = 1\nburst = 30\n";
    let fleet = Fleet::of(3, config).await;
    let requests = (0..90).map(|number| fleet.album(number % 3, "2015"));
    let served = join_all(requests).await.into_iter().filter(|(code, _)| code == "Success").count();
    // 30, and one more for each second that it took.
    assert!((30..=36).contains(&served), "{served} of 90");
    fleet.close();
}

/// Above twenty requests a second each replica takes several from Redis at once: it spends exactly its share, and
/// requests beyond the limit cost Redis nothing.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_a_limit_of_two_hundred_a_second_with_few_requests_to_redis() {
    let config = "store.redis.timeout_ms = 5000\n\
                  [clients.client-003.limit]\nrequests_per_second = 200\nburst = 100\n";
    let fleet = Fleet::of(2, config).await;
    // Not counted: it fetches the token.
    for replica in [0, 1] {
        fleet.album(replica, "2015").await;
    }
    let asked_redis = async || {
        let mut requests = 0.0;
        for replica in [0, 1] {
            let metrics = fleet.admin(replica, "/metrics").await;
            let start = "appserver_store_call_duration_seconds_count{operation=\"limit\"";
            let lines = metrics.lines().filter(|line| line.starts_with(start));
            requests += lines
                .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
                .sum::<f64>();
        }
        requests
    };
    let before = asked_redis().await;
    let began = Instant::now();
    // One after the other at each replica, for two seconds and a half, as fast as they are answered.
    let from = async |replica| {
        let (mut served, mut refused) = (0_u32, 0_u32);
        while began.elapsed() < Duration::from_millis(2_500) {
            match fleet.album(replica, "2015").await.0.as_str() {
                "Success" => served += 1,
                "Throttled.Client" => refused += 1,
                other => panic!("{other}"),
            }
        }
        (served, refused)
    };
    let ((one, one_refused), (two, two_refused)) = tokio::join!(from(0), from(1));
    let took = began.elapsed().as_secs_f64();
    let (served, refused) = (f64::from(one + two), one_refused + two_refused);
    let calls = asked_redis().await - before;
    println!("{served} served, {refused} refused, {calls} calls to Redis in {took} s");
    assert!(served <= 100.0 + 200.0 * took + 20.0, "{served} of 200 a second in {took} s");
    // Also on a machine that paused in between.
    if refused > 0 {
        assert!(served >= 0.5 * (90.0 + 200.0 * took), "{served} of 200 a second in {took} s");
    }
    // Every twentieth of a second each replica asks until nothing is left, and then once more.
    assert!(calls <= 2.0 * 65.0 * took + 20.0, "{calls} calls to Redis");
    fleet.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_replica_admits_its_part_of_a_limit() {
    let config = "store.redis.expected_replicas = 3\n\
                  [clients.client-003.limit]\nrequests_per_second = 1\nburst = 30\n";
    let fleet = Fleet::of(1, config).await;
    fleet.redis.kill();
    fleet.album(0, "2015").await;
    fleet.until_degraded(true).await;
    let requests = (0..60).map(|_| fleet.album(0, "2015"));
    let served = join_all(requests).await.into_iter().filter(|(code, _)| code == "Success").count();
    assert!((9..=13).contains(&served), "{served} of 60");
    fleet.close();
}
