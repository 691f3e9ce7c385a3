//! Access with vended tokens to an OSS that decides like the real one.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha1::Sha1;

use crate::stage::{Answer, Stage};

pub(crate) async fn read(stage: &Stage, token: &Answer, key: &str) -> String {
    read_object(stage.oss, stage.clock.now(), &token.body, key).await
}

/// `GET` with a token, signed with V1: the status, and the code of an error.
pub(crate) async fn read_object(
    oss: SocketAddr,
    now: DateTime<Utc>,
    token: &Value,
    key: &str,
) -> String {
    let field = |name: &str| token[name].as_str().unwrap();
    let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let signed = format!(
        "GET\n\n\n{date}\nx-oss-date:{date}\nx-oss-security-token:{}\n/sample-bucket/{key}",
        field("SecurityToken")
    );
    let mac = Hmac::<Sha1>::new_from_slice(field("AccessKeySecret").as_bytes()).unwrap();
    let signature = STANDARD.encode(mac.chain_update(signed).finalize().into_bytes());
    let request = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = request
        .get(format!("http://{oss}/sample-bucket/{key}"))
        .header("x-oss-date", date)
        .header("x-oss-security-token", field("SecurityToken"))
        .header("authorization", format!("OSS {}:{signature}", field("AccessKeyId")));
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    let text = String::from_utf8_lossy(&body);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once('<'));
    format!("{status} {}", code.map_or("", |(code, _)| code)).trim().to_owned()
}

#[tokio::test]
async fn a_vended_token_reads_exactly_the_objects_of_its_grant() {
    let stage = Stage::demo().await;
    let day = stage.get("client-002", "/v1/token").await;
    let album = stage.get("client-003", "/v1/token?Parameters.album=2015").await;
    let all = stage.get("client-001", "/v1/token").await;
    let keys = [
        "2015/01/01/grass.jpg",
        "2015/01/01/notes.txt",
        "albums/2015/spring.jpg",
        "users/bob/lake.jpg",
    ];
    let mut seen = Vec::new();
    for token in [&day, &album, &all] {
        for key in keys {
            seen.push(read(&stage, token, key).await);
        }
    }
    let denied = "403 AccessDenied";
    let expected = [
        ["200", denied, denied, denied],
        [denied, denied, "200", denied],
        ["200", "200", "200", "200"],
    ];
    assert_eq!(seen, expected.concat());
    stage.close().await;
}

#[tokio::test]
async fn a_vended_token_expires_at_its_expiration() {
    let stage = Stage::demo().await;
    let token = stage.get("client-002", "/v1/token").await;
    let left = token.time("Expiration") - stage.clock.now();
    stage.clock.advance(left - TimeDelta::seconds(1));
    assert_eq!(read(&stage, &token, "2015/01/01/grass.jpg").await, "200");
    stage.clock.advance(TimeDelta::seconds(1));
    assert_eq!(read(&stage, &token, "2015/01/01/grass.jpg").await, "403 SecurityTokenExpired");
    stage.close().await;
}
