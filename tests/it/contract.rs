//! Answers as each known consumer parses them (`Code`, `StatusCode`, names, JSON types, the form of times).

use chrono::NaiveDateTime;
use serde_json::Value;

use crate::stage::{Answer, Stage};

/// The values that a consumer reads from a success.
type Parsed = Option<[String; 4]>;
type Consumer = fn(&Answer) -> Parsed;

fn text(body: &Value, field: &str) -> Option<String> {
    body[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn credentials(body: &Value) -> Parsed {
    let [id, secret, token, expiration] =
        ["AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration"]
            .map(|field| text(body, field));
    Some([id?, secret?, token?, expiration?])
}

/// `OSSAuthCredentialsProvider` of the Android SDK: `getInt("StatusCode") == 200`, then four `getString`s.
fn android(answer: &Answer) -> Parsed {
    (answer.status < 400 && answer.body["StatusCode"].as_i64()? == 200).then_some(())?;
    let parsed = credentials(&answer.body)?;
    NaiveDateTime::parse_from_str(parsed[3].get(..19)?, "%Y-%m-%dT%H:%M:%S").ok()?;
    Some(parsed)
}

/// `OSSAuthCredentialProvider` of the iOS SDK: HTTP status ignored, `intValue` of `StatusCode`, strict date.
fn ios(answer: &Answer) -> Parsed {
    (answer.body["StatusCode"].as_i64()? == 200).then_some(())?;
    let parsed = credentials(&answer.body)?;
    NaiveDateTime::parse_from_str(&parsed[3], "%Y-%m-%dT%H:%M:%SZ").ok()?;
    Some(parsed)
}

/// `credentials_uri` of Python and Java: HTTP 200, `Code == "Success"`, four keys, `strptime`.
fn python_and_java(answer: &Answer) -> Parsed {
    (answer.status == 200 && answer.body["Code"] == "Success").then_some(())?;
    ios(answer)
}

/// `credentials_uri` of Node: HTTP 200, truthy values, an `Expiration` of 20 or 24 characters.
fn node(answer: &Answer) -> Parsed {
    (answer.status == 200).then_some(())?;
    credentials(&answer.body).filter(|[.., expiration]| [20, 24].contains(&expiration.len()))
}

/// oss2's metadata-style provider: `Code`, and `LastUpdated` to know the token's whole life.
fn oss2(answer: &Answer) -> Parsed {
    let updated = text(&answer.body, "LastUpdated")?;
    NaiveDateTime::parse_from_str(&updated, "%Y-%m-%dT%H:%M:%SZ").ok()?;
    python_and_java(answer)
}

/// ali-oss's `refreshSTSToken`: first letters lower-cased, `securityToken` taken for `stsToken`.
fn ali_oss(answer: &Answer) -> Parsed {
    let lower = |name: &str| format!("{}{}", name[..1].to_ascii_lowercase(), &name[1..]);
    let body: serde_json::Map<_, _> =
        answer.body.as_object()?.iter().map(|(name, value)| (lower(name), value.clone())).collect();
    let [id, secret, token] =
        ["accessKeyId", "accessKeySecret", "securityToken"].map(|name| body.get(name)?.as_str());
    Some([id?.into(), secret?.into(), token?.into(), text(&answer.body, "Expiration")?])
}

const CONSUMERS: [(&str, Consumer); 6] = [
    ("android", android),
    ("ios", ios),
    ("python_and_java", python_and_java),
    ("node", node),
    ("oss2", oss2),
    ("ali_oss", ali_oss),
];

#[tokio::test]
async fn every_consumer_reads_a_success() {
    let stage = Stage::demo().await;
    for path in ["/v1/token", "/v1/oss-sdk/token"] {
        let answer = stage.get("client-002", path).await;
        let expected = credentials(&answer.body).unwrap();
        assert_eq!(expected[3], "2016-01-13T15:02:37Z");
        assert!(expected[0].starts_with("STS."), "{expected:?}");
        for (name, parse) in CONSUMERS {
            assert_eq!(parse(&answer).as_ref(), Some(&expected), "{name} at {path}");
        }
    }
    stage.close().await;
}

#[tokio::test]
async fn no_consumer_reads_a_failure_as_credentials() {
    let stage = Stage::demo().await;
    for path in ["/v1/token?Grant=nothing", "/v1/oss-sdk/token?Grant=nothing"] {
        let answer = stage.get("client-002", path).await;
        for (name, parse) in CONSUMERS {
            assert_eq!(parse(&answer), None, "{name} at {path}");
        }
        // Both mobile SDKs show these two.
        assert_eq!(answer.body["StatusCode"].as_i64(), Some(403));
        assert_eq!(answer.body["ErrorCode"], "Forbidden.Grant");
        assert!(answer.body["ErrorMessage"].is_string());
    }
    stage.close().await;
}

/// Android's stock provider cannot read the body of a 4xx, so it is given none.
#[tokio::test]
async fn android_reads_the_reason_of_a_refusal() {
    let stage = Stage::demo().await;
    let answer = stage.get("client-002", "/v1/oss-sdk/token?Grant=nothing").await;
    assert_eq!((answer.status, answer.body["ErrorCode"].as_str()), (200, Some("Forbidden.Grant")));
    stage.close().await;
}
