//! CORS.

use super::*;

const PAGE: &str = "http://127.0.0.1:8080";

#[tokio::test]
async fn a_preflight_lets_a_page_send_what_sdks_send() {
    let emulated = Emulated::start().await;
    let headers = "authorization,content-md5,content-type,x-oss-content-sha256,x-oss-date,x-oss-meta-a,x-oss-security-token";
    let preflight = OssRequest::new("OPTIONS", "users/alice/a.jpg")
        .header("origin", PAGE)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", headers);
    insta::assert_snapshot!(emulated.send(&preflight).await.snapshot(), @r"
200
access-control-allow-headers: authorization,content-md5,content-type,x-oss-content-sha256,x-oss-date,x-oss-meta-a,x-oss-security-token
access-control-allow-methods: GET, PUT, POST, DELETE, HEAD
access-control-allow-origin: *
access-control-expose-headers: ETag, Date, Content-Length, Content-Range, Accept-Ranges, Content-MD5, x-oss-request-id, x-oss-hash-crc64ecma, x-oss-object-type, x-oss-next-append-position, x-oss-server-time, x-oss-ec, x-emulator-decision
access-control-max-age: 600
content-length: 0
date: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
vary: Origin
x-oss-request-id: …
x-oss-server-time: …
");
}

#[tokio::test]
async fn a_page_can_read_answers_and_errors() {
    let emulated = Emulated::start().await;
    for request in [OssRequest::get("welcome.svg").of("sample-public"), OssRequest::get(GRASS)] {
        let response = emulated.send(&request.header("origin", PAGE)).await;
        let exposed = &response.headers["access-control-expose-headers"];
        assert_eq!(response.headers["access-control-allow-origin"], "*");
        for name in ["ETag", "x-oss-request-id", "x-emulator-decision"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    let response = emulated.send(&OssRequest::get(GRASS)).await;
    assert!(!response.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn options_without_an_origin_is_not_a_preflight() {
    let emulated = Emulated::start().await;
    assert_eq!(
        emulated.send(&OssRequest::new("OPTIONS", "a")).await.outcome(),
        "405 MethodNotAllowed"
    );
}
