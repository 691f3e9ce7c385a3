//! Rules for accounts and buckets that are new since 2025.

use super::forms::{Form, LATER};
use super::*;

const DOMAIN: &str = "photos.example.test";

async fn refusing_v1() -> Emulated {
    Emulated::with(NewAccountRules { refuse_v1: true, ..NewAccountRules::default() }, None).await
}

async fn refusing_public_endpoint() -> Emulated {
    let rules = NewAccountRules { refuse_public_endpoint: true, ..NewAccountRules::default() };
    Emulated::with(rules, None).await
}

#[tokio::test]
async fn v1_is_refused_in_headers_urls_and_forms_and_v4_is_not() {
    let emulated = refusing_v1().await;
    let get = |scheme| OssRequest::get(GRASS).signed(scheme, &SigningKeys::root());
    for scheme in [Scheme::V1, Scheme::V1Url(600)] {
        let refused = emulated.send(&get(scheme)).await;
        assert_eq!(refused.outcome(), "403 AccessDenied", "{scheme:?}");
        assert_eq!(
            (refused.tag("EC"), refused.headers["x-oss-ec"].as_str()),
            ("0002-00000080".to_owned(), "0002-00000080")
        );
    }
    for scheme in [Scheme::V4, Scheme::V4Url(600)] {
        assert_eq!(emulated.send(&get(scheme)).await.status, 200, "{scheme:?}");
    }
    let form = || Form::new("a.txt");
    let any = r#"["starts-with","$key",""]"#;
    let v1 = emulated.send(&form().signed(&SigningKeys::root(), LATER, any).request()).await;
    assert_eq!(
        (v1.outcome().as_str(), v1.tag("EC").as_str()),
        ("403 AccessDenied", "0002-00000080")
    );
    let v4 = emulated.send(&form().signed_v4(&SigningKeys::root(), LATER, any).request()).await;
    assert_eq!(v4.status, 204, "{}", v4.text());
    // A request without a signature is no V1 request.
    let unsigned = emulated.send(&OssRequest::get("welcome.svg").of("sample-public")).await;
    assert_eq!(unsigned.status, 200);
}

/// A wrong V1 signature must not be answered with the error of a wrong secret.
#[tokio::test]
async fn v1_is_refused_before_the_key_is_looked_up() {
    let nobody = OssRequest::get(GRASS).signed(Scheme::V1, &SigningKeys::of("nobody"));
    assert_eq!(Emulated::start().await.send(&nobody).await.outcome(), "403 InvalidAccessKeyId");
    assert_eq!(refusing_v1().await.send(&nobody).await.tag("EC"), "0002-00000080");
}

#[tokio::test]
async fn data_is_refused_at_a_public_endpoint_and_served_at_the_buckets_domain() {
    let emulated = refusing_public_endpoint().await;
    let get = OssRequest::get(GRASS).signed(Scheme::V4, &SigningKeys::root());
    let list = OssRequest::list(&[("prefix", "2015/")]).signed(Scheme::V4, &SigningKeys::root());
    let refused = emulated.send(&get).await;
    assert_eq!(refused.outcome(), "400 PublicEndpointForbidden");
    assert_eq!(refused.headers["x-oss-ec"], "0048-00000401");
    insta::assert_snapshot!(refused.tag("Message"), @"Not allowed using the OSS public endpoint , please use CNAME instead.");
    assert_eq!(emulated.send(&list).await.outcome(), "400 PublicEndpointForbidden");
    for host in ["sample-bucket.oss-cn-hangzhou.aliyuncs.com", "sample-bucket.localhost"] {
        assert_eq!(emulated.send_to(host, &get).await.outcome(), "400 PublicEndpointForbidden");
    }
    let internal = "sample-bucket.oss-cn-hangzhou-internal.aliyuncs.com";
    for host in [DOMAIN, "Photos.Example.Test:8091", internal] {
        assert_eq!(emulated.send_to(host, &get).await.status, 200, "{host}");
        assert_eq!(emulated.send_to(host, &list).await.status, 200, "{host}");
    }
    // Management of buckets is no operation on data.
    let info = OssRequest::get("").query("bucketInfo", "");
    assert_eq!(emulated.root(info).await.status, 200);
}

/// Without the rules a domain is a host of its bucket like others.
#[tokio::test]
async fn a_form_and_its_location_work_at_the_buckets_domain() {
    let emulated = Emulated::start().await;
    let any = r#"["starts-with","$key",""]"#;
    let form = Form::new("a.txt").with("success_action_status", "201");
    let mut request = form.signed_v4(&SigningKeys::root(), LATER, any).request();
    request.key = String::new();
    let stored = emulated.send_to(DOMAIN, &request).await;
    assert_eq!((stored.status, stored.tag("Location")), (201, format!("http://{DOMAIN}/a.txt")));
}
