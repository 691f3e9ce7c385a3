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

/// A preflight for a `PUT` from the page, with these headers.
async fn preflight(emulated: &Emulated, origin: &str, method: &str, headers: &str) -> OssResponse {
    let preflight = OssRequest::new("OPTIONS", "users/alice/a.jpg")
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers);
    emulated.send(&preflight).await
}

fn cors(rule: &str) -> OssRequest {
    let body = format!("<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>");
    OssRequest::new("PUT", "").query("cors", "").body(body)
}

#[tokio::test]
async fn the_rules_of_a_bucket_are_set_returned_enforced_and_deleted() {
    let emulated = Emulated::start().await;
    let rule = "<AllowedOrigin>http://*.example.com</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>\
                <AllowedHeader>x-oss-*</AllowedHeader><AllowedHeader>Authorization</AllowedHeader>\
                <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds>";
    assert_eq!(emulated.root(cors(rule)).await.status, 200);
    let returned = emulated.root(OssRequest::get("").query("cors", "")).await;
    assert_eq!(returned.tag("CORSRule"), rule);

    let page = "http://app.example.com";
    let allowed = preflight(&emulated, page, "PUT", "authorization, X-OSS-Date").await;
    assert_eq!(allowed.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", page),
        ("access-control-allow-methods", "PUT"),
        ("access-control-allow-headers", "authorization, X-OSS-Date"),
        ("access-control-expose-headers", "ETag"),
        ("access-control-max-age", "60"),
    ] {
        assert_eq!(allowed.headers[name], value);
    }
    for (origin, method, headers) in [
        ("http://example.org", "PUT", "authorization"),
        ("https://app.example.com", "PUT", "authorization"),
        (page, "DELETE", "authorization"),
        (page, "PUT", "authorization,content-type"),
    ] {
        let refused = preflight(&emulated, origin, method, headers).await;
        assert_eq!(refused.outcome(), "403 AccessForbidden", "{origin} {method} {headers}");
        assert!(refused.tag("Message").contains("This CORS request is not allowed"));
    }
    // A request that a page cannot read is answered all the same.
    let put = |origin| OssRequest::put("a.txt", "a").header("origin", origin);
    let read = emulated.root(put(page)).await;
    assert_eq!((read.status, read.headers["access-control-allow-origin"].as_str()), (200, page));
    let unread = emulated.root(put("http://example.org")).await;
    assert_eq!(unread.status, 200);
    assert!(!unread.headers.contains_key("access-control-allow-origin"));

    let gone = OssRequest::new("DELETE", "").query("cors", "");
    assert_eq!(emulated.root(gone.clone()).await.status, 204);
    assert_eq!(emulated.root(gone).await.status, 204);
    let absent = emulated.root(OssRequest::get("").query("cors", "")).await;
    assert_eq!(absent.outcome(), "404 NoSuchCORSConfiguration");
    let refused = preflight(&emulated, page, "PUT", "").await;
    assert_eq!(refused.outcome(), "403 AccessForbidden");
    assert!(refused.tag("Message").contains("CORS is not enabled"));
}

#[tokio::test]
async fn invalid_rules_change_nothing_and_others_may_not_set_any() {
    let emulated = Emulated::start().await;
    let method = "<AllowedMethod>GET</AllowedMethod>";
    let origin = "<AllowedOrigin>*</AllowedOrigin>";
    for (rule, outcome) in [
        (method.to_owned(), "400 MalformedXML"),
        (origin.to_owned(), "400 MalformedXML"),
        (format!("{origin}<AllowedMethod>PATCH</AllowedMethod>"), "400 InvalidArgument"),
        (format!("{method}<AllowedOrigin>http://*.*.com</AllowedOrigin>"), "400 InvalidArgument"),
        (format!("{origin}{method}<AllowedHeader>**</AllowedHeader>"), "400 InvalidArgument"),
        (format!("{origin}{method}<ExposeHeader>x-*</ExposeHeader>"), "400 InvalidArgument"),
    ] {
        assert_eq!(emulated.root(cors(&rule)).await.outcome(), outcome, "{rule}");
    }
    let session = emulated.session("oss-readonly", None);
    let refused = cors(&format!("{origin}{method}")).signed(Scheme::V4, &session);
    assert_eq!(emulated.send(&refused).await.outcome(), "403 AccessDenied");
    let allowed = preflight(&emulated, PAGE, "PUT", "authorization").await;
    assert_eq!(allowed.status, 200, "the first rule is still there");
}
