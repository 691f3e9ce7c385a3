//! Users of an app, whom their identity provider's token proves.

use appserver::emulator::{DEMO_AUDIENCE, DEMO_ISSUER, demo_jwt, sign};
use chrono::TimeDelta;
use serde_json::json;

use crate::stage::{Answer, Stage};

async fn get(stage: &Stage, path: &str, jwt: &str) -> Answer {
    stage.send(stage.request("GET", path).bearer_auth(jwt)).await
}

#[tokio::test]
async fn each_user_gets_a_token_for_their_own_prefix_and_nobody_elses() {
    let stage = Stage::demo().await;
    for user in ["alice", "bob"] {
        stage.sts.clear_calls();
        let jwt = demo_jwt(user, stage.clock.now());
        let answer = get(&stage, "/v1/token", &jwt).await;
        assert_eq!(answer.outcome(), "200 Success");
        let arn = format!("acs:ram::11223344:role/oss-readwrite/photo-app.{user}");
        assert_eq!(answer.body["AssumedRoleUser"]["Arn"], arn);
        let [call] = stage.assume_role_calls().try_into().unwrap();
        let policy = &call.parameters["Policy"];
        assert!(policy.contains(&format!("sample-bucket/users/{user}/*")), "{policy}");
        let other = if user == "alice" { "bob" } else { "alice" };
        assert!(!policy.contains(other), "{policy}");
    }
    stage.close().await;
}

#[tokio::test]
async fn whoami_shows_the_user_and_how_they_were_proven() {
    let stage = Stage::demo().await;
    let answer = get(&stage, "/v1/whoami", &demo_jwt("alice", stage.clock.now())).await;
    let shown = ["Client", "Issuer", "Subject", "AuthenticatedBy"];
    let shown = shown.map(|field| answer.body[field].clone());
    assert_eq!(shown, ["photo-app", "demo", "alice", "Jwt"]);
    let without = stage.get("client-002", "/v1/whoami").await;
    assert_eq!((without.body.get("Issuer"), without.body.get("Subject")), (None, None));
    stage.close().await;
}

/// A user with many groups has a long token. What the head of a request has room for is read, in both versions of HTTP.
#[tokio::test]
async fn a_token_as_long_as_the_head_has_room_for_is_taken() {
    let stage = Stage::demo().await;
    let token = |bytes: usize| {
        let claims = |groups: usize| {
            let exp = stage.clock.now().timestamp() + 600;
            let groups = "g".repeat(groups);
            sign(
                &json!({"iss": DEMO_ISSUER, "aud": DEMO_AUDIENCE, "sub": "alice", "exp": exp, "groups": groups}),
            )
        };
        claims((bytes - claims(0).len()) / 4 * 3)
    };
    for (bytes, expected) in [(1_000, 200), (9_000, 200), (15_500, 200), (17_000, 431)] {
        let request = stage.request("GET", "/v1/whoami").bearer_auth(token(bytes));
        assert_eq!(request.send().await.unwrap().status(), expected, "{bytes}");
    }
    stage.close().await;
}

/// T25: whatever is wrong with a token, the answer is the one that a wrong secret gets.
#[tokio::test]
async fn a_token_that_proves_nothing_is_answered_like_a_wrong_secret() {
    let stage = Stage::demo().await;
    let wrong = stage.request("GET", "/v1/token").basic_auth("client-002", Some("wrong"));
    let expected = stage.send(wrong).await.steady();
    let now = stage.clock.now();
    let good = demo_jwt("alice", now);
    let claims = |iss: &str, aud: &str| {
        sign(&json!({"iss": iss, "aud": aud, "sub": "alice", "exp": now.timestamp() + 600}))
    };
    let (signed, _) = good.rsplit_once('.').unwrap();
    for jwt in [
        "no token".to_owned(),
        demo_jwt("alice", now - TimeDelta::hours(2)),
        demo_jwt("alice", now + TimeDelta::hours(2)),
        claims("https://evil.example.com/", DEMO_AUDIENCE),
        claims(DEMO_ISSUER, "another-app"),
        format!("{signed}.{}", "A".repeat(86)),
    ] {
        let refused = get(&stage, "/v1/token", &jwt).await;
        assert_eq!(refused.steady(), expected, "{jwt}");
        assert!(refused.headers.contains_key("www-authenticate"));
    }
    assert_eq!(stage.assume_role_calls(), []);
    stage.close().await;
}

/// A user whose name would widen the policy is refused, whatever the identity provider let them be called.
#[tokio::test]
async fn a_users_name_cannot_widen_their_policy() {
    let stage = Stage::demo().await;
    for user in ["*", "alice/../bob", "a/b", "..", "al?ce", "${subject}", "a\"b"] {
        let answer = get(&stage, "/v1/token", &demo_jwt(user, stage.clock.now())).await;
        assert_eq!(answer.outcome(), "403 Forbidden.Grant", "{user}");
    }
    assert_eq!(stage.assume_role_calls(), []);
    stage.close().await;
}
