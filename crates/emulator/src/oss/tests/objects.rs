//! Put, get, copy and delete objects.

use super::*;

#[tokio::test]
async fn an_object_is_returned_as_it_was_stored() {
    let emulated = Emulated::start().await;
    let put = OssRequest::put("notes/a b+c.txt", "hello")
        .header("content-type", "text/plain; charset=utf-8")
        .header("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")
        .header("cache-control", "no-cache")
        .header("x-oss-meta-colour", "green");
    insta::assert_snapshot!(emulated.root(put).await.snapshot(), @r#"
200
content-length: 0
content-md5: XUFAKrxLKna5cZ2REBfFkg==
date: Wed, 13 Jan 2016 14:02:37 GMT
etag: "5D41402ABC4B2A76B9719D911017C592"
server: AliyunOSS
x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:PutObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/notes/a b+c.txt","BucketAcl":"private"}
x-oss-hash-crc64ecma: 11177612005948864433
x-oss-request-id: …
x-oss-server-time: …
"#);
    insta::assert_snapshot!(emulated.root(OssRequest::get("notes/a b+c.txt")).await.snapshot(), @r#"
200
accept-ranges: bytes
cache-control: no-cache
content-length: 5
content-md5: XUFAKrxLKna5cZ2REBfFkg==
content-type: text/plain; charset=utf-8
date: Wed, 13 Jan 2016 14:02:37 GMT
etag: "5D41402ABC4B2A76B9719D911017C592"
last-modified: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:GetObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/notes/a b+c.txt","BucketAcl":"private"}
x-oss-hash-crc64ecma: 11177612005948864433
x-oss-meta-colour: green
x-oss-object-type: Normal
x-oss-request-id: …
x-oss-server-time: …
x-oss-storage-class: Standard

hello
"#);
    insta::assert_snapshot!(emulated.root(OssRequest::new("HEAD", "notes/a b+c.txt")).await.snapshot(), @r#"
200
accept-ranges: bytes
cache-control: no-cache
content-length: 5
content-md5: XUFAKrxLKna5cZ2REBfFkg==
content-type: text/plain; charset=utf-8
date: Wed, 13 Jan 2016 14:02:37 GMT
etag: "5D41402ABC4B2A76B9719D911017C592"
last-modified: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:GetObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/notes/a b+c.txt","BucketAcl":"private"}
x-oss-hash-crc64ecma: 11177612005948864433
x-oss-meta-colour: green
x-oss-object-type: Normal
x-oss-request-id: …
x-oss-server-time: …
x-oss-storage-class: Standard
"#);
    let meta = OssRequest::new("HEAD", "notes/a b+c.txt").query("objectMeta", "");
    insta::assert_snapshot!(emulated.root(meta).await.snapshot(), @r#"
200
content-length: 5
date: Wed, 13 Jan 2016 14:02:37 GMT
etag: "5D41402ABC4B2A76B9719D911017C592"
last-modified: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:GetObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/notes/a b+c.txt","BucketAcl":"private"}
x-oss-hash-crc64ecma: 11177612005948864433
x-oss-request-id: …
x-oss-server-time: …
"#);
}

#[tokio::test]
async fn a_missing_object_is_reported_with_and_without_a_body() {
    let emulated = Emulated::start().await;
    insta::assert_snapshot!(emulated.root(OssRequest::get("no/such")).await.snapshot(), @r#"
404
content-length: …
content-type: application/xml
date: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:GetObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/no/such","BucketAcl":"private"}
x-oss-request-id: …
x-oss-server-time: …

<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><RequestId>…</RequestId><HostId>127.0.0.1:…</HostId><Key>no/such</Key></Error>
"#);
    let head = emulated.root(OssRequest::new("HEAD", "no/such")).await;
    assert_eq!((head.status, head.body.len()), (404, 0));
    let error = String::from_utf8(STANDARD.decode(&head.headers["x-oss-err"]).unwrap()).unwrap();
    assert!(
        error.contains("<Code>NoSuchKey</Code>") && error.contains("<Key>no/such</Key>"),
        "{error}"
    );
    let elsewhere = emulated.root(OssRequest::get("a").of("no-such-bucket")).await;
    insta::assert_snapshot!(elsewhere.snapshot(), @r#"
404
content-length: …
content-type: application/xml
date: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
x-oss-request-id: …
x-oss-server-time: …

<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist.</Message><RequestId>…</RequestId><HostId>127.0.0.1:…</HostId><BucketName>no-such-bucket</BucketName></Error>
"#);
}

#[tokio::test]
async fn a_range_is_cut_out() {
    let emulated = Emulated::start().await;
    emulated.root(OssRequest::put("digits", "0123456789")).await;
    let range = |range: &str| OssRequest::get("digits").header("range", range);
    let part = emulated.root(range("bytes=2-4")).await;
    let facts = (part.status, part.text(), part.headers["content-range"].clone());
    assert_eq!(facts, (206, "234".to_owned(), "bytes 2-4/10".to_owned()));
    let beyond = emulated.root(range("bytes=5-20")).await;
    assert_eq!((beyond.status, beyond.text()), (200, "0123456789".to_owned()));
    let standard = |request: OssRequest| request.header("x-oss-range-behavior", "standard");
    let cut = emulated.root(standard(range("bytes=5-20"))).await;
    assert_eq!((cut.status, cut.text()), (206, "56789".to_owned()));
    assert_eq!(emulated.root(standard(range("bytes=10-"))).await.outcome(), "416 InvalidRange");
}

#[tokio::test]
async fn a_signed_query_overrides_headers_of_the_answer() {
    let emulated = Emulated::start().await;
    let request = OssRequest::get(GRASS).query("response-content-type", "text/plain");
    let response = emulated.send(&request.signed(Scheme::V1Url(60), &SigningKeys::root())).await;
    assert_eq!((response.status, response.headers["content-type"].as_str()), (200, "text/plain"));
    let unsigned =
        OssRequest::get("welcome.svg").of("sample-public").query("response-content-type", "x/y");
    assert_eq!(emulated.send(&unsigned).await.outcome(), "400 InvalidArgument");
}

#[tokio::test]
async fn conditional_requests_are_honoured() {
    let emulated = Emulated::start().await;
    let etag = emulated.root(OssRequest::get(GRASS)).await.headers["etag"].clone();
    let when = |name, value: &str| OssRequest::get(GRASS).header(name, value);
    let (before, after) = ("Wed, 13 Jan 2016 14:02:36 GMT", "Wed, 13 Jan 2016 14:02:37 GMT");
    for (request, status) in [
        (when("if-match", &etag), 200),
        (when("if-match", "\"other\""), 412),
        (when("if-none-match", &etag), 304),
        (when("if-none-match", "\"other\""), 200),
        (when("if-modified-since", before), 200),
        (when("if-modified-since", after), 304),
        (when("if-unmodified-since", before), 412),
        (when("if-unmodified-since", after), 200),
    ] {
        let text = format!("{:?}", request.headers);
        assert_eq!(emulated.root(request).await.status, status, "{text}");
    }
}

#[tokio::test]
async fn a_body_with_a_wrong_digest_is_not_stored() {
    let emulated = Emulated::start().await;
    let wrong = OssRequest::put("a", "hello").header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==");
    assert_eq!(emulated.root(wrong).await.outcome(), "400 InvalidDigest");
    assert_eq!(emulated.root(OssRequest::get("a")).await.outcome(), "404 NoSuchKey");
}

#[tokio::test]
async fn an_object_can_be_protected_from_replacement() {
    let emulated = Emulated::start().await;
    let first = |body: &str| OssRequest::put("a", body).header("x-oss-forbid-overwrite", "true");
    assert_eq!(emulated.root(first("one")).await.status, 200);
    assert_eq!(emulated.root(first("two")).await.outcome(), "409 FileAlreadyExists");
    assert_eq!(emulated.root(OssRequest::get("a")).await.text(), "one");
    assert_eq!(emulated.root(OssRequest::put("a", "three")).await.status, 200);
    assert_eq!(emulated.root(OssRequest::get("a")).await.text(), "three");
}

#[tokio::test]
async fn a_copy_keeps_headers_or_replaces_them() {
    let emulated = Emulated::start().await;
    let put = OssRequest::put("from ü", "hello").header("content-type", "text/plain");
    emulated.root(put.header("x-oss-meta-colour", "green")).await;
    let copy = |to: &str| {
        OssRequest::put(to, "").header("x-oss-copy-source", "/sample-bucket/from%20%C3%BC")
    };
    insta::assert_snapshot!(emulated.root(copy("to")).await.snapshot(), @r#"
200
content-length: 176
content-type: application/xml
date: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:GetObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/from \u00fc","BucketAcl":"private"}
x-oss-hash-crc64ecma: 11177612005948864433
x-oss-request-id: …
x-oss-server-time: …

<?xml version="1.0" encoding="UTF-8"?>
<CopyObjectResult><LastModified>2016-01-13T14:02:37.000Z</LastModified><ETag>"5D41402ABC4B2A76B9719D911017C592"</ETag></CopyObjectResult>
"#);
    let replaced = copy("other").header("x-oss-metadata-directive", "REPLACE");
    emulated.root(replaced.header("x-oss-meta-colour", "blue")).await;
    let response = |response: OssResponse| {
        let header = |name: &str| response.headers[name].clone();
        (response.text(), header("content-type"), header("x-oss-meta-colour"))
    };
    let expected =
        |kind: &str, colour: &str| ("hello".to_owned(), kind.to_owned(), colour.to_owned());
    assert_eq!(
        response(emulated.root(OssRequest::get("to")).await),
        expected("text/plain", "green")
    );
    let other = response(emulated.root(OssRequest::get("other")).await);
    assert_eq!(other, expected("application/octet-stream", "blue"));
    for (source, outcome) in [
        ("/sample-bucket/no", "404 NoSuchKey"),
        ("/no-such-bucket/a", "404 NoSuchBucket"),
        ("sample-bucket", "400 InvalidArgument"),
    ] {
        let request = OssRequest::put("to", "").header("x-oss-copy-source", source);
        assert_eq!(emulated.root(request).await.outcome(), outcome, "{source}");
    }
}

#[tokio::test]
async fn a_deleted_object_is_gone_and_deleting_nothing_is_no_error() {
    let emulated = Emulated::start().await;
    for _ in 0..2 {
        let response = emulated.root(OssRequest::new("DELETE", GRASS)).await;
        assert_eq!((response.status, response.body.len()), (204, 0));
    }
    assert_eq!(emulated.root(OssRequest::get(GRASS)).await.outcome(), "404 NoSuchKey");
}

#[tokio::test]
async fn many_objects_are_deleted_at_once() {
    let emulated = Emulated::start().await;
    emulated.root(OssRequest::put(" a&b ", "1")).await;
    let delete = |xml: &str| OssRequest::new("POST", "").query("delete", "").body(xml);
    let both = "<Delete><Object><Key> a&amp;b </Key></Object><Object><Key>2015/01/01/grass.jpg</Key></Object></Delete>";
    insta::assert_snapshot!(emulated.root(delete(both)).await.snapshot(), @r#"
200
content-length: 157
content-type: application/xml
date: Wed, 13 Jan 2016 14:02:37 GMT
server: AliyunOSS
x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:DeleteObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/2015/01/01/grass.jpg","BucketAcl":"private"}
x-oss-request-id: …
x-oss-server-time: …

<?xml version="1.0" encoding="UTF-8"?>
<DeleteResult><Deleted><Key> a&amp;b </Key></Deleted><Deleted><Key>2015/01/01/grass.jpg</Key></Deleted></DeleteResult>
"#);
    assert_eq!(emulated.root(OssRequest::get(" a&b ")).await.outcome(), "404 NoSuchKey");
    assert_eq!(emulated.root(OssRequest::get(GRASS)).await.outcome(), "404 NoSuchKey");
    let quiet = "<Delete><Quiet>true</Quiet><Object><Key>x</Key></Object></Delete>";
    let response = emulated.root(delete(quiet)).await;
    assert_eq!((response.status, response.body.len()), (200, 0));
    for xml in ["", "<Delete/>", "<Delete><Object/></Delete>", "<Delete><Object><Key>x</Key>"] {
        assert_eq!(emulated.root(delete(xml)).await.outcome(), "400 MalformedXML", "{xml}");
    }
    let thousand = |count| {
        let keys: String =
            (0..count).map(|n| format!("<Object><Key>k{n}</Key></Object>")).collect();
        delete(&format!("<Delete><Quiet>true</Quiet>{keys}</Delete>"))
    };
    assert_eq!(emulated.root(thousand(1000)).await.status, 200);
    assert_eq!(emulated.root(thousand(1001)).await.outcome(), "400 MalformedXML");
}

#[tokio::test]
async fn buckets_are_described_as_sdks_request() {
    let emulated = Emulated::start().await;
    let about = |name| OssRequest::get("").query(name, "");
    insta::assert_snapshot!(emulated.root(about("bucketInfo")).await.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<BucketInfo><Bucket><Name>sample-bucket</Name><CreationDate>2016-01-13T14:02:37.000Z</CreationDate><Location>oss-cn-hangzhou</Location><Region>cn-hangzhou</Region><StorageClass>Standard</StorageClass><ExtranetEndpoint>oss-cn-hangzhou.aliyuncs.com</ExtranetEndpoint><IntranetEndpoint>oss-cn-hangzhou-internal.aliyuncs.com</IntranetEndpoint><Owner><ID>11223344</ID><DisplayName>11223344</DisplayName></Owner><AccessControlList><Grant>private</Grant></AccessControlList><DataRedundancyType>LRS</DataRedundancyType><Versioning/></Bucket></BucketInfo>
"#);
    insta::assert_snapshot!(emulated.root(about("location")).await.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<LocationConstraint>oss-cn-hangzhou</LocationConstraint>
"#);
    insta::assert_snapshot!(emulated.root(about("acl")).await.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<AccessControlPolicy><Owner><ID>11223344</ID><DisplayName>11223344</DisplayName></Owner><AccessControlList><Grant>private</Grant></AccessControlList></AccessControlPolicy>
"#);
    insta::assert_snapshot!(emulated.root(OssRequest::get(GRASS).query("acl", "")).await.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<AccessControlPolicy><Owner><ID>11223344</ID><DisplayName>11223344</DisplayName></Owner><AccessControlList><Grant>default</Grant></AccessControlList></AccessControlPolicy>
"#);
    let buckets = OssRequest::get("").of("");
    let date = "Wed, 13 Jan 2016 14:02:37 GMT";
    let text = format!("GET\n\n\n{date}\nx-oss-date:{date}\n/");
    let mac = Hmac::<sha1::Sha1>::new_from_slice(b"rootsecret").unwrap();
    let signature = STANDARD.encode(mac.chain_update(text).finalize().into_bytes());
    let buckets = buckets.header("x-oss-date", date);
    let response =
        emulated.send(&buckets.header("authorization", format!("OSS rootid:{signature}"))).await;
    insta::assert_snapshot!(response.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<ListAllMyBucketsResult><Owner><ID>11223344</ID><DisplayName>11223344</DisplayName></Owner><Prefix/><Marker/><MaxKeys/><IsTruncated>false</IsTruncated><Buckets><Bucket><Name>open-bucket</Name><CreationDate>2016-01-13T14:02:37.000Z</CreationDate><Location>oss-cn-hangzhou</Location><Region>cn-hangzhou</Region><StorageClass>Standard</StorageClass><ExtranetEndpoint>oss-cn-hangzhou.aliyuncs.com</ExtranetEndpoint><IntranetEndpoint>oss-cn-hangzhou-internal.aliyuncs.com</IntranetEndpoint></Bucket><Bucket><Name>sample-bucket</Name><CreationDate>2016-01-13T14:02:37.000Z</CreationDate><Location>oss-cn-hangzhou</Location><Region>cn-hangzhou</Region><StorageClass>Standard</StorageClass><ExtranetEndpoint>oss-cn-hangzhou.aliyuncs.com</ExtranetEndpoint><IntranetEndpoint>oss-cn-hangzhou-internal.aliyuncs.com</IntranetEndpoint></Bucket><Bucket><Name>sample-public</Name><CreationDate>2016-01-13T14:02:37.000Z</CreationDate><Location>oss-cn-hangzhou</Location><Region>cn-hangzhou</Region><StorageClass>Standard</StorageClass><ExtranetEndpoint>oss-cn-hangzhou.aliyuncs.com</ExtranetEndpoint><IntranetEndpoint>oss-cn-hangzhou-internal.aliyuncs.com</IntranetEndpoint></Bucket></Buckets></ListAllMyBucketsResult>
"#);
}

#[tokio::test]
async fn unsupported_operations_are_refused() {
    let emulated = Emulated::start().await;
    for request in [
        OssRequest::put("", "").of("new-bucket"),
        OssRequest::new("DELETE", ""),
        OssRequest::put("", "<WebsiteConfiguration/>").query("website", ""),
        OssRequest::put("a", "").query("tagging", ""),
        OssRequest::new("POST", "a").query("append", "").query("position", "0"),
        OssRequest::get(GRASS).query("x-oss-process", "image/resize,w_100"),
        OssRequest::get("").query("versions", ""),
        OssRequest::put("a", "").header("x-oss-object-acl", "public-read"),
    ] {
        let text = format!("{} {} {:?}", request.method, request.key, request.query);
        let is_new = request.bucket == "new-bucket";
        let outcome = emulated.root(request).await.outcome();
        assert_eq!(outcome, "501 NotImplemented", "{text} {is_new}");
    }
    assert_eq!(
        emulated.root(OssRequest::new("PATCH", "a")).await.outcome(),
        "405 MethodNotAllowed"
    );
}

#[tokio::test]
async fn keys_are_any_text_but_a_leading_slash() {
    let emulated = Emulated::start().await;
    for key in ["a//b", "a/./b", " ", "a?b#c&d=e%2F", "中文/é", "\u{1F33F}", "it's(1)!*~"] {
        assert_eq!(emulated.root(OssRequest::put(key, key)).await.status, 200, "{key}");
        assert_eq!(emulated.root(OssRequest::get(key)).await.text(), key);
    }
    for key in ["/a", "\\a", &"k".repeat(1024)] {
        assert_eq!(
            emulated.root(OssRequest::put(key, "")).await.outcome(),
            "400 InvalidObjectName"
        );
    }
}

#[tokio::test]
async fn a_client_with_a_refused_long_body_still_reads_the_answer() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let emulated = Emulated::start().await;
    let mut stream = tokio::net::TcpStream::connect(&emulated.host).await.unwrap();
    let length = 8 << 20;
    let head = format!(
        "PUT /sample-bucket/a HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n",
        emulated.host
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Like Node, it reads only after it has written everything.
    let part = vec![0; 64 << 10];
    for _ in 0..length / part.len() {
        stream.write_all(&part).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
}
