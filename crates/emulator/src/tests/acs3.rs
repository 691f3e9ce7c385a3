//! ACS3-HMAC-SHA256, as `sts20150401` of Python and Node signs.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::*;

const FORM: &str = "application/x-www-form-urlencoded";

/// A call signed as documented, by a separate implementation.
#[derive(Clone)]
struct Acs3Caller {
    secret: &'static str,
    query: &'static str,
    body: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Acs3Caller {
    fn new(action: &str) -> Self {
        let headers = [
            ("x-acs-action", action.to_owned()),
            ("x-acs-content-sha256", String::new()),
            ("x-acs-date", START.to_owned()),
            ("x-acs-signature-nonce", uuid::Uuid::new_v4().to_string()),
            ("x-acs-version", "2015-04-01".to_owned()),
        ];
        Self { secret: "testsecret", query: "", body: "", headers: headers.into() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    async fn send(&self, emulated: &Emulated, id: &str) -> Answered {
        let hash = |text: &str| hex::encode(Sha256::digest(text));
        let host = emulated.url.strip_prefix("http://").unwrap().to_owned();
        let mut headers = self.headers.clone();
        headers.push(("host", host));
        headers.sort_unstable();
        for (name, value) in &mut headers {
            if *name == "x-acs-content-sha256" {
                *value = hash(self.body);
            }
        }
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical = format!("POST\n/\n{}\n{lines}\n{names}\n{}", self.query, hash(self.body));
        let to_sign = format!("ACS3-HMAC-SHA256\n{}", hash(&canonical));
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        let signature = hex::encode(mac.chain_update(to_sign).finalize().into_bytes());
        let authorization =
            format!("ACS3-HMAC-SHA256 Credential={id},SignedHeaders={names},Signature={signature}");
        let url = format!("{}/?{}", emulated.url, self.query);
        let mut request = emulated.http.post(url).body(self.body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.header(header::AUTHORIZATION, authorization);
        answered(request.header(header::CONTENT_TYPE, FORM).send().await.unwrap()).await
    }
}

const ASSUME: &str =
    "RoleArn=acs%3Aram%3A%3A11223344%3Arole%2Foss-readonly&RoleSessionName=client-002";

#[tokio::test]
async fn a_role_is_assumed_with_parameters_in_the_query_or_the_form() {
    let emulated = Emulated::start().await;
    let in_query = Acs3Caller { query: ASSUME, ..Acs3Caller::new("AssumeRole") };
    let in_form = Acs3Caller { body: ASSUME, ..Acs3Caller::new("AssumeRole") };
    let expected = json!({
        "RequestId": "…",
        "AssumedRoleUser": {
            "Arn": "acs:ram::11223344:role/oss-readonly/client-002",
            "AssumedRoleId": "391578752573972854:client-002",
        },
        "Credentials": {
            "AccessKeyId": "STS.…",
            "AccessKeySecret": "…",
            "SecurityToken": "CAIS…",
            "Expiration": "2016-01-13T15:02:37Z",
        },
    });
    for caller in [in_query, in_form] {
        let answered = without_randomness(caller.send(&emulated, "testid").await);
        assert_eq!(answered, Answered { status: 200, body: expected.clone() });
    }
    let actions = emulated.control.calls().into_iter().map(|call| (call.action, call.outcome));
    let logged = ("AssumeRole".to_owned(), "Success".to_owned());
    assert_eq!(actions.collect::<Vec<_>>(), [logged.clone(), logged]);
}

#[tokio::test]
async fn a_session_signs_with_its_token() {
    let emulated = Emulated::start().await;
    let credentials = emulated.call(&Caller::assume_role()).await.body["Credentials"].clone();
    let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
    let secret = Box::leak(text("AccessKeySecret").into_boxed_str());
    let caller = Acs3Caller { secret, ..Acs3Caller::new("GetCallerIdentity") };
    let signed = caller.clone().with("x-acs-security-token", text("SecurityToken"));
    let answered = signed.send(&emulated, &text("AccessKeyId")).await;
    let arn = "acs:ram::11223344:assumed-role/oss-readonly/client-002";
    assert_eq!((answered.status, &answered.body["Arn"]), (200, &json!(arn)));
    let without = caller.send(&emulated, &text("AccessKeyId")).await;
    assert_eq!((without.status, &without.body["Code"]), (400, &json!("MissingSecurityToken")));
}

#[tokio::test]
async fn the_gateway_refuses_the_same_as_in_rpc() {
    let emulated = Emulated::start().await;
    let good = || Acs3Caller::new("GetCallerIdentity");
    let wrong = Acs3Caller { secret: "wrong", ..good() };
    let replayed = good();
    assert_eq!(replayed.send(&emulated, "testid").await.status, 200);
    let table = [
        (wrong, "testid", 400, "SignatureDoesNotMatch"),
        (replayed, "testid", 400, "SignatureNonceUsed"),
        (good(), "nobody", 404, "InvalidAccessKeyId.NotFound"),
        (good(), "disabledid", 400, "InvalidAccessKeyId.Inactive"),
        (
            good().with("x-acs-date", "2016-01-13T13:47:36Z"),
            "testid",
            400,
            "InvalidTimeStamp.Expired",
        ),
        (good().with("x-acs-action", "Dance"), "testid", 404, "InvalidApi.NotFound"),
        (good().with("x-acs-version", "1"), "testid", 400, "InvalidVersion"),
        (good().without("x-acs-signature-nonce"), "testid", 400, "MissingSignatureNonce"),
        (good().without("x-acs-action"), "testid", 400, "MissingAction"),
    ];
    for (caller, id, status, code) in table {
        let answered = caller.send(&emulated, id).await;
        assert_eq!((answered.status, &answered.body["Code"]), (status, &json!(code)));
    }
}
