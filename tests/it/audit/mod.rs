//! The audit: a line for every decision, and what happens when it cannot be written.

mod failures;
mod find;
mod flood;
mod kill;
mod lines;
mod names;
mod rotation;
mod stdout;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::stage::{Answer, Stage, TIME_LIMIT, until};

/// `[audit]` for a stage: this file, and more keys.
fn to_file(path: &Path, more: &str) -> String {
    format!("[audit]\nsink = \"file\"\nfile = {path:?}\n{more}\n")
}

/// The text of a file, which may be compressed.
fn text_of(path: &Path) -> String {
    let mut file = std::fs::File::open(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    } else {
        file.read_to_string(&mut text).unwrap();
    }
    text
}

/// The lines of a file; each must be JSON.
fn lines(path: &Path) -> Vec<Value> {
    let text = text_of(path);
    assert!(text.is_empty() || text.ends_with('\n'), "a line is torn: {text}");
    let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    text.lines().map(read).collect()
}

/// The lines of refused and failed requests, in the file next to it.
fn refused(path: &Path) -> Vec<Value> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".refused");
    let beside = Path::new(&beside);
    if beside.exists() { lines(beside) } else { Vec::new() }
}

/// The number of decisions in these lines.
fn decisions(lines: &[Value]) -> u64 {
    lines.iter().map(|line| line["Count"].as_u64().unwrap_or(1)).sum()
}

/// How many tokens or tickets each request got according to the audit: a later failure retracts one.
pub(super) fn vended(lines: &[Value]) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for line in lines {
        let id = line["RequestId"].as_str().unwrap().to_owned();
        match line["Decision"].as_str().unwrap() {
            "Vended" | "Issued" => *times.entry(id).or_default() += 1,
            _ => drop(times.remove(&id)),
        }
    }
    times
}

/// The requests that got a token according to their answers; each once.
fn answered(answers: &[Answer]) -> BTreeMap<String, usize> {
    let successes = answers.iter().filter(|answer| answer.status == 200);
    successes.map(|answer| (answer.body["RequestId"].as_str().unwrap().to_owned(), 1)).collect()
}

/// The number of answers of each kind.
fn outcomes(answers: &[Answer]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.outcome()).or_default() += 1;
    }
    counts
}

/// A number of requests of one client for its token, all at once.
async fn crowd(stage: &Stage, count: usize) -> Vec<Answer> {
    let requests = (0..count).map(|_| stage.get("client-002", "/v1/token"));
    let all = futures_util::future::join_all(requests);
    tokio::time::timeout(TIME_LIMIT, all).await.expect("no request waits for the audit for long")
}

/// A value of `/metrics`.
async fn metric(stage: &Stage, name: &str) -> u64 {
    let (_, text) = stage.admin("/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}
