//! Strangers can cause any number of refusals; the records of tokens are not affected.

use std::net::IpAddr;

use serde_json::Value;

use super::{answered, crowd, decisions, lines, refused, to_file, vended};
use crate::stage::{Setting, Stage};

/// All lines of this file and of its rotated files.
fn all_of(folder: &std::path::Path, name: &str) -> (Vec<Value>, u64) {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let rest = file.strip_prefix(name);
        let is_of_it = rest.is_some_and(|rest| rest.is_empty() || rest[1..].parse::<u32>().is_ok());
        if is_of_it {
            all.extend(lines(&path));
            bytes += path.metadata().unwrap().len();
        }
    }
    (all, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_rotates_no_tokens_line_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    // Space for some fifty lines in all, and for twenty of refusals.
    let more = "max_file_bytes = 16384\nmax_files = 1\nmax_refused_files = 1\nrefusals_per_second = 1000\n";
    let config = to_file(&path, more);
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let mut answers = crowd(&stage, 15).await;
    let stranger = reqwest::Client::builder().no_proxy();
    let stranger = stranger.local_address(IpAddr::from([127, 0, 0, 2])).build().unwrap();
    for n in 0..40 {
        let flood = (0..50).map(|m| {
            let request = stranger.get(stage.url("/v1/token"));
            match m % 3 {
                0 => stage.send(request),
                1 => stage.send(request.basic_auth(format!("nobody-{n}-{m}"), Some("guess"))),
                _ => stage.send(request.bearer_auth("a.b.c")),
            }
        });
        futures_util::future::join_all(flood).await;
    }
    answers.extend(crowd(&stage, 5).await);
    stage.close().await;
    let (granted, _) = all_of(folder.path(), "audit.jsonl");
    assert_eq!(vended(&granted), answered(&answers));
    assert_eq!(granted.len(), 20, "and nothing else is there");
    let (others, bytes) = all_of(folder.path(), "audit.jsonl.refused");
    assert!(!others.is_empty() && bytes <= 2 * 16_384, "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_beyond_the_rate_are_reported_together_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(
        &path,
        "refusals_per_second = 2\n[auth_failure_limit]\nper_address_per_minute = 1\nper_address_burst = 5\n",
    );
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    for n in 0..200 {
        let request = stage.request("GET", "/v1/token").basic_auth("client-002", Some("guess"));
        let answer = stage.send(request).await;
        assert_eq!(answer.status, if n < 5 { 401 } else { 429 });
    }
    stage.get("client-002", "/v1/token?Grant=canary").await;
    let vended_by = crowd(&stage, 1).await;
    stage.close().await;
    assert_eq!(vended(&lines(&path)), answered(&vended_by));
    let refused = refused(&path);
    assert_eq!(decisions(&refused), 201);
    assert!(refused.len() < 60, "{}", refused.len());
    let together: Vec<_> = refused.iter().filter(|line| line.get("Count").is_some()).collect();
    assert!(!together.is_empty());
    for line in together {
        for member in ["RequestId", "Code", "Address", "Peer", "Reason", "First", "Last"] {
            assert!(line[member].is_string(), "{member}: {line}");
        }
    }
}
