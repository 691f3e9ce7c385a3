//! The log's filter, changed while the process runs: it is the only part of the log that is global to the process.

use std::time::Duration;

use serde_json::Value;

use crate::binary::{Service, emulated_sts};
use crate::stage::TIME_LIMIT;

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_turns_debug_lines_on_and_the_next_one_off() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let plain = std::fs::read_to_string(service.config()).unwrap();
    let debugging = format!("{plain}\n[log]\nfilter = \"info,appserver=debug\"\n");
    let mut running = service.start(("testid", "testsecret"));
    service.ready().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let hash = async || -> String {
        let url = format!("http://127.0.0.1:{}/version", service.admin);
        let version = client.get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<Value>(&version).unwrap()["ConfigHash"].to_string()
    };
    for config in [&plain, &debugging, &plain] {
        if *config != std::fs::read_to_string(service.config()).unwrap() {
            let before = hash().await;
            std::fs::write(service.config(), config).unwrap();
            running.signal("HUP");
            let reloaded = async {
                while hash().await == before {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(TIME_LIMIT, reloaded)
                .await
                .expect("the configuration is reloaded");
        }
        let url = format!("http://127.0.0.1:{}/v1/token", service.public);
        let answer = client.get(url).basic_auth("client-002", Some("abc")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    running.terminate();
    let log = String::from_utf8(running.ended().stderr).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered: Vec<_> = lines.iter().filter(|line| line["message"] == "answered").collect();
    // Of the three requests, the one in the middle.
    assert_eq!(answered.len(), 1, "{log}");
    assert_eq!(answered[0]["level"], "DEBUG");
    // No part of it needs a restart.
    assert!(!log.contains("restart"), "{log}");
}
