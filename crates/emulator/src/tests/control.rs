//! The control route and the log.

use super::super::{Call, Fault};
use super::*;

#[tokio::test]
async fn faults_are_scripted_shown_and_cleared_over_http() {
    let emulated = Emulated::start().await;
    let url = format!("{}/_emulator/faults", emulated.url);
    let script =
        json!({"Fault": {"Throttle": {"TimeLeftMs": 500}}, "Times": 3, "Action": "AssumeRole"});
    let listed = json!({ "Faults": [script] });

    let added = emulated.http.post(&url).body(script.to_string()).send().await.unwrap();
    assert_eq!(answered(added).await, Answered { status: 200, body: listed.clone() });
    let expected = Fault::Throttle { time_left_ms: 500 }.times(3).only("AssumeRole");
    assert_eq!(emulated.control.faults(), [expected]);

    emulated.call(&Caller::assume_role()).await;
    let left = answered(emulated.http.get(&url).send().await.unwrap()).await;
    assert_eq!(left.body["Faults"][0]["Times"], 2);

    assert_eq!(emulated.http.delete(&url).send().await.unwrap().status(), 204);
    assert_eq!(emulated.control.faults(), []);
}

#[tokio::test]
async fn every_fault_has_a_json_form() {
    let emulated = Emulated::start().await;
    let url = format!("{}/_emulator/faults", emulated.url);
    for fault in [
        json!({"Error": {"Status": 500, "Code": "InternalError", "Message": "…"}}),
        json!({"Html": {"Status": 502}}),
        json!({"Slow": {"DelayMs": 1}}),
        json!({"Cut": {"MidBody": true}}),
        json!("Malformed"),
        json!({"MissingField": {"Field": "Expiration"}}),
        json!("EmptyCredentials"),
        json!({"Oversized": {"Bytes": 1}}),
        json!({"ShortLived": {"Seconds": -1}}),
        json!({"SkewedClock": {"Seconds": -1}}),
        json!({"Quota": {"PerSecond": 1}}),
    ] {
        let script = json!({ "Fault": fault }).to_string();
        let status = emulated.http.post(&url).body(script).send().await.unwrap().status();
        assert_eq!(status, 200, "{fault}");
    }
}

#[tokio::test]
async fn a_misspelt_fault_is_refused() {
    let emulated = Emulated::start().await;
    let url = format!("{}/_emulator/faults", emulated.url);
    for body in [
        "",
        r#"{"Fault":"Earthquake"}"#,
        r#"{"Fault":"Malformed","Time":1}"#,
        r#"{"Fault":{"Html":{"Status":200}}}"#,
        r#"{"Fault":{"Slow":{"DelayMs":1,"Jitter":1}}}"#,
    ] {
        let answered = answered(emulated.http.post(&url).body(body).send().await.unwrap()).await;
        assert_eq!(
            (answered.status, &answered.body["Code"]),
            (400, &json!("MalformedRequest")),
            "{body}"
        );
    }
    assert_eq!(emulated.control.faults(), []);
}

#[tokio::test]
async fn calls_are_logged_without_secrets() {
    let emulated = Emulated::start().await;
    emulated.call(&Caller::new("GetCallerIdentity").with("SignatureNonce", "n")).await;
    emulated.call(&Caller { secret: "wrong", ..Caller::new("GetCallerIdentity") }).await;
    let calls = emulated.control.calls();
    let parameters = [
        ("AccessKeyId", "testid"),
        ("Format", "JSON"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureNonce", "n"),
        ("SignatureVersion", "1.0"),
        ("Timestamp", START),
        ("Version", "2015-04-01"),
    ];
    let expected = Call {
        at: start(),
        method: "POST".to_owned(),
        action: "GetCallerIdentity".to_owned(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        outcome: "Success".to_owned(),
        request_id: calls[0].request_id.clone(),
    };
    assert_eq!(calls[0], expected);
    assert_eq!(calls[1].outcome, "SignatureDoesNotMatch");

    let url = format!("{}/_emulator/calls", emulated.url);
    let listed = answered(emulated.http.get(&url).send().await.unwrap()).await.body;
    assert_eq!(listed["Calls"][0]["Outcome"], "Success");
    assert_eq!(
        listed["Totals"],
        json!({"GetCallerIdentity": {"SignatureDoesNotMatch": 1, "Success": 1}})
    );
    assert_eq!(emulated.http.delete(&url).send().await.unwrap().status(), 204);
    assert_eq!((emulated.control.calls(), emulated.control.totals().len()), (vec![], 0));
}

#[tokio::test]
async fn an_assume_role_call_without_a_policy_is_unrestricted() {
    let emulated = Emulated::start().await;
    emulated.call(&Caller::assume_role()).await;
    assert_eq!(emulated.control.unrestricted_calls(), []);
    emulated.call(&Caller::assume_role().without("Policy")).await;
    let unrestricted = [emulated.control.calls()[1].clone()];
    assert_eq!(emulated.control.unrestricted_calls(), unrestricted);
    emulated.control.clear_calls();
    assert_eq!(emulated.control.unrestricted_calls(), unrestricted);
}

#[tokio::test]
async fn addresses_other_than_loopback_are_refused() {
    for addr in ["0.0.0.0:0", "[::]:0"] {
        let settings = Emulated::start().await.settings;
        let clock = Clock::manual(start());
        let bound = Emulator::bind(settings, addr.parse().unwrap(), clock).await;
        assert_eq!(bound.err().unwrap().kind(), std::io::ErrorKind::InvalidInput, "{addr}");
    }
}

#[tokio::test]
async fn a_shutdown_ends_serve() {
    let settings = Emulated::start().await.settings;
    let addr = "127.0.0.1:0".parse().unwrap();
    let emulator = Emulator::bind(settings, addr, Clock::manual(start())).await.unwrap();
    let addr = emulator.sts_addr();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(emulator.serve(shutdown.clone()));
    shutdown.cancel();
    serving.await.unwrap();
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn the_clock_is_moved_shown_and_reset_over_http() {
    let emulated = Emulated::start().await;
    let url = format!("{}/_emulator/clock", emulated.url);
    let moved = |body: &'static str| emulated.http.post(&url).body(body).send();
    let clock = |now: &str, offset: i64| Answered {
        status: 200,
        body: json!({ "Now": now, "OffsetSeconds": offset }),
    };
    let later = answered(moved(r#"{"AdvanceSeconds":3600}"#).await.unwrap()).await;
    assert_eq!(later, clock("2016-01-13T15:02:37Z", 3600));
    let earlier = answered(moved(r#"{"AdvanceSeconds":-3660}"#).await.unwrap()).await;
    assert_eq!(earlier, clock("2016-01-13T14:01:37Z", -60));
    let listed = answered(emulated.http.get(&url).send().await.unwrap()).await;
    assert_eq!((listed, emulated.control.clock_offset_seconds()), (earlier, -60));

    for body in ["", r#"{"AdvanceSeconds":"1"}"#, r#"{"Advance":1}"#] {
        let refused = answered(moved(body).await.unwrap()).await;
        assert_eq!((refused.status, &refused.body["Code"]), (400, &json!("MalformedRequest")));
    }
    assert_eq!(emulated.http.delete(&url).send().await.unwrap().status(), 204);
    assert_eq!(emulated.control.now(), start());
}

#[tokio::test]
async fn sts_uses_the_moved_clock() {
    let emulated = Emulated::start().await;
    emulated.control.advance_clock(901);
    assert_eq!(emulated.error(&Caller::assume_role()).await.1, "InvalidTimeStamp.Expired");
    let later = Caller::assume_role().at(start() + TimeDelta::seconds(901));
    let expiration = emulated.call(&later).await.body["Credentials"]["Expiration"].clone();
    assert_eq!(expiration, "2016-01-13T15:17:38Z");
}

/// A script of a website can post text anywhere.
#[tokio::test]
async fn websites_do_not_control_the_emulator() {
    let emulated = Emulated::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (origin, status) in [
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1:8080", 200),
        ("http://localhost:8080", 200),
    ] {
        for path in ["faults", "calls", "oss/calls", "clock"] {
            let url = format!("{}/_emulator/{path}", emulated.url);
            let answer = http.get(url).header("Origin", origin).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{origin} {path}");
        }
        let url = format!("{}/_emulator/faults", emulated.url);
        let request = http.post(url).header("Origin", origin).header("Content-Type", "text/plain");
        let answer = request.body(r#"{"Fault":"Throttling"}"#).send().await.unwrap();
        assert_eq!(answer.status().as_u16() == 403, status == 403, "{origin}");
    }
}
