//! Each fault, as a client sees it.

use super::super::{ErrorStatus, Fault};
use super::*;

fn status(status: u16) -> ErrorStatus {
    ErrorStatus::try_from(status).unwrap()
}

async fn struck(fault: Fault) -> (Emulated, reqwest::Result<reqwest::Response>) {
    let emulated = Emulated::start().await;
    emulated.control.script(fault.times(1));
    let response = emulated.request(&Caller::assume_role()).send().await;
    (emulated, response)
}

#[tokio::test]
async fn throttling_says_when_to_retry() {
    let (emulated, response) = struck(Fault::Throttle { time_left_ms: 1500 }).await;
    let response = response.unwrap();
    let hint = response.headers()["x-ratelimit-user-api"].to_str().unwrap().to_owned();
    let expected = json!({
        "RequestId": "…",
        "HostId": "sts.aliyuncs.com",
        "Code": "Throttling.User",
        "Message": "Request was denied due to user flow control.",
        "Recommend": "https://api.aliyun.com/troubleshoot?q=Throttling.User&product=Sts",
    });
    assert_eq!(hint, "Limit:100,Remain:0,TimeLeft:1500,Reset:1500");
    let answered = without_randomness(answered(response).await);
    assert_eq!(answered, Answered { status: 400, body: expected });
    assert_eq!(emulated.call(&Caller::assume_role()).await.status, 200);
}

#[tokio::test]
async fn any_error_can_be_scripted() {
    let code = "InternalError".to_owned();
    let message = "STS Server Internal Error happened, please send the RequestId to us.".to_owned();
    let fault = Fault::Error { status: status(500), code: code.clone(), message: message.clone() };
    let (emulated, response) = struck(fault).await;
    let body = answered(response.unwrap()).await;
    assert_eq!(
        (body.status, &body.body["Code"], &body.body["Message"]),
        (500, &json!(code), &json!(message))
    );
    assert_eq!(emulated.control.calls()[0].outcome, "InternalError");
}

#[tokio::test]
async fn an_error_page_is_html() {
    let (_emulated, response) = struck(Fault::Html { status: status(502) }).await;
    let response = response.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html");
    let body = json!(
        "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
    );
    assert_eq!(answered(response).await, Answered { status: 502, body });
}

#[tokio::test]
async fn a_cut_before_the_answer_leaves_none() {
    let (emulated, response) = struck(Fault::Cut { mid_body: false }).await;
    assert!(response.is_err());
    assert_eq!(emulated.control.calls()[0].outcome, "Fault.Cut");
    assert_eq!(emulated.call(&Caller::assume_role()).await.status, 200);
}

#[tokio::test]
async fn a_cut_in_the_body_leaves_half_of_it() {
    let (_emulated, response) = struck(Fault::Cut { mid_body: true }).await;
    let response = response.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.is_err());
}

#[tokio::test]
async fn a_malformed_answer_is_not_json() {
    let (_emulated, response) = struck(Fault::Malformed).await;
    let text = response.unwrap().text().await.unwrap();
    assert!(text.starts_with("{\"AssumedRoleUser\""), "{text}");
    assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
}

#[tokio::test]
async fn a_field_can_be_missing_anywhere() {
    let (_emulated, response) =
        struck(Fault::MissingField { field: "Expiration".to_owned() }).await;
    let Answered { status, body } = answered(response.unwrap()).await;
    let fields: Vec<_> = body["Credentials"].as_object().unwrap().keys().collect();
    assert_eq!(status, 200);
    assert_eq!(fields, ["AccessKeyId", "AccessKeySecret", "SecurityToken"]);
}

#[tokio::test]
async fn credentials_can_be_empty_in_a_successful_answer() {
    let (_emulated, response) = struck(Fault::EmptyCredentials).await;
    let Answered { status, body } = answered(response.unwrap()).await;
    let expected = json!({
        "AccessKeyId": "",
        "AccessKeySecret": "",
        "SecurityToken": "",
        "Expiration": "2016-01-13T15:02:37Z",
    });
    assert_eq!((status, &body["Credentials"]), (200, &expected));
}

#[tokio::test]
async fn an_answer_can_be_oversized_and_well_formed() {
    let (_emulated, response) = struck(Fault::Oversized { bytes: 1 << 20 }).await;
    let Answered { status, body } = answered(response.unwrap()).await;
    assert_eq!((status, body["Padding"].as_str().unwrap().len()), (200, 1 << 20));
}

#[tokio::test]
async fn a_field_can_have_another_text() {
    let arn = "acs:ram::11223344:role/another/session";
    let fault = Fault::OtherText { field: "Arn".to_owned(), text: arn.to_owned() };
    let (emulated, response) = struck(fault).await;
    let Answered { status, body } = answered(response.unwrap()).await;
    assert_eq!((status, &body["AssumedRoleUser"]["Arn"]), (200, &json!(arn)));
    assert_eq!(emulated.control.calls()[0].outcome, "Fault.OtherText");
}

#[tokio::test]
async fn credentials_can_have_a_shorter_lifetime_than_requested() {
    let (emulated, response) = struck(Fault::ShortLived { seconds: 60 }).await;
    let Answered { body, .. } = answered(response.unwrap()).await;
    assert_eq!(body["Credentials"]["Expiration"], "2016-01-13T14:03:37Z");
    let token = body["Credentials"]["SecurityToken"].as_str().unwrap();
    let key = emulated.settings.token_key();
    assert!(key.open(token, start() + TimeDelta::seconds(59)).is_ok());
    assert!(key.open(token, start() + TimeDelta::seconds(60)).is_err());
}

#[tokio::test]
async fn a_skewed_clock_shows_in_the_date_and_moves_the_window() {
    let emulated = Emulated::start().await;
    emulated.control.script(Fault::SkewedClock { seconds: 1200 }.always());
    let response = emulated.request(&Caller::assume_role()).send().await.unwrap();
    assert_eq!(response.headers()[header::DATE], "Wed, 13 Jan 2016 14:22:37 GMT");
    assert_eq!(answered(response).await.body["Code"], "InvalidTimeStamp.Expired");
    let corrected = Caller::assume_role().at(start() + minutes(20));
    let body = emulated.call(&corrected).await.body;
    assert_eq!(body["Credentials"]["Expiration"], "2016-01-13T15:22:37Z");
}

#[tokio::test]
async fn a_quota_limits_the_calls_of_a_second() {
    let emulated = Emulated::start().await;
    emulated.control.script(Fault::Quota { per_second: 2 }.always().only("AssumeRole"));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(emulated.call(&Caller::assume_role()).await.status);
    }
    statuses.push(emulated.call(&Caller::new("GetCallerIdentity")).await.status);
    emulated.clock.advance(TimeDelta::seconds(1));
    statuses.push(emulated.call(&Caller::assume_role()).await.status);
    assert_eq!(statuses, [200, 200, 400, 200, 200]);
    assert_eq!(emulated.control.totals()["AssumeRole"]["Throttling.User"], 1);
}

#[tokio::test]
async fn a_slow_answer_is_delayed() {
    let emulated = Emulated::start().await;
    emulated.control.script(Fault::Slow { delay_ms: 60_000 }.times(1));
    let limit = std::time::Duration::from_millis(50);
    let caller = Caller::assume_role();
    let waited = tokio::time::timeout(limit, emulated.request(&caller).send()).await;
    assert!(waited.is_err());
    assert_eq!(emulated.call(&caller).await.status, 200);
}

#[tokio::test]
async fn a_slow_call_is_recorded_while_it_waits_and_after_its_client_disconnected() {
    let emulated = Emulated::start().await;
    emulated.control.script(Fault::Slow { delay_ms: 60_000 }.times(1));
    let whole_role = Caller::assume_role().without("Policy");
    let call = tokio::spawn(emulated.request(&whole_role).send());
    emulated.outcomes(&[""]).await;
    assert_eq!(emulated.control.unrestricted_calls(), emulated.control.calls());
    call.abort();
    emulated.outcomes(&["Abandoned"]).await;
    assert_eq!(emulated.control.unrestricted_calls(), emulated.control.calls());
    assert_eq!(emulated.control.totals()["AssumeRole"]["Abandoned"], 1);
}

#[tokio::test]
async fn faults_that_decide_the_answer_apply_to_one_call_each_in_order() {
    let emulated = Emulated::start().await;
    emulated.control.script(Fault::Throttle { time_left_ms: 1 }.times(2).only("AssumeRole"));
    emulated.control.script(Fault::Html { status: status(503) }.times(1));
    let mut statuses = vec![emulated.call(&Caller::new("GetCallerIdentity")).await.status];
    for _ in 0..3 {
        statuses.push(emulated.call(&Caller::assume_role()).await.status);
    }
    assert_eq!(statuses, [503, 400, 400, 200]);
    assert_eq!(emulated.control.faults(), []);
}

/// The sum of many skews is limited, so that the emulator's time can be formatted.
#[tokio::test]
async fn skews_that_add_up_to_more_than_the_calendar_are_a_refused_timestamp() {
    let emulated = Emulated::start().await;
    for seconds in [i32::MAX, i32::MIN] {
        emulated.control.clear_faults();
        for _ in 0..5_000 {
            emulated.control.script(Fault::SkewedClock { seconds }.always());
        }
        let (status, code, _) = emulated.error(&Caller::assume_role()).await;
        assert_eq!((status, code.as_str()), (400, "InvalidTimeStamp.Expired"), "{seconds}");
    }
}

#[tokio::test]
async fn a_replayed_nonce_is_reported_while_faults_are_active() {
    let emulated = Emulated::start().await;
    emulated.control.script(Fault::Html { status: status(503) }.always());
    let caller = Caller::assume_role();
    assert_eq!(emulated.call(&caller).await.status, 503);
    assert_eq!(emulated.error(&caller).await.1, "SignatureNonceUsed");
}
