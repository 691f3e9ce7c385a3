//! No token allows more than its grant, by the emulator's own evaluator.

use appserver_emulator::ram::{Policy, Request};

use crate::stage::{Setting, Stage, repository};

/// The requests that a token's session policy allows; the emulator's evaluator shares no code with the templates.
fn allows(policy: &str, action: &str, key: &str) -> bool {
    let resource = format!("acs:oss:oss-cn-hangzhou:11223344:{key}");
    Policy::parse(policy).unwrap().decide(&Request::new(action, &resource)).is_allowed()
}

/// The policy of the latest call to STS.
fn last_policy(stage: &Stage) -> String {
    stage.assume_role_calls().last().unwrap().parameters["Policy"].clone()
}

/// Requested grants against configured ones.
#[tokio::test]
async fn a_client_gets_its_own_grants_and_no_more_than_their_actions() {
    let more = format!(
        "[grants.uploads]\nrole = \"oss-readwrite\"\npolicy = {:?}\n\
         [clients.client-003]\ngrants = [\"one-album\", \"daily-photos\", \"uploads\"]",
        repository("config/policies/upload-only.json")
    );
    let stage = Stage::set(Setting { config: &more, ..Setting::default() }).await;
    let granted = [
        ("client-001", "read-all"),
        ("client-002", "daily-photos"),
        ("client-003", "daily-photos"),
        ("client-003", "one-album"),
        ("client-003", "uploads"),
    ];
    for client in ["client-001", "client-002", "client-003"] {
        for grant in ["read-all", "daily-photos", "one-album", "uploads", "my-photos"] {
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
    // The requests that each token allows; a read grant allows no writing, and the reverse.
    let requests = [
        ("oss:GetObject", "sample-bucket/2015/01/01/grass.jpg"),
        ("oss:GetObject", "sample-bucket/albums/2015/a.jpg"),
        ("oss:GetObject", "sample-bucket/uploads/client-003/a.jpg"),
        ("oss:GetObject", "another-bucket/a.jpg"),
        ("oss:PutObject", "sample-bucket/2015/01/01/grass.jpg"),
        ("oss:PutObject", "sample-bucket/albums/2015/a.jpg"),
        ("oss:PutObject", "sample-bucket/uploads/client-003/a.jpg"),
        ("oss:PutObject", "sample-bucket/uploads/client-00/a.jpg"),
        ("oss:DeleteObject", "sample-bucket/uploads/client-003/a.jpg"),
        ("oss:PutObjectAcl", "sample-bucket/uploads/client-003/a.jpg"),
        ("oss:PutBucketPolicy", "sample-bucket"),
        ("oss:ListObjects", "sample-bucket"),
    ];
    let lines = granted.iter().zip(&calls).map(|((client, grant), call)| {
        let policy = &call.parameters["Policy"];
        let may = requests.iter().filter(|(action, key)| allows(policy, action, key));
        let may: Vec<_> = may.map(|(action, key)| format!("{action} {key}")).collect();
        format!("{client} {grant}: {}", may.join(", "))
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
client-001 read-all: oss:GetObject sample-bucket/2015/01/01/grass.jpg, oss:GetObject sample-bucket/albums/2015/a.jpg, oss:GetObject sample-bucket/uploads/client-003/a.jpg, oss:GetObject another-bucket/a.jpg, oss:ListObjects sample-bucket
client-002 daily-photos: oss:GetObject sample-bucket/2015/01/01/grass.jpg
client-003 daily-photos: oss:GetObject sample-bucket/2015/01/01/grass.jpg
client-003 one-album: oss:GetObject sample-bucket/albums/2015/a.jpg
client-003 uploads: oss:PutObject sample-bucket/uploads/client-003/a.jpg
");
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
