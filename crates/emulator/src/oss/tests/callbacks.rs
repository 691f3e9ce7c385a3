//! Upload callbacks, with a server of an app on loopback.

use std::sync::{Arc, Mutex};

use md5::{Digest, Md5};
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::DecodePublicKey;
use rsa::signature::Verifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::forms::{Form, LATER};
use super::*;

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"Status\":\"OK\"}";

/// The server of an app. It keeps the requests that it gets, and answers all alike.
struct AppServer {
    address: String,
    received: Arc<Mutex<Vec<Received>>>,
    _serving: DropGuard,
}

/// A request as it was on the wire.
#[derive(Clone, Debug)]
struct Received {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl AppServer {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let received = Arc::new(Mutex::new(Vec::new()));
        let stop = CancellationToken::new();
        let (kept, stopped) = (Arc::clone(&received), stop.clone());
        tokio::spawn(stopped.run_until_cancelled_owned(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = Received::read(&mut stream).await;
                kept.lock().unwrap().push(request);
                stream.write_all(&answer).await.unwrap();
            }
        }));
        Self { address, received, _serving: stop.drop_guard() }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// A callback to this server.
    fn callback(&self, body: &str) -> String {
        callback(&format!("http://{}/a%20b/uploads?x=%2F", self.address), body)
    }
}

impl Received {
    async fn read(stream: &mut tokio::net::TcpStream) -> Self {
        let mut bytes = Vec::new();
        loop {
            stream.read_buf(&mut bytes).await.unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let mut lines = head.lines();
            let line = lines.next().unwrap().to_owned();
            let headers: BTreeMap<String, String> = lines
                .map(|line| line.split_once(": ").unwrap())
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            if headers["content-length"] == body.len().to_string() {
                return Self { line, headers, body: body.to_owned() };
            }
        }
    }
}

fn callback(url: &str, body: &str) -> String {
    let json = serde_json::json!({ "callbackUrl": url, "callbackBody": body });
    STANDARD.encode(json.to_string())
}

fn put(callback: &str) -> OssRequest {
    OssRequest::put("uploads/a b.txt", "hello")
        .header("content-type", "text/plain")
        .header("x-oss-callback", callback)
}

#[tokio::test]
async fn a_put_calls_the_app_s_server_back_and_returns_its_answer() {
    let emulated = Emulated::start().await;
    let app = AppServer::answering(GOOD).await;
    let body = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&crc64=${crc64}&md5=${contentMd5}&vpc=${vpcId}&ip=${clientIp}&op=${operation}&w=${imageInfo.width}&user=${x:user}&none=${x:none}&k=1";
    let variables = STANDARD.encode(r#"{"x:user":"alice & bob"}"#);
    let request = put(&app.callback(body)).header("x-oss-callback-var", variables);
    let response = emulated.root(request).await;
    insta::assert_snapshot!(response.snapshot(), @r#"
    200
    content-length: 15
    content-md5: XUFAKrxLKna5cZ2REBfFkg==
    content-type: application/json
    date: Wed, 13 Jan 2016 14:02:37 GMT
    etag: "5D41402ABC4B2A76B9719D911017C592"
    server: AliyunOSS
    x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:PutObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/uploads/a b.txt","BucketAcl":"private"}
    x-oss-hash-crc64ecma: 11177612005948864433
    x-oss-request-id: …
    x-oss-server-time: …

    {"Status":"OK"}
    "#);
    let [received] = app.received().try_into().unwrap();
    assert_eq!(received.line, "POST /a%20b/uploads?x=%2F HTTP/1.1");
    assert_eq!(
        received.body,
        "bucket=sample-bucket&object=uploads%2Fa%20b.txt&etag=5D41402ABC4B2A76B9719D911017C592&size=5&mimeType=text%2Fplain&crc64=11177612005948864433&md5=XUFAKrxLKna5cZ2REBfFkg%3D%3D&vpc=&ip=127.0.0.1&op=PutObject&w=&user=alice%20%26%20bob&none=&k=1"
    );
    let mut headers = received.headers.clone();
    assert_eq!(headers.remove("authorization").unwrap().len(), 344);
    assert_eq!(
        headers.remove("x-oss-request-id").as_ref(),
        response.headers.get("x-oss-request-id")
    );
    assert_eq!(headers.remove("host"), Some(app.address.clone()));
    let key_url = STANDARD.encode(format!("http://{}/callback_pub_key_v1.pem", emulated.host));
    assert_eq!(headers.remove("x-oss-pub-key-url"), Some(key_url));
    let md5 = STANDARD.encode(Md5::digest(&received.body));
    assert_eq!(headers.remove("content-md5"), Some(md5));
    headers.remove("content-length");
    insta::assert_json_snapshot!(headers, @r#"
    {
      "accept": "*/*",
      "connection": "close",
      "content-type": "application/x-www-form-urlencoded",
      "date": "Wed, 13 Jan 2016 14:02:37 GMT",
      "user-agent": "aliyun-oss-callback",
      "x-oss-bucket": "sample-bucket",
      "x-oss-requester": "11223344",
      "x-oss-signature-version": "1.0",
      "x-oss-tag": "CALLBACK"
    }
    "#);
}

#[tokio::test]
async fn a_callback_is_signed_with_the_key_that_the_oss_port_serves() {
    let emulated = Emulated::start().await;
    let app = AppServer::answering(GOOD).await;
    emulated.root(put(&app.callback("size=${size}"))).await;
    let [received] = app.received().try_into().unwrap();
    let url = STANDARD.decode(&received.headers["x-oss-pub-key-url"]).unwrap();
    let pem = emulated.http.get(String::from_utf8(url).unwrap()).send().await.unwrap();
    assert_eq!(
        (pem.status().as_u16(), &pem.headers()["content-type"] == "application/x-pem-file"),
        (200, true)
    );
    let key = rsa::PublicKey::from_public_key_pem(&pem.text().await.unwrap()).unwrap();
    let signature = STANDARD.decode(&received.headers["authorization"]).unwrap();
    let signature = Signature::try_from(signature.as_slice()).unwrap();
    let verified = |text: &[u8]| VerifyingKey::<Md5>::new(key.clone()).verify(text, &signature);
    assert!(verified(b"/a b/uploads?x=%2F\nsize=5").is_ok());
    assert!(verified(b"/a b/uploads?x=%2F\nsize=6").is_err());
    // In a bucket of its own host the same path is a key.
    let key = OssRequest::get("callback_pub_key_v1.pem");
    let response = emulated.send_to("sample-public.localhost", &key).await;
    assert_eq!(response.outcome(), "404 NoSuchKey");
}

#[tokio::test]
async fn a_callback_comes_in_a_header_a_query_or_a_form() {
    let emulated = Emulated::start().await;
    let app = AppServer::answering(GOOD).await;
    let json = serde_json::json!({
        "callbackUrl": app.address,
        "callbackHost": "app.example",
        "callbackBody": r#"{"op":${operation},"size":${size},"user":${x:user},"h":${imageInfo.height}}"#,
        "callbackBodyType": "application/json",
    });
    let callback = STANDARD.encode(json.to_string());
    let variables = STANDARD.encode(r#"{"x:user":"alice"}"#);
    let root = SigningKeys::root();

    let in_query = || {
        OssRequest::put("a.txt", "hello")
            .query("callback", callback.as_str())
            .query("callback-var", variables.as_str())
    };
    for scheme in [Scheme::V4, Scheme::V4Url(60)] {
        assert_eq!(
            emulated.send(&in_query().signed(scheme, &root)).await.text(),
            "{\"Status\":\"OK\"}"
        );
    }
    let conditions = format!(r#"["eq","$callback","{callback}"]"#);
    let form = || Form::new("a.txt").with("callback", callback.as_str());
    let form = form().with("X:User", "alice").with("success_action_status", "204");
    let response = emulated.send(&form.signed(&root, LATER, &conditions).request()).await;
    assert_eq!((response.status, response.text().as_str()), (200, "{\"Status\":\"OK\"}"));

    let started = emulated.root(OssRequest::new("POST", "a.txt").query("uploads", "")).await;
    let upload = started.tag("UploadId");
    let part =
        OssRequest::put("a.txt", "hello").query("partNumber", "1").query("uploadId", &upload);
    emulated.root(part).await;
    let complete = OssRequest::new("POST", "a.txt").query("uploadId", upload);
    let complete = complete.header("x-oss-complete-all", "yes").header("x-oss-callback", &callback);
    let complete = complete.header("x-oss-callback-var", &variables);
    let response = emulated.root(complete).await;
    assert_eq!((response.status, response.text().as_str()), (200, "{\"Status\":\"OK\"}"));
    assert!(response.headers["etag"].ends_with("-1\""));

    let received = app.received();
    let bodies: Vec<&str> = received.iter().map(|received| received.body.as_str()).collect();
    let body = |operation| format!(r#"{{"op":"{operation}","size":5,"user":"alice","h":""}}"#);
    let expected = ["PutObject", "PutObject", "PostObject", "CompleteMultipartUpload"].map(body);
    assert_eq!(bodies, expected);
    for received in received {
        assert_eq!(received.headers["host"], "app.example");
        assert_eq!(received.headers["content-type"], "application/json");
        assert_eq!(received.line, "POST / HTTP/1.1");
    }
}

#[tokio::test]
async fn a_callback_tells_the_size_of_an_image() {
    let emulated = Emulated::start().await;
    let app = AppServer::answering(GOOD).await;
    let callback = app.callback("${imageInfo.format} ${imageInfo.width}x${imageInfo.height}");
    let photo = emulated.root(OssRequest::get(GRASS)).await.body;
    let request = OssRequest::put("a.jpg", photo).header("x-oss-callback", &callback);
    assert_eq!(emulated.root(request).await.status, 200);
    assert_eq!(app.received()[0].body, "jpg 240x160");
    let broken = OssRequest::put("a.jpg", "\u{89}PNG").body(b"\x89PNG\r\n\x1a\n".to_vec());
    let response = emulated.root(broken.header("x-oss-callback", callback)).await;
    assert_eq!(
        (response.outcome(), response.tag("Message")),
        ("203 CallbackFailed".to_owned(), "Get image info failed".to_owned())
    );
    assert_eq!(app.received().len(), 1);
}

#[tokio::test]
async fn an_invalid_callback_is_refused_before_anything_is_stored() {
    let emulated = Emulated::start().await;
    let refused = async |request: OssRequest| {
        let response = emulated.root(request).await;
        let tags = ["Message", "ArgumentName", "ArgumentValue", "EC"];
        let tags = tags.map(|tag| response.tag(tag)).join(" | ");
        format!("{} {tags}", response.outcome()).trim_end().to_owned()
    };
    let put_of = |json: &str| put(&STANDARD.encode(json));
    let private = callback("http://192.168.0.1/", "a");
    let outcomes = [
        refused(put_of("url")).await,
        refused(put("{}")).await,
        refused(put(&private)).await,
        refused(put(&callback("nobody.invalid", "a"))).await,
        refused(put(&callback("203.0.113.7", "${unknown}"))).await,
        refused(put(&callback("203.0.113.7", "a")).query("callback", "e30=")).await,
        refused(put(&callback("203.0.113.7", "a")).header("x-oss-callback-var", "e30")).await,
    ];
    insta::assert_snapshot!(outcomes.join("\n"), @r"
    400 InvalidArgument The callback configuration is not json format. | callback | url |
    400 InvalidArgument The callback parameter is not encoded in base64. | callback | {} |
    400 InvalidArgument Private address is forbidden to callback. | callbackUrl | http://192.168.0.1/ | 0007-00000008
    400 InvalidArgument The host of the callbackUrl cannot be resolved to an IPv4 address. | callbackUrl | http://nobody.invalid/ | 0007-00000007
    400 InvalidArgument The callbackBody has an unknown or malformed variable. | callbackBody | ${unknown} |
    400 InvalidArgument The callback is given in more than one of header, query string and form; give it in one. | callback | e30= |
    400 InvalidArgument The callback parameter is not encoded in base64. | callback-var | e30 |
    ");
    let form = Form::new("uploads/a b.txt").with("callback", private);
    let form = form.signed(&SigningKeys::root(), LATER, "");
    assert_eq!(emulated.send(&form.request()).await.tag("EC"), "0007-00000008");
    let stored = emulated.root(OssRequest::get("uploads/a b.txt")).await;
    assert_eq!(stored.outcome(), "404 NoSuchKey");
}

#[tokio::test]
async fn loopback_is_a_private_address_unless_the_configuration_allows_it() {
    let mut settings = settings();
    settings.callbacks = crate::oss::CallbackSettings::default();
    let emulated = Emulated::of(settings, NewAccountRules::default(), None).await;
    let app = AppServer::answering(GOOD).await;
    let response = emulated.root(put(&app.callback("a"))).await;
    assert_eq!(response.tag("Message"), "Private address is forbidden to callback.");
    assert_eq!(response.headers["x-oss-ec"], "0007-00000008");
    assert!(app.received().is_empty());
}

#[tokio::test]
async fn a_failed_callback_is_answered_203_and_the_object_is_stored() {
    let emulated = Emulated::start().await;
    let answer = |head: &str, body: &str| {
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let mut outcomes = Vec::new();
    for (number, answer) in [
        answer("502 Bad Gateway", "{}"),
        answer("204 No Content", ""),
        answer("302 Found\r\nlocation: http://127.0.0.1/", "{}"),
        answer("200 OK", "OK"),
        answer("200 OK", "\u{feff}{}"),
        answer("200 OK\r\ncontent-type: application/xml", "<a>"),
        answer("200 OK", ""),
        "HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}".to_owned(),
        "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let app = AppServer::answering(answer).await;
        let key = format!("uploads/{number}");
        let request = OssRequest::put(&key, "hello").header("x-oss-callback", app.callback("a"));
        let response = emulated.root(request).await;
        let ec = response.headers.get("x-oss-ec").cloned().unwrap_or_default();
        let line = format!("{} {} {ec}", response.outcome(), response.tag("Message"));
        outcomes.push(line.trim_end().to_owned());
        assert_eq!((app.received().len(), response.tag("EC")), (1, ec));
        assert_eq!(emulated.root(OssRequest::get(&key)).await.text(), "hello");
    }
    insta::assert_snapshot!(outcomes.join("\n"), @r"
    203 CallbackFailed Error status : 502.
    203 CallbackFailed Error status : 204.
    203 CallbackFailed Error status : 302.
    203 CallbackFailed Response body is not valid json format. 0007-00000205
    203 CallbackFailed Response body is not valid json format. 0007-00000205
    203 CallbackFailed Response body is not valid json format. 0007-00000205
    203 CallbackFailed Error status : 400. User server return invalid content-length value.
    203 CallbackFailed Error status : 400. User server return too long content-length value.
    203 CallbackFailed Error status : 400. User server missing content-length.
    203 CallbackFailed Error status : 400. User server missing content-length.
    203 CallbackFailed Error status : 502.
    ");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let unreachable = put(&callback(&closed.to_string(), "a"));
    let response = emulated.root(unreachable).await;
    let text = response.text().replace(&response.headers["x-oss-request-id"], "…");
    insta::assert_snapshot!(text.replace(&emulated.host, "…"), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <Error><Code>CallbackFailed</Code><Message>Error status : -1. OSS can not connect to your callbackUrl, please check it.</Message><RequestId>…</RequestId><HostId>…</HostId></Error>
    "#);
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_fails_the_callback() {
    let mut settings = settings();
    settings.callbacks.timeout = std::time::Duration::from_millis(100);
    let emulated = Emulated::of(settings, NewAccountRules::default(), None).await;
    // The system accepts the connection; nobody reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = silent.local_addr().unwrap().to_string();
    let response = emulated.root(put(&callback(&server, "a"))).await;
    let message = format!("Error status : -1 {server} reply timeout, cost:100ms, timeout:100ms.");
    assert_eq!((response.status, response.tag("Message")), (203, message));
    assert_eq!(emulated.root(OssRequest::get("uploads/a b.txt")).await.text(), "hello");
}

#[test]
fn a_callback_may_take_five_seconds() {
    assert_eq!(settings().callbacks.timeout.as_secs(), 5);
}

#[tokio::test]
async fn xml_is_an_answer_with_its_type() {
    let emulated = Emulated::start().await;
    let xml =
        "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: 7\r\n\r\n<a>1</a";
    let app = AppServer::answering(xml.replace(": 7", ": 8") + ">").await;
    let response = emulated.root(put(&app.callback("a"))).await;
    assert_eq!((response.status, response.text().as_str()), (200, "<a>1</a>"));
    assert_eq!(response.headers["content-type"], "application/xml");
}

#[tokio::test]
async fn the_urls_are_asked_in_order_until_one_succeeds() {
    let emulated = Emulated::start().await;
    let bad = AppServer::answering("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
    let good = AppServer::answering(GOOD).await;
    let last = AppServer::answering(GOOD).await;
    let urls = [&bad, &good, &last].map(|app| format!("http://{}/", app.address)).join(";");
    assert_eq!(emulated.root(put(&callback(&urls, "a"))).await.status, 200);
    assert_eq!([&bad, &good, &last].map(|app| app.received().len()), [1, 1, 0]);
}
