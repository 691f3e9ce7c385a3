//! PostObject.

use super::*;

pub(super) const LATER: &str = "2016-01-13T15:00:00.000Z";
const SCOPE: &str = "20160113/cn-hangzhou/oss/aliyun_v4_request";
const DATE: &str = "20160113T140237Z";

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

    /// With the conditions that version 4 needs, and those given.
    pub(super) fn signed_v4(self, keys: &SigningKeys, expiration: &str, conditions: &str) -> Self {
        let mut all = vec![
            r#"{"x-oss-signature-version":"OSS4-HMAC-SHA256"}"#.to_owned(),
            format!(r#"{{"x-oss-credential":"{}/{SCOPE}"}}"#, keys.id),
            format!(r#"{{"x-oss-date":"{DATE}"}}"#),
        ];
        if let Some(token) = &keys.token {
            all.push(format!(r#"{{"x-oss-security-token":"{token}"}}"#));
        }
        if !conditions.is_empty() {
            all.push(conditions.to_owned());
        }
        let json = format!(r#"{{"expiration":"{expiration}","conditions":[{}]}}"#, all.join(","));
        self.signed_v4_of(keys, &json)
    }

    /// With this JSON as its policy.
    fn signed_v4_of(self, keys: &SigningKeys, json: &str) -> Self {
        let policy = STANDARD.encode(json);
        let hmac = |key: &[u8], text: &str| {
            let mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
            mac.chain_update(text).finalize().into_bytes().to_vec()
        };
        let first = format!("aliyun_v4{}", keys.secret).into_bytes();
        let key = SCOPE.split('/').fold(first, |key, part| hmac(&key, part));
        let signature = hex::encode(hmac(&key, &policy));
        let signed = self
            .with("x-oss-signature-version", "OSS4-HMAC-SHA256")
            .with("x-oss-credential", format!("{}/{SCOPE}", keys.id))
            .with("x-oss-date", DATE)
            .with("x-oss-signature", signature)
            .with("policy", policy);
        match &keys.token {
            Some(token) => signed.with("x-oss-security-token", token),
            None => signed,
        }
    }

    /// With another value of a field, or without it.
    fn but(mut self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.fields.iter_mut().for_each(|(other, old)| {
                if *other == name {
                    value.clone_into(old);
                }
            }),
            None => self.fields.retain(|(other, _)| *other != name),
        }
        self
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
    for (kind, body) in
        [("text/plain", ""), ("multipart/form-data", ""), (form, ""), (form, "--cut")]
    {
        let response = emulated.send(&request(kind, body)).await;
        assert_eq!(response.outcome(), "400 MalformedPOSTRequest", "{kind} {body}");
    }
    let response = emulated.send(&request(form, without_file)).await;
    assert_eq!(response.outcome(), "400 IncorrectNumberOfFilesInPOSTRequest");
    let files = Form::new("a").request();
    let file = "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b\"\r\n\r\nb\r\n--cut--";
    let twice = String::from_utf8(files.body.clone()).unwrap().replace("--cut--", file);
    let response = emulated.send(&files.clone().body(twice).of("open-bucket")).await;
    assert_eq!(response.outcome(), "400 IncorrectNumberOfFilesInPOSTRequest");
    for long in [
        Form::new("a").with("x-oss-meta-long", "x".repeat((2 << 20) + 1)),
        Form::new("a").with(Box::leak("x".repeat((8 << 10) + 1).into_boxed_str()), "a"),
    ] {
        assert_eq!(emulated.send(&long.request()).await.outcome(), "400 FieldItemTooLong");
    }
}

/// The outcome, message and EC of a form.
async fn refusal(emulated: &Emulated, form: Form) -> String {
    let response = emulated.send(&form.request()).await;
    let ec = response.headers.get("x-oss-ec").cloned().unwrap_or_default();
    assert_eq!(ec, response.tag("EC"));
    format!("{} | {} | {ec}", response.outcome(), response.tag("Message")).trim_end().to_owned()
}

#[tokio::test]
async fn each_refusal_of_a_form_has_its_code_message_and_ec() {
    let emulated = Emulated::start().await;
    let root = SigningKeys::root();
    let signed = |conditions: &str| Form::new("forms/a").signed_v4(&root, LATER, conditions);
    let of_policy = |json: &str| Form::new("forms/a").signed_v4_of(&root, json);
    let with_conditions = |conditions: &str| {
        of_policy(&format!(r#"{{"expiration":"{LATER}","conditions":{conditions}}}"#))
    };
    let mut not_json = signed("");
    not_json = not_json.but("policy", Some("e30"));
    let session = emulated.session("oss-readwrite", None);
    let no_token = SigningKeys { token: None, ..session.clone() };
    let mut outcomes = Vec::new();
    for form in [
        signed("").but("key", None),
        signed("").but("policy", None),
        signed("").but("x-oss-credential", None),
        signed("").but("x-oss-signature", None),
        signed("").but("x-oss-signature", Some("")),
        signed("").but("x-oss-signature-version", Some("OSS5")),
        signed("").but("x-oss-signature-version", None),
        signed("").but("x-oss-credential", Some("rootid/20160113/cn-hangzhou/oss")),
        signed("")
            .but("x-oss-credential", Some("rootid/20160113/cn-beijing/oss/aliyun_v4_request")),
        signed("").but("x-oss-date", Some("20160113")),
        signed("").but("x-oss-date", Some("20160114T140237Z")),
        not_json,
        Form::new("a").signed_v4(&SigningKeys::of("nobody"), LATER, ""),
        Form::new("a").signed_v4(&no_token, LATER, ""),
        of_policy("{"),
        of_policy("[]"),
        of_policy("{}"),
        of_policy(r#"{"conditions":[]}"#),
        of_policy(r#"{"expiration":"2016-01-13T15:00:00.000Z"}"#),
        of_policy(r#"{"expiration":"","conditions":[]}"#),
        of_policy(r#"{"expiration":123,"conditions":[]}"#),
        of_policy(r#"{"expiration":"tomorrow","conditions":[]}"#),
        with_conditions("[]"),
        with_conditions("[1]"),
        with_conditions("[{}]"),
        with_conditions(r#"[{"key":"a","acl":"b"}]"#),
        with_conditions(r#"[["near","$key","a"]]"#),
        with_conditions(r#"[["eq","key","a"]]"#),
        with_conditions(r#"[["eq","$key","a","b"]]"#),
        with_conditions(r#"[["eq","$key",1]]"#),
        with_conditions(r#"[["not-in","$cache-control","no-cache"]]"#),
        with_conditions(r#"[["content-length-range",2,1]]"#),
        with_conditions(r#"[["content-length-range","1",2]]"#),
        with_conditions(r#"[["content-length-range",1,2.5]]"#),
        with_conditions(r#"[["content-length-range",-1,2]]"#),
        Form::new("a").signed_v4(&root, "2016-01-13T14:02:36Z", ""),
        signed(r#"{"success_action_status":"200"}"#),
        signed(r#"["in","$Key",["b","\u00e9"]]"#),
        signed(r#"["content-length-range",0,4]"#),
        signed(r#"["content-length-range",6,9]"#),
        signed("").with("x-oss-object-acl", "public-read"),
        signed("").with("x-oss-object-acl", "everyone"),
        signed("").with("x-oss-storage-class", "Fast"),
    ] {
        outcomes.push(refusal(&emulated, form).await);
    }
    insta::assert_snapshot!(outcomes.join("\n"), @r#"
    400 InvalidArgument | The bucket POST must contain the specified 'key'. If it is specified, please check the order of the fields |
    400 InvalidArgument | A signed form needs the field policy. | 0002-00000702
    400 InvalidArgument | A signed form needs the field x-oss-credential (or OSSAccessKeyId, in version 1). | 0002-00000706
    400 InvalidArgument | A signed form needs the field x-oss-signature (or Signature, in version 1). | 0002-00000703
    400 InvalidArgument | A signed form needs the field x-oss-signature (or Signature, in version 1). | 0002-00000704
    400 InvalidArgument | x-oss-signature-version of the form must be OSS4-HMAC-SHA256. | 0002-00000701
    400 InvalidArgument | x-oss-signature-version of the form must be OSS4-HMAC-SHA256. | 0002-00000701
    400 InvalidArgument | x-oss-credential of the form is not &lt;AccessKeyId&gt;/&lt;yyyymmdd&gt;/&lt;region&gt;/oss/aliyun_v4_request. | 0002-00000710
    400 InvalidArgument | Invalid signing region in Authorization header. |
    400 InvalidArgument | x-oss-date of the form is not &lt;yyyymmdd&gt;T&lt;hhmmss&gt;Z on the day of x-oss-credential. | 0002-00000709
    400 InvalidArgument | x-oss-date of the form is not &lt;yyyymmdd&gt;T&lt;hhmmss&gt;Z on the day of x-oss-credential. | 0002-00000709
    403 SignatureDoesNotMatch | The request signature we calculated does not match the signature you provided. Check your key and signing method. | 0002-00000705
    403 InvalidAccessKeyId | The OSS Access Key Id you provided does not exist in our records. |
    403 InvalidAccessKeyId | The OSS Access Key Id you provided does not exist in our records. |
    400 InvalidPolicyDocument | Invalid Policy: Invalid JSON: EOF while parsing an object at line 1 column 1 | 0006-00000201
    400 InvalidPolicyDocument | Invalid Policy: Invalid JSON: invalid type: sequence, expected a map at line 1 column 0 | 0006-00000201
    400 InvalidPolicyDocument | Invalid Policy: the 'expiration' and the 'conditions' are missing. | 0006-00000209
    400 InvalidPolicyDocument | Invalid Policy: the 'expiration' is missing. | 0006-00000208
    400 InvalidPolicyDocument | Invalid Policy: the 'conditions' are missing. | 0006-00000207
    400 InvalidPolicyDocument | Invalid Policy: the 'expiration' is empty. | 0006-00000211
    400 InvalidPolicyDocument | Invalid Policy: the 'expiration' is not a string. | 0006-00000210
    400 InvalidPolicyDocument | Invalid Policy: the 'expiration' is not a time such as 2023-12-03T13:00:00.000Z. |
    400 InvalidPolicyDocument | Invalid Policy: the conditions of a form of version 4 must include 'x-oss-signature-version'. |
    400 InvalidPolicyDocument | Invalid Policy: a condition is neither an object nor a list. | 0006-00000222
    400 InvalidPolicyDocument | Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified. |
    400 InvalidPolicyDocument | Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified. |
    400 InvalidPolicyDocument | Invalid Policy: a condition is not ["eq", "starts-with", "in" or "not-in", "$&lt;field&gt;", &lt;value&gt;] or ["content-length-range", &lt;min&gt;, &lt;max&gt;]. |
    400 InvalidPolicyDocument | Invalid Policy: a condition is not ["eq", "starts-with", "in" or "not-in", "$&lt;field&gt;", &lt;value&gt;] or ["content-length-range", &lt;min&gt;, &lt;max&gt;]. |
    400 InvalidPolicyDocument | Invalid Policy: a condition is not ["eq", "starts-with", "in" or "not-in", "$&lt;field&gt;", &lt;value&gt;] or ["content-length-range", &lt;min&gt;, &lt;max&gt;]. |
    400 InvalidPolicyDocument | Invalid Policy: the value of a condition is of the wrong type: "in" and "not-in" need a list of strings, the others a string. | 0006-00000224
    400 InvalidPolicyDocument | Invalid Policy: the value of a condition is of the wrong type: "in" and "not-in" need a list of strings, the others a string. | 0006-00000224
    400 InvalidPolicyDocument | Invalid Policy: the maximum of content-length-range is below its minimum. | 0006-00000219
    400 InvalidPolicyDocument | Invalid Policy: the minimum of content-length-range is not an integer from 0 on. | 0006-00000220
    400 InvalidPolicyDocument | Invalid Policy: the maximum of content-length-range is not an integer from 0 on. | 0006-00000221
    400 InvalidPolicyDocument | Invalid Policy: the minimum of content-length-range is not an integer from 0 on. | 0006-00000220
    403 AccessDenied | Invalid according to Policy: Policy expired. | 0006-00000213
    403 AccessDenied | Invalid according to Policy: Policy Condition failed: ["eq", "$success_action_status", "200"] | 0006-00000227
    403 AccessDenied | Invalid according to Policy: Policy Condition failed: ["in", "$Key", ["b", "é"]] | 0006-00000227
    400 EntityTooLarge | Your proposed upload exceeds the maximum allowed size | 0006-00000003
    400 EntityTooSmall | Your proposed upload is smaller than the minimum allowed size | 0006-00000004
    501 NotImplemented | The emulated OSS does not implement this functionality. |
    400 InvalidArgument | x-oss-object-acl is default, private, public-read or public-read-write. |
    400 InvalidArgument | x-oss-storage-class is Standard, IA, Archive, ColdArchive or DeepColdArchive. |
    "#);
    assert_eq!(emulated.root(OssRequest::get("forms/a")).await.outcome(), "404 NoSuchKey");
}

#[tokio::test]
async fn a_condition_on_a_field_that_was_not_sent_fails() {
    let emulated = Emulated::start().await;
    for condition in [
        r#"["starts-with","$x-oss-meta-a",""]"#,
        r#"["not-in","$x-oss-meta-a",["b"]]"#,
        r#"["eq","$x-oss-meta-a",""]"#,
        r#"{"x-oss-meta-a":""}"#,
    ] {
        let form = || Form::new("a").signed_v4(&SigningKeys::root(), LATER, condition);
        let absent = emulated.send(&form().request()).await;
        assert_eq!(absent.tag("EC"), "0006-00000227", "{condition}");
        let sent = emulated.send(&form().with("X-Oss-Meta-A", "").request()).await;
        assert_eq!(sent.status, 204, "{condition}");
    }
}

#[tokio::test]
async fn each_bound_field_changed_by_one_byte_is_refused_and_extras_are_let_in() {
    let emulated = Emulated::start().await;
    let session = emulated.session("oss-readwrite", None);
    let bound = [
        ("key", "forms/a"),
        ("content-type", "image/png"),
        ("x-oss-content-type", "image/png"),
        ("x-oss-object-acl", "default"),
        ("x-oss-forbid-overwrite", "false"),
        ("success_action_status", "200"),
        ("x-oss-meta-user", "alice"),
    ];
    let conditions: Vec<String> =
        bound.iter().map(|(name, value)| format!(r#"["eq","${name}","{value}"]"#)).collect();
    let form = || {
        let form = Form { fields: Vec::new(), file: "hello" };
        let form = bound.into_iter().fold(form, |form, (name, value)| form.with(name, value));
        form.signed_v4(&session, LATER, &conditions.join(","))
    };
    assert_eq!(emulated.send(&form().request()).await.status, 200);
    for (name, value) in form().fields {
        let changed = format!("{value}x");
        let changed = form().but(name, Some(&changed));
        let response = emulated.send(&changed.request()).await;
        assert!([400, 403].contains(&response.status), "{name}: {}", response.status);
        let without = emulated.send(&form().but(name, None).request()).await;
        assert!([400, 403].contains(&without.status), "{name}: {}", without.status);
    }
    let extras = form()
        .with("x-oss-meta-more", "1")
        .with("Cache-Control", "no-store")
        .with("Content-Disposition", "attachment")
        .with("x-oss-server-side-encryption", "AES256")
        .with("x-oss-storage-class", "IA")
        .with("unknown", "1");
    assert_eq!(emulated.send(&extras.request()).await.status, 200);
    let stored = emulated.root(OssRequest::new("HEAD", "forms/a")).await.headers;
    for (name, value) in [
        ("cache-control", "no-store"),
        ("content-disposition", "attachment"),
        ("content-type", "image/png"),
        ("x-oss-meta-more", "1"),
        ("x-oss-meta-user", "alice"),
        ("x-oss-server-side-encryption", "AES256"),
        ("x-oss-storage-class", "IA"),
    ] {
        assert_eq!(stored[name], value, "{name}");
    }
    let listed = emulated.root(OssRequest::list(&[("prefix", "forms/")])).await;
    assert_eq!(listed.tag("StorageClass"), "IA");
}

#[tokio::test]
async fn the_type_is_that_of_the_fields_before_that_of_the_file() {
    let emulated = Emulated::start().await;
    let form = || Form::new("a").signed_v4(&SigningKeys::root(), LATER, "");
    for (form, expected) in [
        (form(), "image/jpeg"),
        (form().with("Content-Type", "image/png"), "image/png"),
        (
            form().with("Content-Type", "image/png").with("x-oss-content-type", "image/gif"),
            "image/gif",
        ),
    ] {
        assert_eq!(emulated.send(&form.request()).await.status, 204);
        let stored = emulated.root(OssRequest::new("HEAD", "a")).await;
        assert_eq!(stored.headers["content-type"], expected);
    }
}

#[tokio::test]
async fn a_key_with_filename_is_checked_as_it_was_sent() {
    let emulated = Emulated::start().await;
    let form = |condition| {
        Form::new("forms/${filename}").signed_v4(&SigningKeys::root(), LATER, condition)
    };
    let expanded = emulated.send(&form(r#"["eq","$key","forms/photo.jpg"]"#).request()).await;
    assert_eq!(expanded.tag("EC"), "0006-00000227");
    let sent = emulated.send(&form(r#"["eq","$key","forms/${filename}"]"#).request()).await;
    assert_eq!(sent.status, 204);
    assert_eq!(emulated.root(OssRequest::get("forms/photo.jpg")).await.status, 200);
}

#[tokio::test]
async fn a_form_may_not_overwrite_if_it_says_so() {
    let emulated = Emulated::start().await;
    let form = |forbids| {
        let form = Form::new("a").with("x-oss-forbid-overwrite", forbids);
        form.signed_v4(&SigningKeys::root(), LATER, "")
    };
    assert_eq!(emulated.send(&form("true").request()).await.status, 204);
    assert_eq!(emulated.send(&form("true").request()).await.outcome(), "409 FileAlreadyExists");
    assert_eq!(emulated.send(&form("false").request()).await.status, 204);
}

#[tokio::test]
async fn a_form_is_valid_from_15_minutes_before_its_date_to_7_days_after() {
    let far = "2016-02-13T15:00:00.000Z";
    let day = 86_400;
    for (seconds, expected) in [
        (-15 * 60, "204"),
        (-15 * 60 - 1, "403 AccessDenied"),
        (7 * day, "204"),
        (7 * day + 1, "403 AccessDenied"),
    ] {
        let emulated = Emulated::start().await;
        emulated.control.advance_clock(seconds);
        let form = Form::new("a").signed_v4(&SigningKeys::root(), far, "");
        let response = emulated.send(&form.request()).await;
        assert_eq!(response.outcome(), expected, "{seconds}");
        assert_eq!(response.tag("EC").is_empty(), expected == "204");
    }
}

#[tokio::test]
async fn a_slow_upload_can_expire_on_its_way() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let emulated = Emulated::start().await;
    let body = Form::new("a").signed_v4(&SigningKeys::root(), LATER, "").request().body;
    let mut stream = tokio::net::TcpStream::connect(&emulated.host).await.unwrap();
    let head = format!(
        "POST /sample-bucket HTTP/1.1\r\nhost: {}\r\ncontent-type: multipart/form-data; boundary=cut\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        emulated.host,
        body.len()
    );
    let (first, last) = body.split_at(body.len() - 20);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(first).await.unwrap();
    while emulated.control.oss_calls().is_empty() {
        tokio::task::yield_now().await;
    }
    emulated.control.advance_clock(3600);
    stream.write_all(last).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("<EC>0006-00000213</EC>"), "{answer}");
    assert_eq!(emulated.control.oss_calls()[0].outcome, "AccessDenied");
}

#[tokio::test]
async fn a_form_reaches_its_bucket_by_path_and_by_host() {
    let emulated = Emulated::start().await;
    let request = |key: &str| Form::new(key).signed_v4(&SigningKeys::root(), LATER, "").request();
    // As with `curl -F`, without a slash after the bucket.
    let url = format!("http://{}/sample-bucket", emulated.host);
    let by_path = request("path");
    let (_, content_type) = &by_path.headers[0];
    let sent = emulated.http.post(url).header("content-type", content_type).body(by_path.body);
    assert_eq!(sent.send().await.unwrap().status().as_u16(), 204);
    let port = emulated.host.rsplit_once(':').unwrap().1;
    for host in [
        &format!("sample-bucket.localhost:{port}"),
        "sample-bucket.oss-cn-hangzhou.aliyuncs.com",
        "photos.example.test",
    ] {
        assert_eq!(emulated.send_to(host, &request(host)).await.status, 204, "{host}");
        assert_eq!(emulated.root(OssRequest::get(host)).await.text(), "hello");
    }
    assert_eq!(emulated.root(OssRequest::get("path")).await.text(), "hello");
}

#[tokio::test]
async fn other_signatures_of_a_form_are_not_looked_at() {
    let emulated = Emulated::start().await;
    let form = Form::new("a").signed_v4(&SigningKeys::root(), LATER, "").request();
    let signed = form.header("authorization", "OSS nobody:signature");
    assert_eq!(emulated.send(&signed).await.status, 204);
    let unsigned = Form::new("a").request().signed(Scheme::V4, &SigningKeys::root());
    assert_eq!(emulated.send(&unsigned).await.outcome(), "403 AccessDenied");
}
