//! The metadata server: metadata tokens, the role's name, and credentials that the emulated STS accepts.

use super::*;
use crate::Fault;
use reqwest::Method;

const TOKEN: &str = "/latest/api/token";
const ROLE: &str = "/latest/meta-data/ram/security-credentials/";
const CREDENTIALS: &str = "/latest/meta-data/ram/security-credentials/appserver-instance";
const TTL: &str = "X-aliyun-ecs-metadata-token-ttl-seconds";
const WITH_TOKEN: &str = "X-aliyun-ecs-metadata-token";

type Headers<'a> = &'a [(&'a str, &'a str)];
/// Whether a body shows a fault.
type Shows = fn(&str) -> bool;

impl Emulated {
    async fn with_metadata(http_tokens: &str) -> Self {
        Self::start_with(&format!("http_tokens = \"{http_tokens}\"")).await
    }

    async fn metadata(&self, method: Method, path: &str, headers: Headers<'_>) -> (u16, String) {
        let url = format!("{}{path}", self.metadata_url);
        let mut request = self.http.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn get(&self, path: &str, headers: Headers<'_>) -> (u16, String) {
        self.metadata(Method::GET, path, headers).await
    }

    async fn token(&self) -> String {
        let (status, token) = self.metadata(Method::PUT, TOKEN, &[(TTL, "60")]).await;
        assert_eq!(status, 200);
        token
    }

    async fn credentials(&self) -> Value {
        let (status, document) = self.get(CREDENTIALS, &[]).await;
        assert_eq!(status, 200);
        serde_json::from_str(&document).unwrap()
    }
}

#[tokio::test]
async fn the_credentials_are_a_session_of_the_role_and_assume_the_roles_that_the_service_vends() {
    let emulated = Emulated::with_metadata("required").await;
    let token = emulated.token().await;
    let headers = [(WITH_TOKEN, token.as_str())];
    assert_eq!(emulated.get(ROLE, &headers).await, (200, "appserver-instance".to_owned()));
    let (status, document) = emulated.get(CREDENTIALS, &headers).await;
    let mut document: Value = serde_json::from_str(&document).unwrap();
    let secret = |name: &str| document[name].as_str().unwrap().to_owned();
    let (id, key, token) =
        (secret("AccessKeyId"), secret("AccessKeySecret"), secret("SecurityToken"));
    for (name, text) in
        [("AccessKeyId", "STS.…"), ("AccessKeySecret", "…"), ("SecurityToken", "CAIS…")]
    {
        document[name] = text.into();
    }
    let expected = json!({
        "AccessKeyId": "STS.…",
        "AccessKeySecret": "…",
        "SecurityToken": "CAIS…",
        "LastUpdated": "2016-01-13T14:02:37Z",
        "Expiration": "2016-01-13T20:02:37Z",
        "Code": "Success",
    });
    assert_eq!((status, document), (200, expected));
    let by = |caller: Caller<'static>| caller.by(&id, "").with("SecurityToken", token.clone());
    let identity = Caller { secret: &key, ..by(Caller::new("GetCallerIdentity")) };
    let arn = emulated.call(&identity).await.body["Arn"].clone();
    assert_eq!(arn, "acs:ram::11223344:assumed-role/appserver-instance/vm-ram-i-emulated");
    let vended = Caller { secret: &key, ..by(Caller::assume_role()) };
    assert_eq!(emulated.call(&vended).await.status, 200);
}

#[tokio::test]
async fn http_tokens_decide_which_versions_are_served() {
    let mut served = Vec::new();
    for http_tokens in ["optional", "required", "unsupported"] {
        let emulated = Emulated::with_metadata(http_tokens).await;
        let (created, token) = emulated.metadata(Method::PUT, TOKEN, &[(TTL, "21600")]).await;
        let without = emulated.get(ROLE, &[]).await.0;
        let valid = match created {
            200 => emulated.get(ROLE, &[(WITH_TOKEN, &token)]).await.0,
            _ => 0,
        };
        let wrong = emulated.get(ROLE, &[(WITH_TOKEN, "wrong")]).await.0;
        served.push([created, without, valid, wrong]);
    }
    assert_eq!(served, [[200, 200, 200, 403], [200, 403, 200, 403], [404, 200, 0, 200]]);
}

#[tokio::test]
async fn a_token_is_refused_through_a_proxy_with_a_wrong_life_and_after_its_end() {
    let emulated = Emulated::with_metadata("required").await;
    let put = |headers| emulated.metadata(Method::PUT, TOKEN, headers);
    let refused = [
        put(&[(TTL, "60"), ("X-Forwarded-For", "203.0.113.7")]).await.0,
        put(&[(TTL, "0")]).await.0,
        put(&[(TTL, "21601")]).await.0,
        put(&[]).await.0,
    ];
    assert_eq!(refused, [403, 400, 400, 400]);
    let token = emulated.token().await;
    emulated.clock.advance(TimeDelta::seconds(60));
    assert_eq!(emulated.get(ROLE, &[(WITH_TOKEN, &token)]).await.0, 403);
}

#[tokio::test]
async fn an_instance_without_its_role_and_another_role_are_not_found() {
    let other = "/latest/meta-data/ram/security-credentials/oss-readonly";
    let emulated = Emulated::start().await;
    assert_eq!(emulated.get(other, &[]).await.0, 404);
    assert_eq!(emulated.get("/latest/meta-data/instance-id", &[]).await.0, 404);
    let gone = Emulated::start_with("role_arn = \"acs:ram::11223344:role/gone\"").await;
    assert_eq!(gone.get(ROLE, &[]).await.0, 404);
}

#[tokio::test]
async fn a_role_that_does_not_trust_ecs_has_no_credentials() {
    let emulated = Emulated::start_with(&format!("role_arn = \"{READ_ONLY}\"")).await;
    let path = "/latest/meta-data/ram/security-credentials/oss-readonly";
    let (status, document) = emulated.get(path, &[]).await;
    let document: Value = serde_json::from_str(&document).unwrap();
    let expected = json!({ "Code": "Failed", "LastUpdated": "2016-01-13T14:02:37Z" });
    assert_eq!((status, document), (200, expected));
}

#[tokio::test]
async fn answers_have_the_date_of_the_emulators_clock() {
    let emulated = Emulated::start().await;
    emulated.control.script_metadata(Fault::Html { status: 500.try_into().unwrap() }.times(1));
    for _ in 0..2 {
        let url = format!("{}{ROLE}", emulated.metadata_url);
        let answer = emulated.http.get(url).send().await.unwrap();
        assert_eq!(answer.headers()[header::DATE], "Wed, 13 Jan 2016 14:02:37 GMT");
    }
}

#[tokio::test]
async fn the_old_credentials_are_valid_beside_the_new_ones() {
    let emulated = Emulated::start().await;
    let old = emulated.credentials().await;
    emulated.clock.advance(minutes(329));
    assert_eq!(emulated.credentials().await, old);
    emulated.clock.advance(minutes(1));
    let new = emulated.credentials().await;
    assert_eq!(new["Expiration"], "2016-01-14T01:32:37Z");
    let token = old["SecurityToken"].as_str().unwrap();
    assert!(emulated.settings.token_key().open(token, emulated.clock.now()).is_ok());
}

#[tokio::test]
async fn each_fault_of_the_metadata_server_shows_in_its_answer() {
    let emulated = Emulated::start().await;
    let status = |status: u16| status.try_into().unwrap();
    let field = |field: &str| Fault::MissingField { field: field.to_owned() };
    let code = Fault::OtherText { field: "Code".to_owned(), text: "Failed".to_owned() };
    let error =
        Fault::Error { status: status(500), code: String::new(), message: "down".to_owned() };
    let table: [(Fault, u16, Shows); 10] = [
        (Fault::Html { status: status(502) }, 502, |body| body.starts_with("<html>")),
        (error, 500, |body| body == "down"),
        (Fault::Throttle { time_left_ms: 1 }, 429, |body| body.contains("429")),
        (code, 200, |body| body.contains(r#""Code":"Failed""#)),
        (field("Expiration"), 200, |body| !body.contains("Expiration")),
        (Fault::EmptyCredentials, 200, |body| body.contains(r#""SecurityToken":"""#)),
        (Fault::Malformed, 200, |body| serde_json::from_str::<Value>(body).is_err()),
        (Fault::Oversized { bytes: 9000 }, 200, |body| body.len() > 9000),
        (Fault::ShortLived { seconds: -60 }, 200, |body| body.contains("2016-01-13T14:01:37Z")),
        (Fault::Slow { delay_ms: 1 }, 200, |body| body.contains(r#""Code":"Success""#)),
    ];
    for (fault, status, shows) in table {
        emulated.control.script_metadata(fault.clone().times(1).only("GetCredentials"));
        let (found, body) = emulated.get(CREDENTIALS, &[]).await;
        assert!(found == status && shows(&body), "{fault:?}: {found} {body}");
    }
    assert_eq!(emulated.control.metadata_faults(), []);
    emulated.control.script_metadata(Fault::Cut { mid_body: false }.times(1));
    let url = format!("{}{ROLE}", emulated.metadata_url);
    assert!(emulated.http.get(url).send().await.is_err());
}

#[tokio::test]
async fn the_log_of_calls_shows_the_version_of_each_request_and_no_token() {
    let emulated = Emulated::start().await;
    let token = emulated.token().await;
    emulated.get(ROLE, &[(WITH_TOKEN, &token)]).await;
    emulated.get(CREDENTIALS, &[]).await;
    let url = format!("{}/_emulator/metadata/calls", emulated.url);
    let body = answered(emulated.http.get(url).send().await.unwrap()).await.body;
    let calls: Vec<Value> = body["Calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| json!([call["Method"], call["Action"], call["Parameters"], call["Outcome"]]))
        .collect();
    let expected = [
        json!(["PUT", "CreateToken", { "TtlSeconds": "60" }, "Success"]),
        json!(["GET", "GetRoleName", { "HasToken": "true" }, "Success"]),
        json!(["GET", "GetCredentials", {}, "Success"]),
    ];
    assert_eq!(calls, expected);
    assert_eq!(emulated.control.calls(), []);
}

#[tokio::test]
async fn faults_of_the_metadata_server_are_scripted_over_http_and_leave_sts_alone() {
    let emulated = Emulated::start().await;
    let url = format!("{}/_emulator/metadata/faults", emulated.url);
    let fault = json!({ "Fault": { "Html": { "Status": 503 } } });
    let scripted = emulated.http.post(&url).body(fault.to_string()).send().await.unwrap();
    assert_eq!(answered(scripted).await.body, json!({ "Faults": [fault] }));
    assert_eq!(emulated.get(ROLE, &[]).await.0, 503);
    assert_eq!(emulated.call(&Caller::assume_role()).await.status, 200);
    emulated.http.delete(&url).send().await.unwrap();
    assert_eq!(emulated.get(ROLE, &[]).await.0, 200);
}

#[tokio::test]
async fn the_demos_issuer_signs_a_token_for_any_subject() {
    let emulated = Emulated::start().await;
    let url = format!("{}/_emulator/jwt?sub=a&aud=b", emulated.url);
    let jwt = emulated.http.get(url).send().await.unwrap().text().await.unwrap();
    assert_eq!(jwt, jwt.trim());
    assert_eq!(jwt.split('.').count(), 3);
}
