//! Uploads in parts.

use super::*;

const PART: usize = 100 << 10;

impl Emulated {
    async fn begin(&self, key: &str) -> String {
        let begin =
            OssRequest::new("POST", key).query("uploads", "").header("content-type", "image/jpeg");
        self.root(begin).await.tag("UploadId")
    }

    async fn part(&self, key: &str, id: &str, number: u32, body: Vec<u8>) -> OssResponse {
        let request = OssRequest::put(key, body).query("partNumber", number.to_string());
        self.root(request.query("uploadId", id)).await
    }

    async fn complete(&self, key: &str, id: &str, parts: &[(u32, &str)]) -> OssResponse {
        let parts: String = parts
            .iter()
            .map(|(n, etag)| {
                format!("<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        self.root(OssRequest::new("POST", key).query("uploadId", id).body(body)).await
    }
}

#[tokio::test]
async fn parts_become_an_object() {
    let emulated = Emulated::start().await;
    let begun =
        OssRequest::new("POST", "big").query("uploads", "").header("content-type", "image/jpeg");
    let begun = emulated.root(begun).await;
    let id = begun.tag("UploadId");
    insta::assert_snapshot!(begun.text().replace(&id, "…"), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<InitiateMultipartUploadResult><Bucket>sample-bucket</Bucket><Key>big</Key><UploadId>…</UploadId></InitiateMultipartUploadResult>
"#);

    let first = emulated.part("big", &id, 1, vec![b'1'; PART]).await;
    insta::assert_snapshot!(first.snapshot(), @r#"
200
content-length: 0
content-md5: UrCfy6LBmvuPFb7ZKQHSgQ==
date: Wed, 13 Jan 2016 14:02:37 GMT
etag: "52B09FCBA2C19AFB8F15BED92901D281"
server: AliyunOSS
x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:PutObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/big","BucketAcl":"private"}
x-oss-hash-crc64ecma: 14737002453243379346
x-oss-request-id: …
x-oss-server-time: …
"#);
    emulated.part("big", &id, 2, b"wrong".to_vec()).await;
    let second = emulated.part("big", &id, 2, b"end".to_vec()).await;
    let listed = emulated.root(OssRequest::get("big").query("uploadId", id.as_str())).await;
    insta::assert_snapshot!(listed.text().replace(&id, "…"), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<ListPartsResult><Bucket>sample-bucket</Bucket><Key>big</Key><UploadId>…</UploadId><StorageClass>Standard</StorageClass><PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>2</NextPartNumberMarker><MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><LastModified>2016-01-13T14:02:37.000Z</LastModified><ETag>"52B09FCBA2C19AFB8F15BED92901D281"</ETag><HashCrc64ecma>14737002453243379346</HashCrc64ecma><Size>102400</Size></Part><Part><PartNumber>2</PartNumber><LastModified>2016-01-13T14:02:37.000Z</LastModified><ETag>"7F021A1415B86F2D013B2618FB31AE53"</ETag><HashCrc64ecma>4454695006954721626</HashCrc64ecma><Size>3</Size></Part></ListPartsResult>
"#);
    assert_eq!(emulated.root(OssRequest::get("big")).await.outcome(), "404 NoSuchKey");

    let etags = [(1, first.headers["etag"].as_str()), (2, second.headers["etag"].as_str())];
    let whole = emulated.complete("big", &id, &etags).await;
    insta::assert_snapshot!(whole.snapshot().replace(&emulated.host, "…"), @r#"
200
content-length: …
content-type: application/xml
date: Wed, 13 Jan 2016 14:02:37 GMT
etag: "F3EED71ACDDF8C564720866D3CE92345-2"
server: AliyunOSS
x-emulator-decision: {"Verdict":"Allowed","By":"Owner","Action":"oss:PutObject","Resource":"acs:oss:cn-hangzhou:11223344:sample-bucket/big","BucketAcl":"private"}
x-oss-hash-crc64ecma: 8943305704004955473
x-oss-request-id: …
x-oss-server-time: …

<?xml version="1.0" encoding="UTF-8"?>
<CompleteMultipartUploadResult><Location>http://…/sample-bucket/big</Location><Bucket>sample-bucket</Bucket><Key>big</Key><ETag>"F3EED71ACDDF8C564720866D3CE92345-2"</ETag></CompleteMultipartUploadResult>
"#);
    let got = emulated.root(OssRequest::get("big")).await;
    assert_eq!(got.body, [vec![b'1'; PART], b"end".to_vec()].concat());
    let header = |name: &str| got.headers[name].as_str();
    assert_eq!((header("content-type"), header("x-oss-object-type")), ("image/jpeg", "Multipart"));
    // The upload no longer exists.
    assert_eq!(emulated.complete("big", &id, &etags).await.outcome(), "404 NoSuchUpload");
}

#[tokio::test]
async fn a_wrong_list_of_parts_is_refused() {
    let emulated = Emulated::start().await;
    let id = emulated.begin("big").await;
    let small = emulated.part("big", &id, 1, b"small".to_vec()).await.headers["etag"].clone();
    let large = emulated.part("big", &id, 2, vec![0; PART]).await.headers["etag"].clone();
    let (small, large) = (small.as_str(), large.as_str());
    for (parts, expected) in [
        (vec![], "400 MalformedXML"),
        (vec![(2, large), (1, small)], "400 InvalidPartOrder"),
        (vec![(1, large)], "400 InvalidPart"),
        (vec![(2, large), (3, small)], "400 InvalidPart"),
        (vec![(1, small), (2, large)], "400 EntityTooSmall"),
        (vec![(2, large)], "200"),
    ] {
        let response = emulated.complete("big", &id, &parts).await;
        assert_eq!(response.outcome(), expected, "{parts:?}");
    }
}

#[tokio::test]
async fn an_upload_belongs_to_one_key_and_can_be_aborted() {
    let emulated = Emulated::start().await;
    let id = emulated.begin("big").await;
    assert_eq!(emulated.part("other", &id, 1, vec![1]).await.outcome(), "404 NoSuchUpload");
    for number in [0, 10_001] {
        assert_eq!(
            emulated.part("big", &id, number, vec![1]).await.outcome(),
            "400 InvalidArgument"
        );
    }
    let abort = || OssRequest::new("DELETE", "big").query("uploadId", id.as_str());
    assert_eq!(emulated.root(abort()).await.status, 204);
    assert_eq!(emulated.root(abort()).await.outcome(), "404 NoSuchUpload");
    assert_eq!(emulated.part("big", &id, 1, vec![1]).await.outcome(), "404 NoSuchUpload");
}

#[tokio::test]
async fn a_part_is_copied_from_an_object() {
    let emulated = Emulated::start().await;
    emulated.root(OssRequest::put("from", "0123456789")).await;
    let id = emulated.begin("big").await;
    let copy = OssRequest::put("big", "")
        .query("partNumber", "1")
        .query("uploadId", id.as_str())
        .header("x-oss-copy-source", "/sample-bucket/from")
        .header("x-oss-copy-source-range", "bytes=2-4");
    insta::assert_snapshot!(emulated.root(copy).await.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<CopyPartResult><LastModified>2016-01-13T14:02:37.000Z</LastModified><ETag>"289DFF07669D7A23DE0EF88D2F7129E7"</ETag></CopyPartResult>
"#);
    let all = OssRequest::new("POST", "big")
        .query("uploadId", id.as_str())
        .header("x-oss-complete-all", "yes");
    assert_eq!(emulated.root(all).await.status, 200);
    assert_eq!(emulated.root(OssRequest::get("big")).await.text(), "234");
}

#[tokio::test]
async fn unfinished_uploads_are_listed_page_by_page() {
    let emulated = Emulated::start().await;
    let mut ids = Vec::new();
    for key in ["a", "b", "b"] {
        ids.push(emulated.begin(key).await);
    }
    ids[1..].sort();
    let (mut key, mut id) = (String::new(), String::new());
    let mut seen = Vec::new();
    loop {
        let list = OssRequest::get("").query("uploads", "").query("max-uploads", "1");
        let list = list.query("key-marker", key.as_str()).query("upload-id-marker", id.as_str());
        let page = emulated.root(list).await;
        seen.push(page.tag("UploadId"));
        assert!(seen.len() <= ids.len(), "{seen:?}");
        (key, id) = (page.tag("NextKeyMarker"), page.tag("NextUploadIdMarker"));
        if page.tag("IsTruncated") == "false" {
            break;
        }
    }
    assert_eq!(seen, ids);
    let all = emulated.root(OssRequest::get("").query("uploads", "").query("prefix", "a")).await;
    insta::assert_snapshot!(all.text().replace(&ids[0], "…"), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<ListMultipartUploadsResult><Bucket>sample-bucket</Bucket><KeyMarker/><UploadIdMarker/><NextKeyMarker/><NextUploadIdMarker/><Delimiter/><Prefix>a</Prefix><MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated><Upload><Key>a</Key><UploadId>…</UploadId><StorageClass>Standard</StorageClass><Initiated>2016-01-13T14:02:37.000Z</Initiated></Upload></ListMultipartUploadsResult>
"#);
}

#[tokio::test]
async fn parts_are_listed_page_by_page() {
    let emulated = Emulated::start().await;
    let id = emulated.begin("big").await;
    for number in [1, 5, 9] {
        emulated.part("big", &id, number, vec![1]).await;
    }
    let list = |marker: &str| {
        let list = OssRequest::get("big").query("uploadId", id.as_str()).query("max-parts", "2");
        list.query("part-number-marker", marker)
    };
    let numbers = |response: &OssResponse| {
        let text = response.text();
        let numbers =
            text.split("<PartNumber>").skip(1).map(|rest| rest.split('<').next().unwrap());
        (
            numbers.collect::<Vec<_>>().join(" "),
            response.tag("IsTruncated"),
            response.tag("NextPartNumberMarker"),
        )
    };
    let text = |parts: [&str; 3]| (parts[0].to_owned(), parts[1].to_owned(), parts[2].to_owned());
    assert_eq!(numbers(&emulated.root(list("0")).await), text(["1 5", "true", "5"]));
    assert_eq!(numbers(&emulated.root(list("5")).await), text(["9", "false", "9"]));
}
