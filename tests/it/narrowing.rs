//! No token is wider than its grant, as the emulator's own evaluator sees it.

use appserver::emulator::ram::{Policy, Request};

use crate::stage::{Setting, Stage};

/// What a token's session policy lets through; the emulator's evaluator shares no code with the templates.
fn allows(policy: &str, action: &str, key: &str) -> bool {
    let resource = format!("acs:oss:oss-cn-hangzhou:11223344:{key}");
    Policy::parse(policy).unwrap().decide(&Request::new(action, &resource)).is_allowed()
}

/// The policy that STS was last asked for.
fn last_policy(stage: &Stage) -> String {
    stage.assume_role_calls().last().unwrap().parameters["Policy"].clone()
}

/// T7: what is asked against what is granted.
#[tokio::test]
async fn a_client_gets_its_own_grants_and_no_more_than_their_actions() {
    let second = "[clients.client-003]\ngrants = [\"one-album\", \"daily-photos\"]";
    let stage = Stage::set(Setting { config: second, ..Setting::default() }).await;
    let granted = [
        ("client-001", "read-all"),
        ("client-002", "daily-photos"),
        ("client-003", "daily-photos"),
        ("client-003", "one-album"),
    ];
    for client in ["client-001", "client-002", "client-003"] {
        for grant in ["read-all", "daily-photos", "one-album", "my-photos"] {
            let album = if grant == "one-album" { "&Parameters.album=2015" } else { "" };
            let answer = stage.get(client, &format!("/v1/token?Grant={grant}{album}")).await;
            let expected = if granted.contains(&(client, grant)) {
                "200 Success"
            } else {
                "403 Forbidden.Grant"
            };
            assert_eq!(answer.outcome(), expected, "{client} asks for {grant}");
        }
    }
    let calls = stage.assume_role_calls();
    assert_eq!(calls.len(), granted.len());
    let writes = ["oss:PutObject", "oss:DeleteObject", "oss:PutObjectAcl", "oss:PutBucketPolicy"];
    for call in calls {
        let policy = &call.parameters["Policy"];
        for key in ["sample-bucket/2015/01/01/grass.jpg", "sample-bucket/albums/2015/a.jpg"] {
            for action in writes {
                assert!(!allows(policy, action, key), "{action} on {key} by {policy}");
            }
        }
    }
    stage.close().await;
}

#[tokio::test]
async fn an_albums_token_reaches_that_album_only() {
    let stage = Stage::demo().await;
    let values = ["2015", "201", "2015-01", "a.b", "...", "x@y", "zoë", "東京", "a+b", "~", "-"];
    for album in values {
        let body = serde_json::json!({"Parameters": {"album": album}});
        let answer = stage.post("client-003", &body.to_string()).await;
        assert_eq!(answer.outcome(), "200 Success", "{album}");
        let policy = last_policy(&stage);
        for other in values {
            let key = format!("sample-bucket/albums/{other}/photo.jpg");
            assert_eq!(
                allows(&policy, "oss:GetObject", &key),
                album == other,
                "{album} reads {other}"
            );
        }
        for key in ["sample-bucket/albums/", "sample-bucket/x", "another-bucket/albums/2015/a.jpg"]
        {
            assert!(!allows(&policy, "oss:GetObject", key), "{album} reads {key}");
        }
        assert!(!allows(&policy, "oss:PutObject", &format!("sample-bucket/albums/{album}/a.jpg")));
    }
    stage.close().await;
}
