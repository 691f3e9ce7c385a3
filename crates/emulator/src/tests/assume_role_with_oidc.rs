//! AssumeRoleWithOIDC: unsigned calls with a token of the demo's issuer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::{DEMO_ISSUER, sign as sign_jwt};

const POD: &str = "acs:ram::11223344:role/appserver-pod";
const PROVIDER: &str = "acs:ram::11223344:oidc-provider/ack-rrsa-demo";
const ACCOUNT: &str = "system:serviceaccount:default:appserver";

fn claims() -> Value {
    json!({
        "iss": DEMO_ISSUER,
        "aud": ["other", "sts.aliyuncs.com"],
        "sub": ACCOUNT,
        "iat": start().timestamp(),
        "exp": (start() + TimeDelta::hours(1)).timestamp(),
    })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn params(jwt: &str) -> Vec<(&'static str, String)> {
    [
        ("Action", "AssumeRoleWithOIDC"),
        ("Version", "2015-04-01"),
        ("Format", "JSON"),
        ("Timestamp", START),
        ("OIDCProviderArn", PROVIDER),
        ("RoleArn", POD),
        ("RoleSessionName", "appserver"),
        ("OIDCToken", jwt),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

fn replaced(name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    let mut params = params(&sign_jwt(&claims()));
    params.retain(|(other, _)| *other != name);
    params.push((name, value.to_owned()));
    params
}

fn encoded(params: &[(&str, String)]) -> String {
    let pairs = params.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

impl Emulated {
    async fn with_oidc(&self, params: &[(&str, String)]) -> Answered {
        let request = self.http.post(format!("{}/", self.url));
        let form = "application/x-www-form-urlencoded";
        let request = request.header(header::CONTENT_TYPE, form).body(encoded(params));
        answered(request.send().await.unwrap()).await
    }

    async fn oidc_error(&self, params: &[(&str, String)]) -> (u16, String, String) {
        let Answered { status, body } = self.with_oidc(params).await;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (status, text("Code"), text("Message"))
    }
}

#[tokio::test]
async fn a_token_of_the_provider_gets_credentials_of_the_role() {
    let emulated = Emulated::start().await;
    let answered = emulated.with_oidc(&params(&sign_jwt(&claims()))).await;
    let expected = json!({
        "RequestId": "…",
        "OIDCTokenInfo": {
            "Subject": ACCOUNT,
            "Issuer": DEMO_ISSUER,
            "ClientIds": "other,sts.aliyuncs.com",
            "ExpirationTime": "2016-01-13T15:02:37Z",
            "IssuanceTime": "2016-01-13T14:02:37Z",
            "VerificationInfo": "Success",
        },
        "AssumedRoleUser": {
            "Arn": "acs:ram::11223344:role/appserver-pod/appserver",
            "AssumedRoleId": "391578752573972857:appserver",
        },
        "Credentials": {
            "AccessKeyId": "STS.…",
            "AccessKeySecret": "…",
            "SecurityToken": "CAIS…",
            "Expiration": "2016-01-13T15:02:37Z",
        },
    });
    assert_eq!(without_randomness(answered), Answered { status: 200, body: expected });
}

#[tokio::test]
async fn the_credentials_assume_the_roles_that_the_service_vends() {
    let emulated = Emulated::start().await;
    let Answered { body, .. } = emulated.with_oidc(&params(&sign_jwt(&claims()))).await;
    let text = |name: &str| body["Credentials"][name].as_str().unwrap().to_owned();
    let (id, secret, token) = (text("AccessKeyId"), text("AccessKeySecret"), text("SecurityToken"));
    let by = |caller: Caller<'static>| caller.by(&id, "").with("SecurityToken", token.clone());
    let identity = Caller { secret: &secret, ..by(Caller::new("GetCallerIdentity")) };
    let vended = Caller { secret: &secret, ..by(Caller::assume_role()) };
    let arn = emulated.call(&identity).await.body["Arn"].clone();
    assert_eq!(arn, "acs:ram::11223344:assumed-role/appserver-pod/appserver");
    assert_eq!(emulated.call(&vended).await.status, 200);
}

#[tokio::test]
async fn parameters_come_in_the_query_or_the_form_as_the_official_libraries_send_them() {
    let emulated = Emulated::start().await;
    let all = params(&sign_jwt(&claims()));
    let (common, own) = all.split_at(4);
    let url = |query: &[(&str, String)]| format!("{}/?{}", emulated.url, encoded(query));
    let form = "application/x-www-form-urlencoded";
    let python = emulated.http.get(url(&all));
    let generated = emulated.http.post(url(&all));
    let go = emulated.http.post(url(common)).header(header::CONTENT_TYPE, form).body(encoded(own));
    for request in [python, generated, go] {
        let answered = answered(request.send().await.unwrap()).await;
        assert_eq!(answered.status, 200, "{}", answered.body);
    }
}

#[tokio::test]
async fn each_fault_of_a_token_has_its_error() {
    let emulated = Emulated::start().await;
    let good = sign_jwt(&claims());
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let symmetric = {
        let key = jsonwebtoken::EncodingKey::from_secret(b"x");
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims(), &key).unwrap()
    };
    let listed = claims();
    let listed = ["iss", "sub", "aud", "exp", "iat"].map(|name| &listed[name]);
    let header = URL_SAFE_NO_PAD.encode(r#"["ES256","demo"]"#);
    let invalid = |message: &str| ("Invalid", message.to_owned());
    let table = [
        (String::new(), invalid("The OIDCToken can not empty.")),
        (
            rest.to_owned(),
            invalid("The number of Jwt field should be divided into 3 parts with '.' ."),
        ),
        (
            format!("{rest}!.{signature}"),
            invalid("Cannot decode base64 encoded response(format invalided)."),
        ),
        (symmetric, invalid("The algorithm HS256 that be specified in Jwt header is unknown.")),
        (
            sign_jwt(&with("sub", 7)),
            invalid("The Jwt content is invalid that cannot be recognized."),
        ),
        (
            sign_jwt(&json!(listed)),
            invalid("The Jwt content is invalid that cannot be recognized."),
        ),
        (
            format!("{header}.{}", good.split_once('.').unwrap().1),
            invalid("The Jwt content is invalid that cannot be recognized."),
        ),
        (
            sign_jwt(&with("iss", "https://other.demo.invalid/")),
            invalid("The Jwt content is invalid that cannot be recognized."),
        ),
        (
            format!("{}.{signature}", sign_jwt(&with("sub", "x")).rsplit_once('.').unwrap().0),
            ("InvalidSignature", "OIDC token validate failed: invalid signature.".to_owned()),
        ),
        (
            format!("{rest}.{}", &signature[1..]),
            ("InvalidSignature", "OIDC token validate failed: invalid signature.".to_owned()),
        ),
        (
            sign_jwt(&with("exp", start().timestamp())),
            ("Expired", "This JsonWebToken is expired.".to_owned()),
        ),
        (sign_jwt(&with("aud", "other")), ("AudienceNotMatch", "Invalid audience.".to_owned())),
    ];
    for (jwt, (code, message)) in table {
        let code = format!("AuthenticationFail.OIDCToken.{code}");
        assert_eq!(emulated.oidc_error(&params(&jwt)).await, (401, code, message), "{jwt}");
    }
}

#[tokio::test]
async fn the_provider_and_the_trust_policy_decide() {
    let emulated = Emulated::start().await;
    let none = "AuthenticationFail.NoPermission";
    let unregistered = (401, none.to_owned(), "No such OIDC Provider registered.".to_owned());
    let untrusted = (401, none.to_owned(), "There is no permission".to_owned());
    let missing =
        (404, "EntityNotExist.Role".to_owned(), "The specified Role not exists.".to_owned());
    let provider = "acs:ram::11223344:oidc-provider/other";
    let table = [
        (replaced("OIDCProviderArn", provider), unregistered),
        (replaced("RoleArn", READ_ONLY), untrusted.clone()),
        (replaced("RoleArn", "acs:ram::11223344:role/none"), missing),
        (params(&sign_jwt(&with("sub", "system:serviceaccount:default:other"))), untrusted),
    ];
    for (params, expected) in table {
        assert_eq!(emulated.oidc_error(&params).await, expected);
    }
}

#[tokio::test]
async fn the_parameters_are_those_of_assume_role() {
    let emulated = Emulated::start().await;
    let table = [
        (replaced("RoleSessionName", ""), 400, "MissingRoleSessionName"),
        (replaced("RoleSessionName", "a b"), 400, "InvalidParameter.RoleSessionName"),
        (replaced("OIDCProviderArn", ""), 400, "MissingOIDCProviderArn"),
        (replaced("DurationSeconds", "3601"), 400, "InvalidParameter.DurationSeconds"),
        (replaced("Policy", "{}"), 400, "InvalidParameter.PolicyGrammar"),
        (replaced("Version", "2016-01-01"), 400, "InvalidVersion"),
        (replaced("Timestamp", "2016-01-13T13:02:37Z"), 400, "InvalidTimeStamp.Expired"),
    ];
    for (params, status, code) in table {
        let (found_status, found, _) = emulated.oidc_error(&params).await;
        assert_eq!((found_status, found.as_str()), (status, code));
    }
}

#[tokio::test]
async fn the_log_of_calls_has_no_token_and_the_call_needs_no_session_policy() {
    let emulated = Emulated::start().await;
    emulated.with_oidc(&params(&sign_jwt(&claims()))).await;
    let calls = emulated.control.calls();
    assert_eq!((calls.len(), calls[0].outcome.as_str()), (1, "Success"));
    assert!(!calls[0].parameters.contains_key("OIDCToken"), "{:?}", calls[0]);
    assert_eq!(emulated.control.unrestricted_calls(), []);
}
