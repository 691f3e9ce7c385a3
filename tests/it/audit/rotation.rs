//! Files that grow, are moved or deleted while lines are written.

use std::collections::BTreeSet;

use super::{answered, crowd, lines, to_file, until, vended};
use crate::stage::{Setting, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn rotation_under_load_loses_and_splits_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "max_file_bytes = 20000\nmax_files = 100");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.extend(crowd(&stage, 100).await);
    }
    stage.close().await;
    let mut all = Vec::new();
    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap().path();
        assert!(file.metadata().unwrap().len() <= 20_000, "{file:?}");
        all.extend(lines(&file));
        files += 1;
    }
    assert!(files > 20, "{files}");
    assert_eq!(all.len(), 1000);
    assert_eq!(vended(&all), answered(&answers));
}

/// So that a file can be read alone, even if the earlier ones are gone.
#[tokio::test(flavor = "multi_thread")]
async fn each_file_contains_the_policies_of_its_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "max_file_bytes = 40000\nmax_files = 100");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    for _ in 0..300 {
        stage.get("client-002", "/v1/token").await;
    }
    stage.close().await;
    let files: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|f| lines(&f.unwrap().path())).collect();
    assert!(files.len() > 3, "{}", files.len());
    for lines in files {
        let have_policies: Vec<_> = lines.iter().map(|line| line.get("Policy").is_some()).collect();
        assert!(
            have_policies[0] && !have_policies[1..].contains(&true),
            "in its first line alone: {have_policies:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_files_are_kept_than_configured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "max_file_bytes = 4096\nmax_files = 3");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    for _ in 0..5 {
        crowd(&stage, 40).await;
    }
    let newest = crowd(&stage, 1).await.remove(0);
    stage.close().await;
    let names: BTreeSet<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"];
    assert_eq!(names, expected.map(str::to_owned).into());
    assert_eq!(lines(&path).last().unwrap()["RequestId"], newest.body["RequestId"]);
}

/// By logrotate, or by hand.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_file_is_moved_or_deleted_the_new_one_contains_the_policies_of_its_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let written = async |count: usize| {
        until("the lines", async || path.exists() && lines(&path).len() == count).await;
    };
    let first = crowd(&stage, 3).await;
    written(3).await;
    let moved = folder.path().join("moved");
    std::fs::rename(&path, &moved).unwrap();
    let second = crowd(&stage, 2).await;
    written(2).await;
    let third = crowd(&stage, 1).await;
    written(3).await;
    std::fs::remove_file(&path).unwrap();
    let fourth = crowd(&stage, 1).await;
    stage.close().await;
    assert_eq!(vended(&lines(&moved)), answered(&first));
    assert_eq!(vended(&lines(&path)), answered(&fourth));
    drop((second, third));
}
