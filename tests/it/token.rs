//! Tokens of grants, from request to response.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use crate::stage::{Setting, Stage};

#[tokio::test]
async fn client_002_gets_the_demos_narrowed_token() {
    let stage = Stage::demo().await;
    let answer = stage.get("client-002", "/v1/token").await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["x-request-id"].to_str().unwrap(), answer.body["RequestId"]);
    insta::assert_json_snapshot!(answer.steady(), @r#"
{
  "AccessKeyId": "<AccessKeyId>",
  "AccessKeySecret": "<AccessKeySecret>",
  "AssumedRoleUser": {
    "Arn": "acs:ram::11223344:role/oss-readonly/client-002",
    "AssumedRoleId": "391578752573972854:client-002"
  },
  "Code": "Success",
  "Expiration": "2016-01-13T15:02:37Z",
  "Grant": "daily-photos",
  "LastUpdated": "2016-01-13T14:02:37Z",
  "RefreshAfter": "<RefreshAfter>",
  "RequestId": "<RequestId>",
  "SecurityToken": "<SecurityToken>",
  "StatusCode": 200
}
"#);
    let calls = stage.assume_role_calls();
    assert_eq!(calls.len(), 1);
    let mut parameters = calls[0].parameters.clone();
    parameters.retain(|name, _| !["SignatureNonce", "Timestamp"].contains(&name.as_str()));
    insta::assert_json_snapshot!(parameters, @r#"
{
  "AccessKeyId": "testid",
  "DurationSeconds": "3600",
  "Format": "JSON",
  "Policy": "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"oss:GetObject\",\"Resource\":\"acs:oss:*:*:sample-bucket/2015/01/01/*.jpg\"}]}",
  "RoleArn": "acs:ram::11223344:role/oss-readonly",
  "RoleSessionName": "client-002",
  "SignatureMethod": "HMAC-SHA1",
  "SignatureVersion": "1.0",
  "Version": "2015-04-01"
}
"#);
    stage.close().await;
}

#[tokio::test]
async fn get_post_and_the_sdk_route_answer_alike() {
    let stage = Stage::demo().await;
    let query = "Parameters.album=2015&DurationSeconds=1800&Grant=one-album";
    let body = r#"{"Grant":"one-album","DurationSeconds":1800,"Parameters":{"album":"2015"}}"#;
    let answers = [
        stage.get("client-003", &format!("/v1/token?{query}")).await,
        stage.get("client-003", &format!("/v1/oss-sdk/token?{query}")).await,
        stage.post("client-003", body).await,
    ];
    let parts = answers.each_ref().map(|answer| (answer.status, answer.steady()));
    assert_eq!(parts[0], parts[1]);
    assert_eq!(parts[0], parts[2]);
    let ids = answers.each_ref().map(|answer| answer.body["AccessKeyId"].as_str());
    assert!(ids.iter().all(|id| *id == ids[0]), "they mean the same, so they share a token");
    assert_eq!(stage.assume_role_calls().len(), 1);
    stage.close().await;
}

/// Through HTTP: one call and one token for all, and a request id and a refresh time for each.
#[tokio::test]
async fn two_hundred_apps_at_once_share_a_token_and_spread_their_refreshes() {
    let stage = Stage::demo().await;
    let herd: Vec<_> = (0..200)
        .map(|_| {
            let url = stage.url("/v1/token");
            let request = reqwest::Client::new().get(url);
            tokio::spawn(request.basic_auth("client-002", Some("client-002-demo-secret")).send())
        })
        .collect();
    let (mut ids, mut keys, mut moments) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for app in herd {
        let response = app.await.unwrap().unwrap();
        let body: serde_json::Value =
            serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let field = |name: &str| body[name].as_str().unwrap().to_owned();
        ids.insert(field("RequestId"));
        keys.insert(field("SecurityToken"));
        moments.insert(field("RefreshAfter"));
    }
    assert_eq!((ids.len(), keys.len(), stage.assume_role_calls().len()), (200, 1, 1));
    // 200 moments out of 396 seconds.
    assert!(moments.len() > 100, "{} moments", moments.len());
    stage.close().await;
}

#[tokio::test]
async fn a_requested_duration_is_sent_to_sts() {
    let stage = Stage::demo().await;
    let answer = stage.post("client-002", r#"{"DurationSeconds":1000}"#).await;
    let issued = answer.time("LastUpdated");
    assert_eq!(answer.time("Expiration") - issued, TimeDelta::seconds(1000));
    let refresh = (answer.time("RefreshAfter") - issued).num_seconds();
    assert!((514..=626).contains(&refresh), "{refresh}");
    assert_eq!(stage.assume_role_calls()[0].parameters["DurationSeconds"], "1000");
    stage.close().await;
}

#[tokio::test]
async fn external_id_and_source_identity_go_to_sts_where_the_grant_sets_them() {
    let config = r#"
        [grants.daily-photos]
        external_id = "partner-7"
        source_identity = "app-${client}"
        session_name = "phone.${client}"
    "#;
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    assert_eq!(stage.get("client-002", "/v1/token").await.status, 200);
    let parameters = &stage.assume_role_calls()[0].parameters;
    let sent =
        ["ExternalId", "SourceIdentity", "RoleSessionName"].map(|name| parameters[name].as_str());
    assert_eq!(sent, ["partner-7", "app-client-002", "phone.client-002"]);
    stage.close().await;
}

#[tokio::test]
async fn whoami_shows_the_authenticated_caller() {
    let stage = Stage::demo().await;
    let answer = stage.get("client-003", "/v1/whoami").await;
    assert_eq!((answer.status, stage.assume_role_calls().len()), (200, 0));
    insta::assert_json_snapshot!(answer.steady(), @r#"
{
  "AuthenticatedBy": "ClientSecret",
  "Client": "client-003",
  "Code": "Success",
  "Grants": [
    {
      "DefaultDurationSeconds": 3600,
      "MaxDurationSeconds": 3600,
      "MinDurationSeconds": 900,
      "Name": "one-album",
      "NeedsSubject": false,
      "Parameters": [
        {
          "Name": "album",
          "Rule": "one path segment of letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not `.` or `..`, at most 64 bytes"
        }
      ],
      "VendsTokens": true
    }
  ],
  "RequestId": "<RequestId>",
  "StatusCode": 200
}
"#);
    stage.close().await;
}

#[tokio::test]
async fn two_secrets_work_while_one_is_rotated() {
    // SHA-256 of "abc" (FIPS 180-4) beside the demo's.
    let config = r#"
        [clients.client-002]
        secret_sha256 = ["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                         "8dd3ba8e6f0dd6b2a6f4d6f8e1b8d4b9d3d2fd3c8b5d6f5c6d6b1f0a5e4d3c2b"]
    "#;
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let new = stage.request("GET", "/v1/token").basic_auth("client-002", Some("abc"));
    assert_eq!(stage.send(new).await.status, 200);
    assert_eq!(stage.get("client-002", "/v1/token").await.status, 401);
    stage.close().await;
}
