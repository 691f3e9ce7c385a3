//! Signed upload forms, sent to an OSS that decides like the real one.

use appserver_emulator::{Fault, demo_jwt};
use chrono::TimeDelta;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::stage::{Answer, Setting, Stage, repository};

/// The grant of the tests here and of `urls`. Beside it, `my-photos` signs nothing.
pub(crate) const CONFIG: &str = r#"
[grants.form-upload]
role = "oss-readwrite"
policy = "{folder}/form-upload.json"
signed_urls = ["GET", "HEAD", "PUT"]

[grants.form-upload.oss]
bucket = "sample-bucket"
region = "cn-hangzhou"
endpoint = "http://{oss}"

[grants.form-upload.upload]
key = "users/${subject}/${name}"
name_pattern = ".{1,64}"
max_bytes = "1KiB"
content_types = ["image/jpeg", "image/png"]

[grants.my-photos]
signed_urls = []

[clients.photo-app]
grants = ["my-photos", "form-upload"]
default_grant = "my-photos"
"#;

/// The policy of the grant.
pub(crate) const POLICY: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow",
    "Action":["oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/users/${subject}/*"}]}"#;

pub(crate) async fn stage_with(more: &str) -> Stage {
    let config = &format!("{CONFIG}{more}");
    let files = &[("form-upload.json", POLICY)];
    Stage::set(Setting { config, files, ..Setting::default() }).await
}

/// A request of a user of the photo app.
pub(crate) async fn ask(stage: &Stage, user: &str, path: &str, body: &Value) -> Answer {
    let request = stage.request("POST", path).bearer_auth(demo_jwt(user, stage.clock.now()));
    let request = request.header("Content-Type", "application/json").body(body.to_string());
    stage.send(request).await
}

/// A signed form for a user's `cat.jpg`.
async fn form(stage: &Stage, user: &str) -> Answer {
    let cat = json!({"Grant": "form-upload", "Name": "cat.jpg", "ContentType": "image/jpeg"});
    let answer = ask(stage, user, "/v1/uploads", &cat).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

fn fields(answer: &Answer) -> Vec<(String, String)> {
    let fields = answer.body["Fields"].as_object().unwrap().iter();
    fields.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// The status of OSS's answer, and the code of an error.
pub(crate) async fn outcome(response: reqwest::Response) -> String {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once('<'));
    format!("{status} {}", code.map_or("", |(code, _)| code)).trim().to_owned()
}

/// Sends a form with a file as browsers do.
async fn send(answer: &Answer, fields: &[(String, String)], file: &[u8]) -> String {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend_from_slice(
            format!(
                "--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
            .as_bytes(),
        );
    }
    let head = "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cat.html\"\r\n\
                Content-Type: text/html\r\n\r\n";
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--limit--\r\n");
    let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let request = http.post(answer.body["Url"].as_str().unwrap());
    let request = request.header("Content-Type", "multipart/form-data; boundary=limit").body(body);
    outcome(request.send().await.unwrap()).await
}

/// A URL of the user's object, signed for `GET`.
async fn read(stage: &Stage, user: &str, key: &str) -> reqwest::Response {
    let request = json!({"Grant": "form-upload", "Method": "GET", "Key": key});
    let answer = ask(stage, user, "/v1/urls", &request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.get(answer.body["Url"].as_str().unwrap()).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_uploads_with_curl_as_it_is_printed() {
    let stage = stage_with("").await;
    let answer = form(&stage, "alice").await;
    let Value::Object(mut shown) = answer.body.clone() else { panic!("no object") };
    for varying in ["RequestId", "UploadId", "Url", "Fields"] {
        assert!(shown.remove(varying).is_some(), "{varying}");
    }
    insta::assert_snapshot!(Value::Object(shown), @r#"{"Code":"Success","ExpiresAt":"2016-01-13T14:17:37Z","FileField":"file","Grant":"form-upload","Key":"users/alice/cat.jpg","MaxBytes":1024,"Method":"POST","StatusCode":200}"#);
    let file = stage.folder().join("cat.jpg");
    std::fs::write(&file, "a picture").unwrap();
    let mut command = std::process::Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}"]);
    for (name, value) in fields(&answer) {
        command.args(["-F", &format!("{name}={value}")]);
    }
    command.args(["-F", &format!("file=@{}", file.display())]);
    command.arg(answer.body["Url"].as_str().unwrap());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "200");
    let object = read(&stage, "alice", "users/alice/cat.jpg").await;
    assert_eq!(object.headers()["content-type"], "image/jpeg");
    assert_eq!(object.text().await.unwrap(), "a picture");
    stage.close().await;
}

#[tokio::test]
async fn a_field_that_is_changed_by_one_byte_or_left_out_is_refused() {
    let stage = stage_with("").await;
    let answer = form(&stage, "alice").await;
    let all = fields(&answer);
    let mut seen = Vec::new();
    for at in 0..all.len() {
        let name = &all[at].0;
        let mut changed = all.clone();
        let last = changed[at].1.pop().unwrap();
        changed[at].1.push(if last == 'a' { 'b' } else { 'a' });
        let without: Vec<_> = [&all[..at], &all[at + 1..]].concat();
        let changed = send(&answer, &changed, b"a picture").await;
        let without = send(&answer, &without, b"a picture").await;
        assert!(!changed.starts_with('2'), "{name}: {changed}");
        assert!(!without.starts_with('2'), "without {name}: {without}");
        seen.push(name.as_str());
    }
    seen.sort_unstable();
    insta::assert_snapshot!(seen.join(" "), @"Content-Type key policy success_action_status x-oss-content-type x-oss-credential x-oss-date x-oss-forbid-overwrite x-oss-object-acl x-oss-security-token x-oss-signature x-oss-signature-version x-oss-storage-class");
    assert_eq!(send(&answer, &all, b"a picture").await, "200");
    stage.close().await;
}

#[tokio::test]
async fn oss_enforces_the_size_the_type_the_single_use_and_the_end_of_a_form() {
    let stage = stage_with("").await;
    let answer = form(&stage, "alice").await;
    let all = fields(&answer);
    assert_eq!(send(&answer, &all, &[b'x'; 1025]).await, "400 EntityTooLarge");
    assert_eq!(send(&answer, &all, b"").await, "400 EntityTooSmall");
    let html: Vec<_> = all
        .iter()
        .map(|(name, value)| (name.clone(), value.replace("image/jpeg", "text/html")))
        .collect();
    assert_eq!(send(&answer, &html, b"<script>").await, "403 AccessDenied");
    assert_eq!(send(&answer, &all, &[b'x'; 1024]).await, "200");
    assert_eq!(send(&answer, &all, b"another").await, "409 FileAlreadyExists");
    let late = form(&stage, "bob").await;
    // The form is dated by the clock of STS, which is that of this machine when the call was made.
    stage.clock.advance(TimeDelta::seconds(960));
    assert_eq!(send(&late, &fields(&late), b"a picture").await, "403 AccessDenied");
    stage.close().await;
}

/// An announced size is the exact one.
#[tokio::test]
async fn a_form_for_an_announced_size_takes_no_larger_file() {
    let stage = stage_with("").await;
    let body = json!({"Grant": "form-upload", "Name": "a.png", "ContentType": "image/png", "Bytes": 4,
        "ExpiresInSeconds": 60});
    let answer = ask(&stage, "alice", "/v1/uploads", &body).await;
    assert_eq!(
        (&answer.body["MaxBytes"], &answer.body["ExpiresAt"]),
        (&json!(4), &json!("2016-01-13T14:03:37Z"))
    );
    assert_eq!(send(&answer, &fields(&answer), b"12345").await, "400 EntityTooLarge");
    assert_eq!(send(&answer, &fields(&answer), b"1234").await, "200");
    stage.close().await;
}

/// Fields that OSS takes beside those of a form: each with a value, OSS's answer, and the header of the object, if any, that
/// has the value. docs/uploads.md lists them.
const ADDABLE: [(&str, &str, &str, bool); 11] = [
    ("Cache-Control", "no-cache", "200", true),
    ("Content-Disposition", "attachment", "200", true),
    ("Content-Encoding", "gzip", "200", true),
    ("Content-Language", "de", "200", true),
    ("Expires", "Wed, 13 Jan 2026 14:02:37 GMT", "200", true),
    ("x-oss-meta-*", "hello", "200", true),
    ("x-oss-server-side-encryption", "AES256", "200", true),
    ("x-oss-server-side-encryption-key-id", "9468da86-3509-4f8d-a61e-6eab1eac0000", "200", true),
    ("success_action_redirect", "https://app.example.com/done", "303", false),
    // {"callbackUrl":"http://127.0.0.1:1/","callbackBody":"a"}: nobody listens there.
    (
        "callback",
        "eyJjYWxsYmFja1VybCI6Imh0dHA6Ly8xMjcuMC4wLjE6MS8iLCJjYWxsYmFja0JvZHkiOiJhIn0=",
        "203 CallbackFailed",
        false,
    ),
    ("x:*", "hello", "200", false),
];

/// A form for an object of its own with one more field: OSS's answer, and the headers of the object.
async fn with_field(stage: &Stage, field: &str, value: &str) -> (String, HeaderMap) {
    let name = format!("{}.jpg", field.replace(':', "-"));
    let body = json!({"Grant": "form-upload", "Name": name, "ContentType": "image/jpeg"});
    let signed = ask(stage, "alice", "/v1/uploads", &body).await;
    assert_eq!(signed.status, 200, "{}", signed.body);
    let mut all = fields(&signed);
    all.push((field.to_owned(), value.to_owned()));
    let outcome = send(&signed, &all, b"a picture").await;
    let key = signed.body["Key"].as_str().unwrap();
    (outcome, read(stage, "alice", key).await.headers().clone())
}

/// OSS takes fields that no condition names, so each that matters has one. These are the others.
#[tokio::test]
async fn what_a_caller_can_add_to_a_form_is_known_field_by_field() {
    let stage = stage_with("").await;
    for (field, value, outcome, is_stored) in ADDABLE {
        let field = field.replace('*', "note");
        let (seen, headers) = with_field(&stage, &field, value).await;
        assert_eq!(seen, outcome, "{field}");
        let stored = headers.get(field.replace(':', "-")).map(|stored| stored.to_str().unwrap());
        assert_eq!(stored, is_stored.then_some(value), "{field}");
        assert_eq!(headers["content-type"], "image/jpeg", "{field}");
    }
    // Neither takes effect.
    for field in ["x-oss-tagging", "anything"] {
        let (seen, headers) = with_field(&stage, field, "a=b").await;
        assert_eq!((seen.as_str(), headers.get(field)), ("200", None), "{field}");
    }
    stage.close().await;
}

#[test]
fn the_page_of_uploads_lists_the_fields_that_a_caller_can_add() {
    let page = std::fs::read_to_string(repository("docs/uploads.md")).unwrap();
    let (_, section) = page.split_once("## What a caller can still add\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    let listed: Vec<_> = rows
        .flat_map(|(fields, _)| {
            fields.split('`').filter(|field| *field != ", " && !field.is_empty())
        })
        .collect();
    assert_eq!(listed, ADDABLE.map(|(field, ..)| field));
}

/// A second field of the same name, in any case, does not take the place of one that is bound.
#[tokio::test]
async fn a_field_that_is_bound_cannot_be_sent_again() {
    let stage = stage_with("").await;
    let answer = form(&stage, "alice").await;
    for (name, value) in [
        ("X-OSS-Object-ACL", "public-read-write"),
        ("x-oss-storage-class", "Archive"),
        ("X-Oss-Content-Type", "text/html"),
        ("content-type", "text/html"),
        ("X-OSS-Forbid-Overwrite", "false"),
        ("success_action_status", "201"),
        ("key", "users/bob/cat.jpg"),
    ] {
        let mut all = fields(&answer);
        all.push((name.to_owned(), value.to_owned()));
        assert_eq!(send(&answer, &all, b"a picture").await, "403 AccessDenied", "{name}");
    }
    stage.close().await;
}

#[tokio::test]
async fn a_request_that_breaks_a_rule_of_the_grant_is_refused_before_sts_is_called() {
    let stage = stage_with("").await;
    let mut seen = Vec::new();
    for more in [
        json!({}),
        json!({"Name": "a"}),
        json!({"Name": "a", "ContentType": "text/html"}),
        json!({"Name": "", "ContentType": "image/jpeg"}),
        json!({"Name": "x".repeat(65), "ContentType": "image/jpeg"}),
        json!({"Name": "${filename}", "ContentType": "image/jpeg"}),
        json!({"Name": "a{b", "ContentType": "image/jpeg"}),
        json!({"Name": "a}b", "ContentType": "image/jpeg"}),
        json!({"Name": "../bob/cat.jpg", "ContentType": "image/jpeg"}),
        json!({"Name": "a", "ContentType": "image/jpeg", "Bytes": 0}),
        json!({"Name": "a", "ContentType": "image/jpeg", "Bytes": 1025}),
        json!({"Name": "a", "ContentType": "image/jpeg", "ExpiresInSeconds": 59}),
        json!({"Name": "a", "ContentType": "image/jpeg", "ExpiresInSeconds": 901}),
        json!({"Name": "a", "ContentType": "image/jpeg", "Parameters": {"album": "a"}}),
        json!({"Name": null}),
        json!({"Grant": "my-photos"}),
        json!({"Grant": "read-all"}),
    ] {
        let mut body = json!({"Grant": "form-upload"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = ask(&stage, "alice", "/v1/uploads", &body).await;
        seen.push(format!("{}: {}", answer.outcome(), answer.body["Message"].as_str().unwrap()));
    }
    let token = ask(&stage, "alice", "/v1/token", &json!({"Grant": "form-upload"})).await;
    seen.push(format!("{}: {}", token.outcome(), token.body["Message"].as_str().unwrap()));
    insta::assert_snapshot!(seen.join("\n"), @r"
    400 InvalidParameter.ContentType: ContentType: it is missing: write one of `image/jpeg`, `image/png`.
    400 InvalidParameter.ContentType: ContentType: it is missing: write one of `image/jpeg`, `image/png`.
    400 InvalidParameter.ContentType: ContentType: the grant takes `image/jpeg`, `image/png`.
    400 InvalidParameter.Name: Name: a name is a text that `.{1,64}` matches as a whole.
    400 InvalidParameter.Name: Name: a name is a text that `.{1,64}` matches as a whole.
    400 InvalidParameter.Name: Name: it makes no object key: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`.
    400 InvalidParameter.Name: Name: it makes no object key: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`.
    400 InvalidParameter.Name: Name: it makes no object key: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`.
    400 InvalidParameter.Name: Name: it makes no object key: an object's key is 1 to 1023 bytes, without `$`, `{`, `}` and control characters, does not begin with `/` or `\`, and no segment of it is empty, `.` or `..`.
    400 InvalidParameter.Bytes: Bytes: a file has at least one byte.
    413 PayloadTooLarge: Bytes: a file of this grant has at most 1024 bytes.
    400 InvalidParameter.ExpiresInSeconds: ExpiresInSeconds: it is 60 to 900 seconds for this grant.
    400 InvalidParameter.ExpiresInSeconds: ExpiresInSeconds: it is 60 to 900 seconds for this grant.
    400 InvalidParameter.Parameters: Parameters: the grant does not declare the parameter `album`: it declares none.
    400 InvalidParameter.Name: Name: it must be a string, and never `null`: leave the member out.
    403 Forbidden.Grant: The grant signs no uploads; name one that does (`form-upload`), or ask for a token: `POST /v1/token`.
    403 Forbidden.Grant: The client may not use this grant; `GET /v1/whoami` lists those it may use.
    403 Forbidden.Grant: The grant vends no token; it signs uploads: `POST /v1/uploads`. For a token name one that vends them (`my-photos`).
    ");
    assert_eq!(stage.sts.calls(), [], "a refused request reached STS");
    stage.close().await;
}

#[tokio::test]
async fn forms_and_urls_of_all_users_cost_one_call_to_sts_and_hold_no_secret() {
    let stage = stage_with("").await;
    for user in ["alice", "bob", "carol"] {
        for answer in [
            form(&stage, user).await,
            ask(
                &stage,
                user,
                "/v1/urls",
                &json!({"Grant": "form-upload", "Method": "HEAD", "Key": format!("users/{user}/a")}),
            )
            .await,
        ] {
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert!(!answer.body.to_string().contains("Secret"), "{}", answer.body);
        }
    }
    let calls = stage.assume_role_calls();
    let names: Vec<_> =
        calls.iter().map(|call| call.parameters["RoleSessionName"].as_str()).collect();
    assert_eq!(names, ["grant@form-upload"]);
    let (_, metrics) = stage.admin("/metrics").await;
    for counted in ["uploads_signed", "urls_signed"] {
        let line =
            format!("appserver_{counted}_total{{client=\"photo-app\",grant=\"form-upload\"}} 3\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
    stage.close().await;
}

#[tokio::test]
async fn a_form_ends_with_the_login_where_credentials_must() {
    let stage = stage_with("[issuers.demo]\nexpire_with_token = true\n").await;
    let jwt = demo_jwt("alice", stage.clock.now());
    stage.clock.advance(TimeDelta::minutes(55));
    let request = stage.request("POST", "/v1/uploads").bearer_auth(jwt);
    let body = json!({"Grant": "form-upload", "Name": "cat.jpg", "ContentType": "image/jpeg"});
    let request = request.header("Content-Type", "application/json").body(body.to_string());
    let answer = stage.send(request).await;
    assert_eq!(answer.body["ExpiresAt"], "2016-01-13T15:02:37Z", "{}", answer.body);
    stage.close().await;
}

#[tokio::test]
async fn forms_and_urls_count_as_requests_of_their_client() {
    let stage = stage_with("[clients.photo-app.limit]\nrequests_per_second = 1\nburst = 2\n").await;
    form(&stage, "alice").await;
    let url = json!({"Grant": "form-upload", "Method": "GET", "Key": "users/alice/cat.jpg"});
    assert_eq!(ask(&stage, "alice", "/v1/urls", &url).await.outcome(), "200 Success");
    assert_eq!(ask(&stage, "alice", "/v1/urls", &url).await.outcome(), "429 Throttled.Client");
    stage.close().await;
}

/// OSS's log names the grant's session, so these lines are what joins an object to a user.
#[tokio::test]
async fn the_audit_has_the_object_of_each_form_and_url() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let stage = stage_with(&format!("[audit]\nsink = \"file\"\nfile = {path:?}\n")).await;
    let signed = form(&stage, "alice").await;
    for key in ["users/alice/cat.jpg", "users/bob/cat.jpg"] {
        let url = json!({"Grant": "form-upload", "Method": "GET", "Key": key});
        ask(&stage, "alice", "/v1/urls", &url).await;
    }
    stage.close().await;
    let beside = folder.path().join("audit.jsonl.refused");
    let text = [path, beside].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["UploadId"], signed.body["UploadId"]);
    let shown = lines.into_iter().map(|mut line| {
        for varying in ["RequestId", "Peer", "StsAccessKeyId", "UploadId", "Instance"] {
            if let Some(value) = line.get_mut(varying) {
                *value = format!("<{varying}>").into();
            }
        }
        line.to_string()
    });
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r#"
    {"Address":"127.0.0.1","AuthenticatedBy":"Jwt","Bucket":"sample-bucket","Client":"photo-app","Code":"Success","ContentType":"image/jpeg","Decision":"Issued","Event":"Upload","ExpiresAt":"2016-01-13T14:17:37Z","Grant":"form-upload","Instance":"<Instance>","Issuer":"demo","Key":"users/alice/cat.jpg","MaxBytes":1024,"Peer":"<Peer>","RequestId":"<RequestId>","Role":"acs:ram::11223344:role/oss-readwrite","SessionName":"grant@form-upload","Source":"Issued","StsAccessKeyId":"<StsAccessKeyId>","Subject":"alice","Time":"2016-01-13T14:02:37.000Z","UploadId":"<UploadId>"}
    {"Address":"127.0.0.1","AuthenticatedBy":"Jwt","Bucket":"sample-bucket","Client":"photo-app","Code":"Success","Decision":"Issued","Event":"Url","ExpiresAt":"2016-01-13T14:17:37Z","Grant":"form-upload","Instance":"<Instance>","Issuer":"demo","Key":"users/alice/cat.jpg","Method":"GET","Peer":"<Peer>","RequestId":"<RequestId>","Role":"acs:ram::11223344:role/oss-readwrite","SessionName":"grant@form-upload","Source":"Cached","StsAccessKeyId":"<StsAccessKeyId>","Subject":"alice","Time":"2016-01-13T14:02:37.000Z"}
    {"Address":"127.0.0.1","AuthenticatedBy":"Jwt","Bucket":"sample-bucket","Client":"photo-app","Code":"Forbidden.Upload","Decision":"Refused","Event":"Url","Grant":"form-upload","Instance":"<Instance>","Issuer":"demo","Key":"users/bob/cat.jpg","Method":"GET","Peer":"<Peer>","Reason":"the caller's own policy does not allow `oss:GetObject` on the object","RequestId":"<RequestId>","Subject":"alice","Time":"2016-01-13T14:02:37.000Z"}
    "#);
}

#[tokio::test]
async fn whoami_has_the_rules_of_forms_and_the_methods_of_urls() {
    let stage = stage_with("").await;
    let request = stage.request("GET", "/v1/whoami");
    let request = request.bearer_auth(demo_jwt("alice", stage.clock.now()));
    let answer = stage.send(request).await;
    let shown = answer.body["Grants"].as_array().unwrap().iter().map(|grant| {
        format!(
            "{} {} {} {}",
            grant["Name"], grant["VendsTokens"], grant["Upload"], grant["SignedUrls"]
        )
    });
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r#"
    "form-upload" false {"ContentTypes":["image/jpeg","image/png"],"MaxBytes":1024,"MaxLifetimeSeconds":900,"NamePattern":"a text that `.{1,64}` matches as a whole","Overwrite":false} ["GET","HEAD","PUT"]
    "my-photos" true null null
    "#);
    stage.close().await;
}

#[tokio::test]
async fn a_session_that_is_too_short_to_sign_is_a_failure_of_sts() {
    let stage = stage_with("[issuers.demo]\nexpire_with_token = true\n").await;
    let cat = json!({"Grant": "form-upload", "Name": "cat.jpg", "ContentType": "image/jpeg"});
    stage.sts.script(Fault::ShortLived { seconds: 50 }.always().only("AssumeRole"));
    let answer = ask(&stage, "alice", "/v1/uploads", &cat).await;
    assert_eq!(answer.outcome(), "503 Upstream.Unavailable", "{}", answer.body);
    stage.close().await;
}
