//! Accepted signatures, and the errors of others.

use super::*;

const SCHEMES: [Scheme; 4] = [Scheme::V1, Scheme::V4, Scheme::V1Url(600), Scheme::V4Url(600)];

fn seconds(n: i64) -> TimeDelta {
    TimeDelta::seconds(n)
}

#[tokio::test]
async fn all_four_ways_to_sign_are_accepted_from_users_and_sessions() {
    let emulated = Emulated::start().await;
    let session = emulated.session("oss-readwrite", None);
    for keys in [&SigningKeys::root(), &session] {
        for scheme in SCHEMES {
            let put = OssRequest::put("ü b+c/*~.txt", "hello")
                .header("content-type", "text/plain")
                .header("x-oss-meta-a", "b");
            assert_eq!(emulated.send(&put.signed(scheme, keys)).await.status, 200, "{scheme:?}");
            let get = OssRequest::get("ü b+c/*~.txt").query("response-content-type", "a/b+c d");
            let response = emulated.send(&get.signed(scheme, keys)).await;
            assert_eq!((response.status, response.text()), (200, "hello".to_owned()), "{scheme:?}");
        }
    }
}

#[tokio::test]
async fn a_wrong_signature_is_answered_with_the_servers_strings() {
    let emulated = Emulated::start().await;
    let wrong = SigningKeys { secret: "wrong".to_owned(), ..SigningKeys::root() };
    let v1 = emulated.send(&OssRequest::get("a&b").signed(Scheme::V1Url(60), &wrong)).await;
    insta::assert_snapshot!(without_signature(&v1), @r#"
403
content-length: …
content-type: application/xml
date: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
x-oss-ec: 0002-00000040
x-oss-request-id: …
x-oss-server-time: …

<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the signature you provided. Check your key and signing method.</Message><RequestId>…</RequestId><HostId>127.0.0.1:…</HostId><OSSAccessKeyId>rootid</OSSAccessKeyId><SignatureProvided>…</SignatureProvided><StringToSign>GET


1452693817
/sample-bucket/a&amp;b</StringToSign><StringToSignBytes>…</StringToSignBytes><EC>0002-00000040</EC></Error>
"#);
    let v4 = emulated.send(&OssRequest::get("a&b").signed(Scheme::V4, &wrong)).await;
    insta::assert_snapshot!(without_signature(&v4), @r#"
403
content-length: …
content-type: application/xml
date: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
x-oss-ec: 0002-00000040
x-oss-request-id: …
x-oss-server-time: …

<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the signature you provided. Check your key and signing method.</Message><RequestId>…</RequestId><HostId>127.0.0.1:…</HostId><OSSAccessKeyId>rootid</OSSAccessKeyId><SignatureProvided>…</SignatureProvided><StringToSign>OSS4-HMAC-SHA256
20160113T140237Z
20160113/cn-hangzhou/oss/aliyun_v4_request
6dec7a20c361a8e94000c15bb35092132fead19c7c7689a89802ef3a8843d5cf</StringToSign><StringToSignBytes>…</StringToSignBytes><CanonicalRequest>GET
/sample-bucket/a%26b

x-oss-content-sha256:UNSIGNED-PAYLOAD
x-oss-date:20160113T140237Z


UNSIGNED-PAYLOAD</CanonicalRequest><EC>0002-00000040</EC></Error>
"#);
}

#[tokio::test]
async fn an_error_for_a_long_token_stays_within_what_oss2_reads() {
    let emulated = Emulated::start().await;
    let resource = format!("acs:oss:*:*:sample-bucket/{}*", "a/".repeat(900));
    let policy = format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"{resource}"}}]}}"#
    );
    let session = emulated.session("oss-readonly", Some(&policy));
    let wrong = SigningKeys { secret: "wrong".to_owned(), ..session };
    for scheme in SCHEMES {
        let response = emulated.send(&OssRequest::get(GRASS).signed(scheme, &wrong)).await;
        assert_eq!(response.outcome(), "403 SignatureDoesNotMatch", "{scheme:?}");
        assert_eq!(response.tag("OSSAccessKeyId"), wrong.id, "{scheme:?}");
        assert!(response.body.len() <= 4096, "{scheme:?}: {} bytes", response.body.len());
        assert!(!response.text().contains("StringToSignBytes"), "{scheme:?}");
    }
}

fn without_signature(response: &OssResponse) -> String {
    response
        .snapshot()
        .replace(&response.tag("SignatureProvided"), "…")
        .replace(&response.tag("StringToSignBytes"), "…")
}

#[tokio::test]
async fn a_request_is_valid_for_fifteen_minutes_either_way() {
    let emulated = Emulated::start().await;
    for scheme in [Scheme::V1, Scheme::V4] {
        let at = |offset| {
            OssRequest::get(GRASS).at(start() + offset).signed(scheme, &SigningKeys::root())
        };
        for good in [seconds(900), seconds(-900)] {
            assert_eq!(emulated.send(&at(good)).await.status, 200, "{scheme:?}");
        }
        for skewed in [seconds(901), seconds(-901)] {
            let response = emulated.send(&at(skewed)).await;
            let server = response.tag("ServerTime");
            let expected =
                ("403 RequestTimeTooSkewed".to_owned(), "2016-01-13T14:02:37.000Z".to_owned());
            assert_eq!((response.outcome(), server), expected, "{scheme:?}");
        }
    }
}

#[tokio::test]
async fn an_expired_url_is_refused_whatever_its_signature() {
    let emulated = Emulated::start().await;
    for scheme in [Scheme::V1Url(60), Scheme::V4Url(60)] {
        let request = OssRequest::get(GRASS).signed(scheme, &SigningKeys::root());
        let wrong = SigningKeys { secret: "wrong".to_owned(), ..SigningKeys::root() };
        let badly_signed = OssRequest::get(GRASS).signed(scheme, &wrong);
        emulated.control.reset_clock();
        emulated.control.advance_clock(60);
        assert_eq!(emulated.send(&request).await.status, 200, "{scheme:?}");
        emulated.control.advance_clock(1);
        for request in [request, badly_signed] {
            let response = emulated.send(&request).await;
            let said = (response.outcome(), response.tag("Message"));
            let expected = ("403 AccessDenied".to_owned(), "Request has expired.".to_owned());
            assert_eq!(said, expected, "{scheme:?}");
        }
    }
}

#[tokio::test]
async fn a_v4_url_is_not_from_the_future_and_is_valid_for_a_week_at_most() {
    let emulated = Emulated::start().await;
    let url = |life, offset| {
        OssRequest::get(GRASS)
            .at(start() + offset)
            .signed(Scheme::V4Url(life), &SigningKeys::root())
    };
    for (request, expected) in [
        (url(604_800, seconds(0)), "200"),
        (url(604_801, seconds(0)), "400 InvalidArgument"),
        (url(0, seconds(0)), "400 InvalidArgument"),
        (url(60, seconds(900)), "200"),
        (url(60, seconds(901)), "403 RequestTimeTooSkewed"),
    ] {
        assert_eq!(emulated.send(&request).await.outcome(), expected, "{:?}", request.query);
    }
}

#[tokio::test]
async fn a_token_expires_and_is_unknown_a_day_later() {
    let emulated = Emulated::start().await;
    let session = emulated.session("oss-readonly", None);
    let request =
        |scheme| OssRequest::get(GRASS).at(emulated.control.now()).signed(scheme, &session);
    for scheme in SCHEMES {
        emulated.control.reset_clock();
        emulated.control.advance_clock(3599);
        assert_eq!(emulated.send(&request(scheme)).await.status, 200, "{scheme:?}");
        emulated.control.advance_clock(1);
        assert_eq!(emulated.send(&request(scheme)).await.outcome(), "403 SecurityTokenExpired");
        emulated.control.advance_clock(24 * 3600 + 1);
        assert_eq!(emulated.send(&request(scheme)).await.outcome(), "403 InvalidAccessKeyId");
    }
}

#[tokio::test]
async fn id_secret_and_token_belong_together() {
    let emulated = Emulated::start().await;
    let session = emulated.session("oss-readonly", None);
    let other = emulated.session("oss-readonly", None);
    let with = |keys: &SigningKeys, token: Option<&str>| SigningKeys {
        token: token.map(str::to_owned),
        ..keys.clone()
    };
    let other_token = other.token.as_deref();
    let table = [
        (with(&session, None), "403 InvalidAccessKeyId"),
        (with(&session, other_token), "403 AccessKeyIdAndSecurityTokenNotMatch"),
        (with(&session, Some("CAISnonsense")), "403 InvalidSecurityToken"),
        (with(&SigningKeys::root(), other_token), "403 AccessKeyIdAndSecurityTokenNotMatch"),
        (
            SigningKeys { secret: other.secret.clone(), ..session.clone() },
            "403 SignatureDoesNotMatch",
        ),
        (SigningKeys::of("nobody"), "403 InvalidAccessKeyId"),
        (SigningKeys::of("disabled"), "403 InvalidAccessKeyId"),
        (session, "200"),
    ];
    for (keys, expected) in table {
        for scheme in SCHEMES {
            let response = emulated.send(&OssRequest::get(GRASS).signed(scheme, &keys)).await;
            assert_eq!(response.outcome(), expected, "{scheme:?} {keys:?}");
        }
    }
}

#[tokio::test]
async fn a_signature_is_for_one_region_and_for_oss() {
    let emulated = Emulated::start().await;
    let request = OssRequest::get(GRASS).signed(Scheme::V4, &SigningKeys::root());
    for (from, to) in [("cn-hangzhou/oss/", "cn-beijing/oss/"), ("/oss/", "/oss-cloudbox/")] {
        let mut elsewhere = request.clone();
        for (_, value) in &mut elsewhere.headers {
            *value = value.replace(from, to);
        }
        assert_eq!(emulated.send(&elsewhere).await.outcome(), "400 InvalidArgument", "{to}");
    }
}

#[tokio::test]
async fn an_incomplete_signature_names_the_missing_part() {
    let emulated = Emulated::start().await;
    let get = || OssRequest::get(GRASS);
    let date = "Wed, 13 Jan 2016 14:02:37 GMT";
    let header = |text: &str| get().header("authorization", text);
    let v4 = "OSS4-HMAC-SHA256 Credential=rootid/20160113/cn-hangzhou/oss/aliyun_v4_request,Signature=ab";
    let unsigned_payload =
        |request: OssRequest| request.header("x-oss-content-sha256", "UNSIGNED-PAYLOAD");
    let both = get()
        .signed(Scheme::V1, &SigningKeys::root())
        .signed(Scheme::V1Url(60), &SigningKeys::root());
    let token_twice =
        header("OSS a:b").header("x-oss-security-token", "t").query("security-token", "t");
    let table = [
        (header("OSS rootid"), "400 InvalidArgument"),
        (header("Basic cm9vdGlkOnJvb3RzZWNyZXQ="), "400 InvalidArgument"),
        (header("OSS2 AccessKeyId:rootid,Signature:x").header("date", date), "400 InvalidArgument"),
        (header("OSS rootid:x"), "403 AccessDenied"),
        (header("OSS rootid:x").header("date", "yesterday"), "403 AccessDenied"),
        (header("OSS rootid:x").header("date", date), "403 SignatureDoesNotMatch"),
        (header("OSS4-HMAC-SHA256 Signature=ab"), "400 InvalidArgument"),
        (header(v4).header("x-oss-date", "20160113T140237Z"), "400 InvalidArgument"),
        (unsigned_payload(header(v4)), "403 AccessDenied"),
        (
            unsigned_payload(header(v4)).header("x-oss-date", "20160112T140237Z"),
            "400 InvalidArgument",
        ),
        (
            unsigned_payload(header(v4)).header("x-oss-date", "20160113T140237Z"),
            "403 SignatureDoesNotMatch",
        ),
        (get().query("OSSAccessKeyId", "rootid"), "403 AccessDenied"),
        (get().query("Signature", "x").query("Expires", "1"), "403 AccessDenied"),
        (get().query("x-oss-signature", "x"), "400 InvalidArgument"),
        (get().query("x-oss-signature-version", "OSS4-HMAC-SHA256"), "400 InvalidArgument"),
        (both, "400 InvalidArgument"),
        (token_twice, "400 InvalidArgument"),
    ];
    for (request, expected) in table {
        let response = emulated.send(&request).await;
        assert_eq!(response.outcome(), expected, "{:?} {:?}", request.headers, request.query);
    }
    let response = emulated.send(&get().query("OSSAccessKeyId", "rootid")).await;
    let expected =
        "Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters";
    assert_eq!(response.tag("Message"), expected);
}

#[tokio::test]
async fn the_bucket_may_be_in_the_host() {
    let emulated = Emulated::start().await;
    for host in ["sample-bucket.oss-cn-hangzhou.aliyuncs.com", "sample-bucket.localhost:8091"] {
        for scheme in SCHEMES {
            let request = OssRequest::get(GRASS).signed(scheme, &SigningKeys::root());
            let url = format!("http://{}/{GRASS}{}", emulated.host, request.wire_query());
            let mut built = emulated.http.get(url).header("host", host);
            for (name, value) in &request.headers {
                built = built.header(*name, value);
            }
            assert_eq!(built.send().await.unwrap().status(), 200, "{host} {scheme:?}");
        }
    }
}

#[tokio::test]
async fn requests_are_counted_and_logged_without_secrets() {
    let emulated = Emulated::start().await;
    let session = emulated.session("oss-readonly", None);
    emulated.send(&OssRequest::get(GRASS).signed(Scheme::V4Url(60), &session)).await;
    emulated
        .send(&OssRequest::list(&[("prefix", "2015/")]).signed(Scheme::V1Url(60), &session))
        .await;
    emulated.send(&OssRequest::put(GRASS, "").signed(Scheme::V1, &session)).await;
    let calls = emulated.control.oss_calls();
    let text: Vec<_> = calls
        .iter()
        .map(|call| {
            format!(
                "{} {} {} {}",
                call.method, call.action, call.outcome, call.parameters["Bucket"]
            )
        })
        .collect();
    let expected = [
        "GET GetObject Success sample-bucket",
        "GET ListObjects Success sample-bucket",
        "PUT PutObject AccessDenied sample-bucket",
    ];
    assert_eq!(text, expected);
    let names: Vec<_> = calls[0].parameters.keys().map(String::as_str).collect();
    let expected =
        ["AccessKeyId", "Bucket", "Key", "x-oss-date", "x-oss-expires", "x-oss-signature-version"];
    assert_eq!(names, expected);
    assert_eq!(calls[1].parameters["prefix"], "2015/");
    let logged = format!("{calls:?}");
    assert!(!logged.contains(&session.secret) && !logged.contains(session.token.as_ref().unwrap()));
    assert_eq!(emulated.control.oss_totals()["PutObject"]["AccessDenied"], 1);
    emulated.control.clear_oss_calls();
    assert_eq!((emulated.control.oss_calls().len(), emulated.control.oss_totals().len()), (0, 0));
}

/// Its outcome, message and EC.
fn refusal(response: &OssResponse) -> String {
    let ec = response.headers.get("x-oss-ec").cloned().unwrap_or_default();
    format!("{} | {} | {ec}", response.outcome(), response.tag("Message")).trim_end().to_owned()
}

#[tokio::test]
async fn each_refusal_of_a_v4_url_has_its_code_message_and_ec() {
    let emulated = Emulated::start().await;
    let session = emulated.session("oss-readonly", None);
    let url = |life| OssRequest::get(GRASS).signed(Scheme::V4Url(life), &session);
    let changed = |name: &str, value: &str| {
        let mut request = url(60);
        request.query.iter_mut().filter(|(other, _)| *other == name).for_each(|(_, old)| {
            value.clone_into(old);
        });
        request
    };
    let mut outcomes = Vec::new();
    for request in [
        url(604_801),
        url(0),
        changed("x-oss-credential", ""),
        changed("x-oss-signature-version", "OSS5-HMAC-SHA256"),
        changed("x-oss-security-token", ""),
        changed("x-oss-signature", "00"),
    ] {
        outcomes.push(refusal(&emulated.send(&request).await));
    }
    let (short, long) = (url(60), url(604_800));
    assert_eq!(emulated.send(&long).await.status, 200);
    emulated.control.advance_clock(61);
    outcomes.push(refusal(&emulated.send(&short).await));
    // The token ends before the URL does.
    emulated.control.advance_clock(3600);
    outcomes.push(refusal(&emulated.send(&long).await));
    insta::assert_snapshot!(outcomes.join("\n"), @r"
    400 InvalidArgument | x-oss-expires is between 1 and 604800 seconds. |
    400 InvalidArgument | x-oss-expires is between 1 and 604800 seconds. |
    400 InvalidArgument | x-oss-credential of the URL is empty. | 0002-00000218
    400 InvalidArgument | The signature version of the URL is unknown; x-oss-signature-version must be OSS4-HMAC-SHA256. | 0002-00000066
    403 InvalidAccessKeyId | The OSS Access Key Id you provided does not exist in our records. |
    403 SignatureDoesNotMatch | The request signature we calculated does not match the signature you provided. Check your key and signing method. | 0002-00000040
    403 AccessDenied | Request has expired. | 0002-00000236
    403 SecurityTokenExpired | The security token you provided has expired. |
    ");
}

#[tokio::test]
async fn each_changed_part_of_a_v4_url_is_refused() {
    let emulated = Emulated::start().await;
    let session = emulated.session("oss-readwrite", None);
    let put = || {
        OssRequest::put("a.png", "hello")
            .header("content-type", "image/png")
            .header("x-oss-meta-user", "alice")
            .query("callback-var", "e30=")
            .signed(Scheme::V4Url(60), &session)
    };
    assert_eq!(emulated.send(&put()).await.status, 200);
    let refused = async |request: OssRequest, part: &str| {
        let status = emulated.send(&request).await.status;
        assert!([400, 403].contains(&status), "{part}: {status}");
    };
    for index in 0..put().query.len() {
        let (mut changed, mut absent) = (put(), put());
        changed.query[index].1.push('x');
        let (name, _) = absent.query.remove(index);
        refused(changed, name).await;
        // Without its signature it is an unsigned request.
        refused(absent, name).await;
    }
    for index in 0..put().headers.len() {
        let (mut changed, mut absent) = (put(), put());
        changed.headers[index].1.push('x');
        let (name, _) = absent.headers.remove(index);
        refused(changed, name).await;
        refused(absent, name).await;
    }
    for name in ["x-oss-object-acl", "x-oss-meta-more", "x-oss-callback", "content-md5"] {
        refused(put().header(name, "default"), name).await;
    }
    refused(put().query("versionId", "1"), "more query").await;
    let mut other_key = put();
    other_key.key.push('x');
    refused(other_key, "key").await;
    let other_method = OssRequest { method: "GET", ..put() };
    refused(other_method, "method").await;
}
