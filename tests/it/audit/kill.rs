//! A server that is killed: every token that left is in the audit.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{lines, vended};
use crate::binary::{Service, emulated_sts, in_time};

/// Requests tokens, eight at a time, until the server is gone; returns the ids of the answered requests.
async fn tokens_until_it_is_gone(service: &Service, soon: impl Fn()) -> BTreeMap<String, usize> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/v1/token", service.public());
    let served = Mutex::new(BTreeMap::new());
    let asks = (0..8).map(|_| async {
        loop {
            let request = client.get(&url).basic_auth("client-002", Some("abc"));
            let Ok(answer) = request.send().await else { return };
            let Ok(text) = answer.text().await else { return };
            let body: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(body["Code"], "Success");
            let mut served = served.lock().unwrap();
            served.insert(body["RequestId"].as_str().unwrap().to_owned(), 1);
            if served.len() == 150 {
                soon();
            }
        }
    });
    futures_util::future::join_all(asks).await;
    served.into_inner().unwrap()
}

/// With lines that were only queued when their tokens left, 232 of 62,054 tokens in twelve such rounds had no line.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_no_line_of_a_token_that_has_left() {
    let (sts, _) = emulated_sts().await;
    for durability in ["process", "disk", "process", "process"] {
        let service = Service::new(sts, "11223344");
        let path = service.folder().join("audit.jsonl");
        let file = path.display().to_string();
        let more = [
            ("APPSERVER__AUDIT__SINK", "file"),
            ("APPSERVER__AUDIT__FILE", file.as_str()),
            ("APPSERVER__AUDIT__DURABILITY", durability),
        ];
        let running = Mutex::new(service.start_with(("testid", "testsecret"), &more));
        service.ready().await;
        let kill = || running.lock().unwrap().child().kill().unwrap();
        let served = tokens_until_it_is_gone(&service, kill).await;
        running.into_inner().unwrap().ended();
        assert!(served.len() >= 150, "{}", served.len());
        // The last line may be incomplete; its token has not left.
        let text = std::fs::read_to_string(&path).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        std::fs::write(&path, &text[..whole]).unwrap();
        let written = vended(&lines(&path));
        let lost: Vec<_> = served.keys().filter(|id| !written.contains_key(*id)).collect();
        assert_eq!(lost, [] as [&String; 0], "{durability}: of {}", served.len());
    }
}

/// The reader of a pipe has what was written, even if the server is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_no_line_on_standard_output_either() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let mut running = service.start(("testid", "testsecret"));
    let mut stdout = running.child().stdout.take().unwrap();
    let read = std::thread::spawn(move || {
        let mut all = Vec::new();
        stdout.read_to_end(&mut all).map(|_| all)
    });
    service.ready().await;
    let running = Arc::new(Mutex::new(running));
    let kill = || running.lock().unwrap().child().kill().unwrap();
    let served = tokens_until_it_is_gone(&service, kill).await;
    let all = in_time(|| read.join().unwrap().unwrap()).unwrap();
    let whole = all.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    let path = service.folder().join("read");
    std::fs::write(&path, &all[..whole]).unwrap();
    let written = vended(&lines(&path));
    assert!(
        served.keys().all(|id| written.contains_key(id)),
        "{} of {}",
        written.len(),
        served.len()
    );
}
