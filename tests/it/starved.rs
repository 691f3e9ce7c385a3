//! A process without CPU is late. No hit fails with a 5xx because of it.

use std::time::Duration;

use crate::stage::{Setting, Stage};

/// Longer than every internal time-out: the audit's two seconds, the requests' own.
const STARVED: Duration = Duration::from_millis(2_600);

/// Server and client share one thread here, so blocking it pauses all of them at any point.
#[tokio::test]
async fn hits_are_served_after_a_pause_of_the_process_longer_than_any_time_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let config = format!(
        "server.request_timeout_ms = 1000\nsts.attempt_timeout_ms = 500\nvend.call_timeout_ms = 500\n\
         [audit]\nsink = \"file\"\nfile = {file:?}\nbuffer_lines = 10\n"
    );
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    assert_eq!(stage.get("client-002", "/v1/token").await.status, 200);
    let requests = (0..32).map(|_| stage.get("client-002", "/v1/token"));
    let blocked = async {
        // Until requests are in flight, in all stages.
        for _ in 0..40 {
            tokio::task::yield_now().await;
        }
        std::thread::sleep(STARVED);
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(requests), blocked);
    let outcomes: Vec<_> = answers.iter().map(|answer| answer.outcome()).collect();
    assert_eq!(outcomes, ["200 Success"; 32]);
    let (_, metrics) = stage.admin("/metrics").await;
    assert!(!metrics.contains("appserver_requests_failed_total{"), "{metrics}");
    stage.close().await;
}
