//! Signed URLs, used with an OSS that decides like the real one.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::stage::Stage;
use crate::uploads::{ask, outcome, stage_with};

/// A URL that is signed for alice.
async fn sign(stage: &Stage, more: &Value) -> Value {
    let mut body = json!({"Grant": "form-upload", "Key": "users/alice/cat 1.jpg"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = ask(stage, "alice", "/v1/urls", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

async fn send(method: &str, url: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.request(method.parse().unwrap(), url).body("a picture");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap()
}

async fn used(method: &str, url: &Value, headers: &[(&str, &str)]) -> String {
    outcome(send(method, url["Url"].as_str().unwrap(), headers).await).await
}

#[tokio::test]
async fn a_url_does_what_it_is_signed_for_and_nothing_else() {
    let stage = stage_with("").await;
    let put = sign(&stage, &json!({"Method": "PUT", "ContentType": "image/jpeg"})).await;
    assert_eq!(put["Headers"], json!({"Content-Type": "image/jpeg"}));
    let jpeg = [("Content-Type", "image/jpeg")];
    for (method, headers, expected) in [
        ("PUT", &[][..], "403 SignatureDoesNotMatch"),
        ("PUT", &[("Content-Type", "text/html")], "403 SignatureDoesNotMatch"),
        ("PUT", &[jpeg[0], ("x-oss-object-acl", "public-read")], "403 SignatureDoesNotMatch"),
        ("GET", &jpeg, "403 SignatureDoesNotMatch"),
        ("DELETE", &jpeg, "403 SignatureDoesNotMatch"),
        ("PUT", &jpeg, "200"),
    ] {
        assert_eq!(used(method, &put, headers).await, expected, "{method} {headers:?}");
    }
    let get = sign(&stage, &json!({"Method": "GET"})).await;
    assert_eq!(get["Headers"], json!({}));
    let head = sign(&stage, &json!({"Method": "HEAD"})).await;
    assert_eq!(used("GET", &get, &[]).await, "200");
    assert_eq!(used("HEAD", &head, &[]).await, "200");
    assert_eq!(used("PUT", &get, &[]).await, "403 SignatureDoesNotMatch");
    assert_eq!(used("HEAD", &get, &[]).await, "403");
    assert_eq!(used("GET", &head, &[]).await, "403 SignatureDoesNotMatch");
    stage.close().await;
}

#[tokio::test]
async fn a_url_that_is_changed_in_one_byte_or_has_expired_is_refused() {
    let stage = stage_with("").await;
    let put = sign(&stage, &json!({"Method": "PUT"})).await;
    assert_eq!(used("PUT", &put, &[]).await, "200");
    let get = sign(&stage, &json!({"Method": "GET", "ExpiresInSeconds": 60})).await;
    let url = get["Url"].as_str().unwrap();
    let (path, query) = url.split_once('?').unwrap();
    let mut changed = vec![format!("{path}x?{query}")];
    for at in 0..query.split('&').count() {
        let mut parameters: Vec<_> = query.split('&').map(str::to_owned).collect();
        let last = parameters[at].pop().unwrap();
        parameters[at].push(if last == '1' { '2' } else { '1' });
        changed.push(format!("{path}?{}", parameters.join("&")));
        parameters.remove(at);
        changed.push(format!("{path}?{}", parameters.join("&")));
    }
    changed.push(format!("{url}&response-content-type=text%2Fhtml"));
    for changed in &changed {
        let refused = outcome(send("GET", changed, &[]).await).await;
        assert!(refused.starts_with('4'), "{changed}: {refused}");
    }
    assert_eq!(used("GET", &get, &[]).await, "200");
    stage.clock.advance(TimeDelta::seconds(61));
    assert_eq!(used("GET", &get, &[]).await, "403 AccessDenied");
    stage.close().await;
}

#[tokio::test]
async fn a_browser_saves_a_download_under_its_name() {
    let stage = stage_with("").await;
    let put = sign(&stage, &json!({"Method": "PUT"})).await;
    assert_eq!(used("PUT", &put, &[]).await, "200");
    let get = sign(&stage, &json!({"Method": "GET", "Download": "Zoë's \"cat\".jpg"})).await;
    let answer = send("GET", get["Url"].as_str().unwrap(), &[]).await;
    assert_eq!(answer.status(), 200);
    let disposition = "attachment; filename*=UTF-8''Zo%C3%AB%27s%20%22cat%22.jpg";
    assert_eq!(answer.headers()["content-disposition"], disposition);
    stage.close().await;
}

#[tokio::test]
async fn a_url_that_the_grant_does_not_sign_for_this_caller_is_refused_before_sts_is_called() {
    let stage = stage_with("").await;
    let mut seen = Vec::new();
    for body in [
        json!({"Method": "GET", "Key": "users/bob/cat.jpg"}),
        json!({"Method": "PUT", "Key": "users/alice"}),
        json!({"Method": "PUT", "Key": "2015/01/01/grass.jpg"}),
        json!({"Method": "GET", "Key": "users/alice/../bob/cat.jpg"}),
        json!({"Method": "GET", "Key": "users/alice/${filename}"}),
        json!({"Method": "GET", "Key": ""}),
        json!({"Method": "DELETE", "Key": "users/alice/a"}),
        json!({"Method": "get", "Key": "users/alice/a"}),
        json!({"Key": "users/alice/a"}),
        json!({"Method": "GET"}),
        json!({"Method": "GET", "Key": "users/alice/a", "ContentType": "image/jpeg"}),
        json!({"Method": "PUT", "Key": "users/alice/a", "ContentType": "image/*"}),
        json!({"Method": "PUT", "Key": "users/alice/a", "Download": "a"}),
        json!({"Method": "GET", "Key": "users/alice/a", "Download": "a/b"}),
        json!({"Method": "GET", "Key": "users/alice/a", "ExpiresInSeconds": 604_801}),
        json!({"Method": "GET", "Key": "users/alice/a", "Grant": "my-photos"}),
    ] {
        let mut with_grant = json!({"Grant": "form-upload"});
        with_grant.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let answer = ask(&stage, "alice", "/v1/urls", &with_grant).await;
        seen.push(format!("{}: {}", answer.outcome(), answer.body["Message"].as_str().unwrap()));
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    403 Forbidden.Upload: The grant does not allow this caller `oss:GetObject` on this key; `POST /v1/explain` says which statement decides.
    403 Forbidden.Upload: The grant does not allow this caller `oss:PutObject` on this key; `POST /v1/explain` says which statement decides.
    403 Forbidden.Upload: The grant does not allow this caller `oss:PutObject` on this key; `POST /v1/explain` says which statement decides.
    400 InvalidParameter.Key: Key: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`.
    400 InvalidParameter.Key: Key: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`.
    400 InvalidParameter.Key: Key: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`.
    400 InvalidParameter.Method: Method: it is `GET`, `HEAD` or `PUT`.
    400 InvalidParameter.Method: Method: it is `GET`, `HEAD` or `PUT`.
    400 InvalidParameter.Method: Method: it is required.
    400 InvalidParameter.Key: Key: it is required.
    400 InvalidParameter.ContentType: ContentType: only a `PUT` sends a file: leave it out.
    400 InvalidParameter.ContentType: ContentType: a content type reads `image/jpeg`: a type and a subtype, without wildcards and parameters.
    400 InvalidParameter.Download: Download: only a `GET` downloads: leave it out.
    400 InvalidParameter.Download: Download: a file's name is 1 to 255 bytes without `/`, `\` and control characters.
    400 InvalidParameter.ExpiresInSeconds: ExpiresInSeconds: it is 60 to 900 seconds for this grant.
    403 Forbidden.Grant: The grant signs no URLs for `GET`; name one that does (`form-upload`), or ask for a token: `POST /v1/token`.
    ");
    assert_eq!(stage.sts.calls(), [], "a refused request reached STS");
    stage.close().await;
}
