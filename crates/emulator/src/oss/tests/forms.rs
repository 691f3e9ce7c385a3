//! PostObject.

use super::*;

pub(super) const LATER: &str = "2016-01-13T15:00:00.000Z";

/// A form's fields, the file last.
pub(super) struct Form {
    fields: Vec<(&'static str, String)>,
    file: &'static str,
}

impl Form {
    pub(super) fn new(key: &str) -> Self {
        Self { fields: vec![("key", key.to_owned())], file: "hello" }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn signed(self, keys: &SigningKeys, expiration: &str, conditions: &str) -> Self {
        let policy = policy(expiration, conditions);
        let mac = Hmac::<sha1::Sha1>::new_from_slice(keys.secret.as_bytes()).unwrap();
        let signature = STANDARD.encode(mac.chain_update(&policy).finalize().into_bytes());
        let signed = self
            .with("policy", policy)
            .with("OSSAccessKeyId", keys.id.as_str())
            .with("Signature", signature);
        match &keys.token {
            Some(token) => signed.with("x-oss-security-token", token),
            None => signed,
        }
    }

    pub(super) fn signed_v4(self, keys: &SigningKeys, expiration: &str, conditions: &str) -> Self {
        let policy = policy(expiration, conditions);
        let scope = "20160113/cn-hangzhou/oss/aliyun_v4_request";
        let hmac = |key: &[u8], text: &str| {
            let mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
            mac.chain_update(text).finalize().into_bytes().to_vec()
        };
        let first = format!("aliyun_v4{}", keys.secret).into_bytes();
        let key = scope.split('/').fold(first, |key, part| hmac(&key, part));
        let signature = hex::encode(hmac(&key, &policy));
        self.with("x-oss-signature-version", "OSS4-HMAC-SHA256")
            .with("x-oss-credential", format!("{}/{scope}", keys.id))
            .with("x-oss-date", "20160113T140237Z")
            .with("x-oss-signature", signature)
            .with("policy", policy)
    }

    pub(super) fn request(&self) -> OssRequest {
        let mut body = String::new();
        for (name, value) in &self.fields {
            body += &format!(
                "--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        body +=
            "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\n";
        body += &format!("Content-Type: image/jpeg\r\n\r\n{}\r\n--cut--\r\n", self.file);
        let request = OssRequest::new("POST", "").body(body);
        request.header("content-type", "multipart/form-data; boundary=cut")
    }
}

fn policy(expiration: &str, conditions: &str) -> String {
    STANDARD.encode(format!(r#"{{"expiration":"{expiration}","conditions":[{conditions}]}}"#))
}

#[tokio::test]
async fn a_signed_form_puts_an_object() {
    let emulated = Emulated::start().await;
    let session = emulated.session("oss-readwrite", None);
    let conditions = r#"{"bucket":"sample-bucket"},["starts-with","$key","forms/"]"#;
    let form = Form::new("forms/${filename}").with("x-oss-meta-colour", "green");
    for form in [
        form.signed(&SigningKeys::root(), LATER, conditions),
        Form::new("forms/${filename}").signed(&session, LATER, conditions),
        Form::new("forms/${filename}").signed_v4(&SigningKeys::root(), LATER, conditions),
    ] {
        let response = emulated.send(&form.request()).await;
        assert_eq!(
            (response.outcome(), response.headers["etag"].as_str()),
            ("204".to_owned(), "\"5D41402ABC4B2A76B9719D911017C592\"")
        );
        let got = emulated.root(OssRequest::get("forms/photo.jpg")).await;
        assert_eq!(
            (got.text(), got.headers["content-type"].as_str()),
            ("hello".to_owned(), "image/jpeg")
        );
        emulated.root(OssRequest::new("DELETE", "forms/photo.jpg")).await;
    }
}

#[tokio::test]
async fn a_form_chooses_its_answer() {
    let emulated = Emulated::start().await;
    let form = || Form::new("a b").signed(&SigningKeys::root(), LATER, "");
    let created = emulated.send(&form().with("success_action_status", "201").request()).await;
    insta::assert_snapshot!(created.snapshot().replace(&emulated.host, "…"), @r#"
201
content-length: …
content-type: application/xml
date: Wed, 13 Jan 2016 14:02:37 GMT
etag: "5D41402ABC4B2A76B9719D911017C592"
server: AliyunOSS
x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:PutObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/a b","BucketAcl":"private"}
x-oss-hash-crc64ecma: 11177612005948864433
x-oss-request-id: …
x-oss-server-time: …

<?xml version="1.0" encoding="UTF-8"?>
<PostResponse><Bucket>sample-bucket</Bucket><Location>http://…/sample-bucket/a%20b</Location><Key>a b</Key><ETag>"5D41402ABC4B2A76B9719D911017C592"</ETag></PostResponse>
"#);
    let ok = emulated.send(&form().with("success_action_status", "200").request()).await;
    assert_eq!((ok.status, ok.body.len()), (200, 0));
    let redirect = form().with("success_action_redirect", "http://127.0.0.1:8080/done?x=1");
    let response = emulated.send(&redirect.request()).await;
    let to = "http://127.0.0.1:8080/done?x=1&bucket=sample-bucket&key=a%20b&etag=%225D41402ABC4B2A76B9719D911017C592%22";
    assert_eq!((response.status, response.headers["location"].as_str()), (303, to));
}

#[tokio::test]
async fn a_form_is_limited_to_what_its_policy_allows() {
    let emulated = Emulated::start().await;
    let root = SigningKeys::root();
    let table = [
        (r#"["eq","$key","forms/a"]"#, "204"),
        (r#"["eq","$key","forms/b"]"#, "403 AccessDenied"),
        (r#"["starts-with","$key","form"]"#, "204"),
        (r#"["starts-with","$key","users/"]"#, "403 AccessDenied"),
        (r#"{"bucket":"other-bucket"}"#, "403 AccessDenied"),
        (r#"{"success_action_status":"201"}"#, "403 AccessDenied"),
        (r#"["in","$key",["forms/a","forms/b"]]"#, "204"),
        (r#"["not-in","$key",["forms/a"]]"#, "403 AccessDenied"),
        (r#"["content-length-range",5,5]"#, "204"),
        (r#"["content-length-range",0,4]"#, "400 EntityTooLarge"),
        (r#"["content-length-range",6,9]"#, "400 EntityTooSmall"),
        (r#"["near","$key","a"]"#, "400 InvalidPolicyDocument"),
        (r#""key""#, "400 InvalidPolicyDocument"),
    ];
    for (condition, expected) in table {
        let form = Form::new("forms/a").signed(&root, LATER, condition);
        assert_eq!(emulated.send(&form.request()).await.outcome(), expected, "{condition}");
    }
    let expired = Form::new("a").signed(&root, "2016-01-13T14:02:36Z", "");
    let response = emulated.send(&expired.request()).await;
    assert_eq!(
        (response.outcome(), response.tag("Message")),
        ("403 AccessDenied".to_owned(), "Invalid according to Policy: Policy expired.".to_owned())
    );
}

#[tokio::test]
async fn access_of_a_form_is_decided_as_for_a_put() {
    let emulated = Emulated::start().await;
    let wrong = SigningKeys { secret: "wrong".to_owned(), ..SigningKeys::root() };
    let read_only = emulated.session("oss-readonly", None);
    let no_token = SigningKeys { token: None, ..read_only.clone() };
    for (form, expected) in [
        (Form::new("a").signed(&wrong, LATER, ""), "403 SignatureDoesNotMatch"),
        (Form::new("a").signed_v4(&wrong, LATER, ""), "403 SignatureDoesNotMatch"),
        (Form::new("a").signed(&read_only, LATER, ""), "403 AccessDenied"),
        (Form::new("a").signed(&no_token, LATER, ""), "403 InvalidAccessKeyId"),
        (Form::new("a"), "403 AccessDenied"),
        (Form::new("/a").signed(&SigningKeys::root(), LATER, ""), "400 InvalidObjectName"),
        (Form::new("").signed(&SigningKeys::root(), LATER, ""), "400 InvalidArgument"),
        (Form::new("a").with("policy", "e30="), "400 InvalidArgument"),
    ] {
        assert_eq!(emulated.send(&form.request()).await.outcome(), expected, "{:?}", form.fields);
    }
    assert_eq!(emulated.root(OssRequest::get("a")).await.outcome(), "404 NoSuchKey");
    assert_eq!(emulated.send(&Form::new("a").request().of("open-bucket")).await.status, 204);
}

#[tokio::test]
async fn an_invalid_form_is_refused() {
    let emulated = Emulated::start().await;
    let request = |kind: &str, body: &str| {
        OssRequest::new("POST", "").body(body).header("content-type", kind)
    };
    let form = "multipart/form-data; boundary=cut";
    let without_file =
        "--cut\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\n--cut--\r\n";
    for (kind, body) in [
        ("text/plain", ""),
        ("multipart/form-data", ""),
        (form, ""),
        (form, "--cut"),
        (form, without_file),
    ] {
        let response = emulated.send(&request(kind, body)).await;
        assert_eq!(response.outcome(), "400 MalformedPOSTRequest", "{kind} {body}");
    }
    let long = Form::new("a").with("x-oss-meta-long", "x".repeat(300 << 10));
    assert_eq!(emulated.send(&long.request()).await.outcome(), "400 EntityTooLarge");
}
