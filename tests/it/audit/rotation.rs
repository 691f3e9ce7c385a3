//! Files that grow and age, are compressed, moved or deleted while lines are written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{answered, crowd, lines, text_of, to_file, until, vended};
use crate::stage::{Setting, Stage};

/// The rotated files and the current one, once each that is to be compressed is.
async fn files_at_rest(folder: &Path) -> Vec<PathBuf> {
    let all = || {
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    };
    until("compressed", async || {
        all().iter().all(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            let number = name.strip_prefix("audit.jsonl.").unwrap_or_default();
            let is_compressed = file.extension().is_some_and(|extension| extension == "gz");
            name == "audit.jsonl" || number == "1" || is_compressed
        })
    })
    .await;
    all()
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_and_compression_under_load_lose_and_split_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "max_file_bytes = 20000\nmax_files = 100");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.extend(crowd(&stage, 100).await);
    }
    let written = async || files_at_rest(folder.path()).await;
    let count = async || written().await.iter().map(|file| lines(file).len()).sum::<usize>();
    until("written", async || count().await == 1000).await;
    let files = written().await;
    stage.close().await;
    let mut all = Vec::new();
    for file in &files {
        assert!(text_of(file).len() <= 20_000, "{file:?}");
        all.extend(lines(file));
    }
    assert!(files.len() > 20, "{files:?}");
    assert_eq!(all.len(), 1000);
    assert_eq!(vended(&all), answered(&answers));
}

/// So that a file can be read alone, even if the earlier ones are gone.
#[tokio::test(flavor = "multi_thread")]
async fn each_file_contains_the_policies_of_its_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "max_file_bytes = 40000\nmax_files = 100\ncompress = false");
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
    let config = to_file(&path, "max_file_bytes = 4096\nmax_files = 3\ncompress = false");
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

/// The clock passes the age between two requests; the first line of each file counts, also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_file_is_rotated_and_deleted_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let older = folder.path().join("audit.jsonl.3.gz");
    std::fs::write(&older, "of a time before").unwrap();
    let file = std::fs::File::options().write(true).open(&older).unwrap();
    // The stage's clock begins in 2016.
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365)).unwrap();
    let config = to_file(&path, "max_file_age_secs = 86400\nkeep_secs = 86400");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    until("deleted", async || !older.exists()).await;
    crowd(&stage, 1).await;
    stage.clock.advance(chrono::TimeDelta::hours(23));
    crowd(&stage, 2).await;
    stage.clock.advance(chrono::TimeDelta::hours(1));
    crowd(&stage, 3).await;
    stage.clock.advance(chrono::TimeDelta::hours(24));
    crowd(&stage, 4).await;
    let files = async || files_at_rest(folder.path()).await;
    until("three files", async || files().await.len() == 3).await;
    let files = files().await;
    stage.close().await;
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap()).collect();
    assert_eq!(names, ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2.gz"]);
    let counts: Vec<_> = files.iter().map(|file| lines(file).len()).collect();
    assert_eq!(counts, [4, 3, 3]);
}
