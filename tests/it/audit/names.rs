//! Lines without the names of users.

use appserver_emulator::{Fault, demo_jwt, demo_jwt_for};
use serde_json::json;

use super::{lines, refused, to_file};
use crate::binary::{run, text};
use crate::stage::{Answer, Setting, Stage};
use crate::uploads::ask;

const KEY: &str = "YXVkaXQtc3ViamVjdC1rZXktZm9yLXRlc3RzLTAwMDE=";

async fn token(stage: &Stage, user: &str, query: &str) -> Answer {
    let path = format!("/v1/token{query}");
    stage.send(stage.request("GET", &path).bearer_auth(demo_jwt(user, stage.clock.now()))).await
}

/// Every kind of line that can name a user or an object of theirs.
#[tokio::test]
async fn with_hashed_subjects_no_line_has_a_name_and_each_user_is_found_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "hash_subjects = true\nsubject_key_file = \"subject-key\"");
    let files = [("subject-key", KEY)];
    let stage = Stage::set(Setting { config: &config, files: &files, ..Setting::default() }).await;
    for user in ["alice", "bob"] {
        for _ in 0..2 {
            assert_eq!(token(&stage, user, "").await.status, 200);
        }
    }
    let cat = json!({"Grant": "photo-upload", "Name": "cat.jpg", "ContentType": "image/jpeg"});
    let form = ask(&stage, "alice", "/v1/uploads", &cat).await;
    let key = form.body["Fields"]["key"].as_str().unwrap().to_owned();
    assert!(key.contains("alice"), "{}", form.body);
    for (key, status) in [(key.as_str(), 200), ("users/bob/cat.jpg", 403)] {
        let url = json!({"Grant": "photo-upload", "Method": "GET", "Key": key});
        assert_eq!(ask(&stage, "alice", "/v1/urls", &url).await.status, status);
    }
    assert_eq!(ask(&stage, "alice", "/v1/tickets", &json!({})).await.status, 200);
    assert_eq!(token(&stage, "alice", "?Grant=none").await.status, 403);
    // The reason quotes the audience of a token that is for somebody else.
    let astray = demo_jwt_for("alice", "of-alice", stage.clock.now());
    let astray = stage.request("GET", "/v1/token").bearer_auth(astray);
    assert_eq!(stage.send(astray).await.status, 401);
    // The reason quotes the policy that the caller sent, and the grant's.
    let beyond = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/users/bob/*"}]}"#;
    let beyond = ask(&stage, "alice", "/v1/token", &json!({ "Policy": beyond })).await;
    assert_eq!(beyond.outcome(), "403 Forbidden.Policy");
    let no = Fault::Error {
        status: 403.try_into().unwrap(),
        code: "NoPermission".into(),
        message: "no".into(),
    };
    stage.sts.script(no.times(1).only("AssumeRole"));
    assert_eq!(token(&stage, "alice", "?DurationSeconds=901").await.status, 502);

    let over = stage.folder().join("over.toml").display().to_string();
    let file = path.display().to_string();
    let find = |arguments: &[&str]| {
        let configured = ["--config", "config/dev.toml", "--config", &over];
        let refused = format!("{file}.refused");
        let all = [&["audit", "find", "--json", &file, &refused], arguments, &configured].concat();
        let output = run(&all, &[]);
        assert_eq!(
            text(&output.stderr)
                .replace("appserver: there is no such decision in these files\n", ""),
            ""
        );
        text(&output.stdout).lines().count()
    };
    // The lines of refusals are written by the time of the stop; the files of the configuration go with the stage.
    crate::stage::until("written", async || {
        path.exists() && lines(&path).len() == 7 && refused(&path).len() >= 4
    })
    .await;
    let found = [
        find(&["--subject", "alice"]),
        find(&["--subject", "alice", "--issuer", "demo"]),
        find(&["--subject", "bob"]),
        find(&["--subject", "carol"]),
        find(&["--key", &key]),
    ];
    stage.close().await;
    assert_eq!(found, [9, 9, 2, 0, 2]);

    let all = [lines(&path), refused(&path)].concat();
    for line in &all {
        let text = line.to_string();
        assert!(!text.contains("alice") && !text.contains("bob"), "{text}");
        // A refused token has none.
        assert!(line["Subject"].as_str().is_none_or(|one| one.starts_with("hmac:")), "{text}");
        assert!(line.get("Policy").is_none() && line.get("PolicySha256").is_none(), "{text}");
    }
    let hashed = |member: &str| {
        let mut all: Vec<_> = all.iter().map(|line| &line[member]).collect();
        all.retain(|value| value.as_str().is_some_and(|text| text.starts_with("hmac:")));
        all.sort_by_key(ToString::to_string);
        all.dedup();
        all.len()
    };
    // Two users with a session each; the object of the form and that of the refused URL.
    assert_eq!(["Subject", "SessionName", "Key"].map(hashed), [2, 2, 2]);
    let grant: Vec<_> =
        all.iter().filter(|line| line["SessionName"] == "grant@photo-upload").collect();
    assert_eq!(grant.len(), 2);
    // Without the configuration a name finds nothing.
    assert_eq!(run(&["audit", "find", "--subject", "alice", &file], &[]).status.code(), Some(1));
    let hash = all[0]["Subject"].as_str().unwrap();
    let by_hash = run(&["audit", "find", "--json", "--subject", hash, &file], &[]);
    assert!(text(&by_hash.stdout).lines().count() > 1);
}

/// From before the names were hashed.
#[test]
fn lines_with_plain_names_are_found_beside_hashed_ones() {
    let folder = tempfile::tempdir().unwrap();
    let over = folder.path().join("over.toml");
    std::fs::write(folder.path().join("subject-key"), KEY).unwrap();
    std::fs::write(&over, "[audit]\nhash_subjects = true\nsubject_key_file = \"subject-key\"\n")
        .unwrap();
    let over = over.display().to_string();
    let vector = "tests/vectors/audit/uploads.jsonl";
    let of_config = ["--config", "config/dev.toml", "--config", &over];
    let count = |arguments: &[&str]| {
        let all = [&["audit", "find", "--json", "--subject", "alice", vector], arguments].concat();
        text(&run(&all, &[]).stdout).lines().count()
    };
    let plain = count(&[]);
    assert!(plain > 0);
    assert_eq!(count(&of_config), plain);
    std::fs::remove_file(folder.path().join("subject-key")).unwrap();
    let missing = run(&[&["audit", "find", vector], &of_config[..]].concat(), &[]);
    assert_eq!(missing.status.code(), Some(64));
    assert!(text(&missing.stderr).contains("audit.subject_key_file"), "{}", text(&missing.stderr));
}
