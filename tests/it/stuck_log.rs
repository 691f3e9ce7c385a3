//! A log that is not read.

use std::time::Duration;

use crate::binary::{Service, emulated_sts};
use crate::stage::TIME_LIMIT;

/// Standard error is a pipe, and this test never reads it.
#[tokio::test(flavor = "multi_thread")]
async fn an_unread_log_blocks_no_request_and_no_shutdown() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let more = [("APPSERVER__LOG__FILTER", "trace"), ("APPSERVER__AUDIT__SINK", "off")];
    let mut running = service.start_with(("testid", "testsecret"), &more);
    service.ready().await;
    let http = reqwest::Client::builder().no_proxy().timeout(TIME_LIMIT / 3).build().unwrap();
    let url = format!("http://127.0.0.1:{}/v1/token", service.public());
    let metrics = format!("http://127.0.0.1:{}/metrics", service.admin());
    let dropped = async || {
        let text = http.get(&metrics).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix("appserver_log_lines_dropped_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let begun = tokio::time::Instant::now();
    while dropped().await == 0 {
        for _ in 0..20 {
            let request = http.get(&url).basic_auth("client-002", Some("abc"));
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
        assert!(begun.elapsed() < TIME_LIMIT, "nothing is dropped");
    }
    running.terminate();
    let ended = async {
        loop {
            if let Some(status) = running.child().try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(TIME_LIMIT, ended).await.unwrap().success());
}
