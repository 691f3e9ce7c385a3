//! The audit on standard output, of the command as operators start it.

use std::io::Read;

use serde_json::Value;

use crate::binary::{Running, Service, emulated_sts, in_time, text};
use crate::stage::TIME_LIMIT;

/// A number of requests for the service's one token, and their outcomes.
async fn ask(service: &Service, count: usize) -> Vec<(u16, String)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/v1/token", service.public());
    let asks = (0..count).map(|_| async {
        let request = client.get(&url).basic_auth("client-002", Some("abc"));
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        (status, body["RequestId"].as_str().unwrap().to_owned())
    });
    let all = futures_util::future::join_all(asks);
    tokio::time::timeout(TIME_LIMIT, all).await.expect("no request waits for the audit for long")
}

async fn ready_is(service: &Service, status: u16) {
    let url = format!("http://127.0.0.1:{}/readyz", service.admin());
    let come = async || reqwest::get(&url).await.is_ok_and(|response| response.status() == status);
    super::until("readyz changes", come).await;
}

/// As if the log collector has died.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_standard_output_has_the_configured_effect_and_does_not_end_the_server() {
    let (sts, _) = emulated_sts().await;
    for (policy, expected, ready) in [("refuse", 503, 503), ("continue", 200, 200)] {
        let service = Service::new(sts, "11223344");
        let more = [("APPSERVER__AUDIT__ON_FAILURE", policy)];
        let mut running = service.start_with(("testid", "testsecret"), &more);
        service.ready().await;
        drop(running.child().stdout.take());
        // The first write detects it.
        assert_eq!(ask(&service, 1).await[0].0, expected);
        let metrics = format!("http://127.0.0.1:{}/metrics", service.admin());
        let known = async || {
            let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
            text.contains("appserver_audit_up 0")
        };
        super::until("the loss is known", known).await;
        ready_is(&service, ready).await;
        let answers = ask(&service, 50).await;
        assert!(answers.iter().all(|(status, _)| *status == expected), "{policy}: {answers:?}");
        running.terminate();
        let output = running.ended();
        let log = text(&output.stderr);
        assert!(output.status.success(), "{log}");
        let logged = log.matches("audit lines cannot be written").count();
        assert_eq!(logged, 1, "loud, and once: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_standard_output_gets_its_lines_later() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let more = [("APPSERVER__AUDIT__BUFFER_LINES", "50")];
    let mut running: Running = service.start_with(("testid", "testsecret"), &more);
    service.ready().await;
    let mut served: Vec<String> = Vec::new();
    let mut refused = 0;
    let mut count = |answers: Vec<(u16, String)>| {
        for (status, id) in answers {
            if status == 200 { served.push(id) } else { refused += 1 }
        }
    };
    count(ask(&service, 300).await);
    ready_is(&service, 503).await;
    count(ask(&service, 20).await);
    let mut stdout = running.child().stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut all = String::new();
        stdout.read_to_string(&mut all).unwrap();
        all
    });
    ready_is(&service, 200).await;
    count(ask(&service, 20).await);
    running.terminate();
    assert!(running.ended().status.success());
    let all = in_time(|| reading.join().unwrap()).unwrap();
    let lines: Vec<_> =
        all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    let written: Vec<_> = super::vended(&lines).into_keys().collect();
    assert!(refused > 50, "{refused}");
    served.sort();
    assert_eq!(written, served);
}
