//! The gateway's checks and their order.

use super::*;

fn owned(status: u16, code: &str, message: &str) -> (u16, String, String) {
    (status, code.to_owned(), message.to_owned())
}

#[tokio::test]
async fn parameters_come_in_the_query_the_form_or_both_with_get_and_post() {
    let emulated = Emulated::start().await;
    for (method, placement) in [
        ("GET", Placement::Query),
        ("POST", Placement::Query),
        ("POST", Placement::Form),
        ("POST", Placement::Both),
    ] {
        let caller =
            Caller { method, placement, ..Caller::assume_role() }.with("SignatureType", "");
        assert_eq!(emulated.call(&caller).await.status, 200, "{method}");
    }
}

#[tokio::test]
async fn the_method_is_signed() {
    let emulated = Emulated::start().await;
    let signed_for_get = Caller { method: "GET", ..Caller::new("GetCallerIdentity") };
    let signature = sign("GET", &signed_for_get.as_params(), "testsecret");
    let caller = Caller { method: "POST", ..signed_for_get }.with("Signature", signature);
    assert_eq!(emulated.error(&caller).await.1, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_wrong_signature_is_answered_with_the_servers_string_to_sign() {
    let emulated = Emulated::start().await;
    let caller = Caller {
        method: "GET",
        secret: "wrong",
        placement: Placement::Query,
        ..Caller::new("GetCallerIdentity")
    }
    .with("SignatureNonce", "n 1*~");
    let expected = json!({
        "RequestId": "…",
        "HostId": "sts.aliyuncs.com",
        "Code": "SignatureDoesNotMatch",
        "Message": "Specified signature is not matched with our calculation. server string to sign is:\
            GET&%2F&AccessKeyId%3Dtestid%26Action%3DGetCallerIdentity%26Format%3DJSON%26SignatureMethod%3DHMAC-SHA1\
            %26SignatureNonce%3Dn%25201%252A~%26SignatureVersion%3D1.0%26Timestamp%3D2016-01-13T14%253A02%253A37Z\
            %26Version%3D2015-04-01",
        "Recommend": "https://api.aliyun.com/troubleshoot?q=SignatureDoesNotMatch&product=Sts",
    });
    let answered = without_randomness(emulated.call(&caller).await);
    assert_eq!(answered, Answered { status: 400, body: expected });
}

#[tokio::test]
async fn a_missing_mandatory_parameter_is_named() {
    let emulated = Emulated::start().await;
    for name in [
        "Action",
        "Version",
        "AccessKeyId",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureNonce",
        "Timestamp",
    ] {
        let expected =
            (400, format!("Missing{name}"), format!("{name} is mandatory for this action."));
        let absent = Caller::new("GetCallerIdentity").without(name);
        let empty = Caller::new("GetCallerIdentity").with(name, "");
        assert_eq!(emulated.error(&absent).await, expected);
        assert_eq!(emulated.error(&empty).await, expected);
    }
    let unsigned = Caller::new("GetCallerIdentity").with("Signature", "");
    let expected = owned(400, "MissingSignature", "Signature is mandatory for this action.");
    assert_eq!(emulated.error(&unsigned).await, expected);
}

#[tokio::test]
async fn invalid_calls_get_the_gateways_errors() {
    let emulated = Emulated::start().await;
    let identity = || Caller::new("GetCallerIdentity");
    let table = [
        (
            identity().with("Action", "AssumeRoleWithSAML"),
            owned(
                404,
                "InvalidApi.NotFound",
                "Specified api is not found, please check your url and method.",
            ),
        ),
        (
            identity().with("Version", "2014-05-26"),
            owned(400, "InvalidVersion", "Specified parameter Version is not valid."),
        ),
        (
            identity().with("AccessKeyId", "nobody"),
            owned(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."),
        ),
        (
            identity().by("disabledid", "disabledsecret"),
            owned(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled."),
        ),
        (
            identity().with("SignatureMethod", "HMAC-SHA256"),
            owned(
                400,
                "IncompleteSignature",
                "The request signature does not conform to Aliyun standards.",
            ),
        ),
        (
            identity().with("SignatureVersion", "2.0"),
            owned(
                400,
                "IncompleteSignature",
                "The request signature does not conform to Aliyun standards.",
            ),
        ),
        (
            identity().with("Timestamp", "yesterday"),
            owned(
                400,
                "InvalidTimeStamp.Format",
                "Specified time stamp or date value is not well formatted.",
            ),
        ),
    ];
    for (caller, expected) in table {
        assert_eq!(emulated.error(&caller).await, expected);
    }
}

#[tokio::test]
async fn a_timestamp_is_valid_for_fifteen_minutes_either_way() {
    let emulated = Emulated::start().await;
    let at = |offset| Caller::new("GetCallerIdentity").at(start() + offset);
    let second = TimeDelta::seconds(1);
    for good in [minutes(15), -minutes(15)] {
        assert_eq!(emulated.call(&at(good)).await.status, 200);
    }
    for stale in [minutes(15) + second, -minutes(15) - second] {
        let expected = owned(
            400,
            "InvalidTimeStamp.Expired",
            "Specified time stamp or date value is expired.",
        );
        assert_eq!(emulated.error(&at(stale)).await, expected);
    }
    let milliseconds =
        Caller::new("GetCallerIdentity").with("Timestamp", "2016-01-13T14:02:37.123Z");
    assert_eq!(emulated.call(&milliseconds).await.status, 200);
}

#[tokio::test]
async fn a_nonce_is_valid_once_for_each_key() {
    let emulated = Emulated::start().await;
    let caller = Caller::new("GetCallerIdentity").with("SignatureNonce", "once");
    let replayed = owned(400, "SignatureNonceUsed", "Specified signature nonce was used already.");
    assert_eq!(emulated.call(&caller).await.status, 200);
    assert_eq!(emulated.error(&caller).await, replayed);
    // Also with a new timestamp, as a wrong retry sends it.
    emulated.clock.advance(minutes(10));
    assert_eq!(emulated.error(&caller.clone().at(emulated.clock.now())).await, replayed);
    let other = caller.by("internid", "internsecret");
    assert_eq!(emulated.call(&other).await.status, 200);
}

#[tokio::test]
async fn a_badly_signed_call_does_not_use_up_its_nonce() {
    let emulated = Emulated::start().await;
    let caller = Caller::new("GetCallerIdentity");
    let forged = Caller { secret: "wrong", ..caller.clone() };
    assert_eq!(emulated.error(&forged).await.1, "SignatureDoesNotMatch");
    assert_eq!(emulated.call(&caller).await.status, 200);
}

#[tokio::test]
async fn the_first_check_that_fails_answers() {
    let emulated = Emulated::start().await;
    // Every check fails; they are fixed one by one.
    let mut caller = Caller { secret: "wrong", ..Caller::assume_role() }
        .with("Action", "Dance")
        .with("Version", "1")
        .with("Timestamp", "yesterday")
        .with("AccessKeyId", "nobody")
        .with("RoleArn", "nonsense");
    let mut codes = Vec::new();
    for (name, value) in [
        ("Action", "AssumeRole"),
        ("Version", "2015-04-01"),
        ("Timestamp", "2016-01-12T14:02:37Z"),
        ("Timestamp", START),
        ("AccessKeyId", "testid"),
    ] {
        codes.push(emulated.error(&caller).await.1);
        caller = caller.with(name, value);
    }
    codes.push(emulated.error(&caller).await.1);
    codes.push(emulated.error(&Caller { secret: "testsecret", ..caller.clone() }).await.1);
    codes.push(emulated.error(&Caller { secret: "testsecret", ..caller }).await.1);
    let expected = [
        "InvalidApi.NotFound",
        "InvalidVersion",
        "InvalidTimeStamp.Format",
        "InvalidTimeStamp.Expired",
        "InvalidAccessKeyId.NotFound",
        "SignatureDoesNotMatch",
        "InvalidParameter.RoleArn",
        "SignatureNonceUsed",
    ];
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn other_methods_paths_and_bodies_are_refused() {
    let emulated = Emulated::start().await;
    let url = format!("{}/?Format=JSON", emulated.url);
    let elsewhere = format!("{}/v1/token?Format=JSON", emulated.url);
    let text = emulated.http.post(&url).header(header::CONTENT_TYPE, "text/plain").body("Action=x");
    let requests =
        [emulated.http.put(&url), emulated.http.delete(&url), emulated.http.get(&elsewhere), text];
    let mut refusals = Vec::new();
    for request in requests {
        let Answered { status, body } = answered(request.send().await.unwrap()).await;
        refusals.push((status, body["Code"].as_str().unwrap_or_default().to_owned()));
    }
    let expected = [
        (405, "UnsupportedHTTPMethod"),
        (405, "UnsupportedHTTPMethod"),
        (404, "InvalidApi.NotFound"),
        (400, ""),
    ];
    assert_eq!(refusals, expected.map(|(status, code)| (status, code.to_owned())));
}

#[tokio::test]
async fn answers_are_xml_unless_json_is_requested_in_any_letter_case() {
    let emulated = Emulated::start().await;
    for json in ["JSON", "json", "Json"] {
        let caller = Caller::new("GetCallerIdentity").with("Format", json);
        assert!(emulated.call(&caller).await.body.is_object(), "{json}");
    }
    for caller in [
        Caller::new("GetCallerIdentity").without("Format"),
        Caller::new("GetCallerIdentity").with("Format", "xml"),
    ] {
        let response = emulated.request(&caller).send().await.unwrap();
        let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let id = response.headers()["x-acs-request-id"].to_str().unwrap().to_owned();
        let expected = format!(
            "<?xml version='1.0' encoding='UTF-8'?><GetCallerIdentityResponse><AccountId>11223344</AccountId>\
             <Arn>acs:ram::11223344:user/appserver</Arn><IdentityType>RAMUser</IdentityType>\
             <PrincipalId>216959339000654321</PrincipalId><RequestId>{id}</RequestId>\
             <UserId>216959339000654321</UserId></GetCallerIdentityResponse>"
        );
        assert_eq!(content_type, "text/xml;charset=utf-8");
        assert_eq!(response.text().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn errors_in_xml_are_escaped() {
    let emulated = Emulated::start().await;
    let caller = Caller::new("GetCallerIdentity").without("Format").with("AccessKeyId", "nobody");
    let response = emulated.request(&caller).send().await.unwrap();
    let id = response.headers()["x-acs-request-id"].to_str().unwrap().to_owned();
    let expected = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>InvalidAccessKeyId.NotFound</Code>\
         <HostId>sts.aliyuncs.com</HostId><Message>Specified access key is not found.</Message>\
         <Recommend>https://api.aliyun.com/troubleshoot?q=InvalidAccessKeyId.NotFound&amp;product=Sts</Recommend>\
         <RequestId>{id}</RequestId></Error>"
    );
    assert_eq!((response.status().as_u16(), response.text().await.unwrap()), (404, expected));
}

#[tokio::test]
async fn the_date_header_follows_the_emulators_clock() {
    let emulated = Emulated::start().await;
    let response = emulated.request(&Caller::new("GetCallerIdentity")).send().await.unwrap();
    assert_eq!(response.headers()[header::DATE], "Wed, 13 Jan 2016 14:02:37 GMT");
}
