//! Lists of objects, page by page.

use super::*;

#[tokio::test]
async fn version_1_of_a_list() {
    let emulated = Emulated::start().await;
    let first = OssRequest::list(&[("prefix", "2015/"), ("delimiter", "/"), ("max-keys", "1")]);
    insta::assert_snapshot!(emulated.root(first).await.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult><Name>sample-bucket</Name><Prefix>2015/</Prefix><Marker/><MaxKeys>1</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><NextMarker>2015/01/</NextMarker><CommonPrefixes><Prefix>2015/01/</Prefix></CommonPrefixes></ListBucketResult>
"#);
    let query = [("prefix", "2015/"), ("delimiter", "/"), ("marker", "2015/01/")];
    insta::assert_snapshot!(emulated.root(OssRequest::list(&query)).await.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult><Name>sample-bucket</Name><Prefix>2015/</Prefix><Marker>2015/01/</Marker><MaxKeys>100</MaxKeys><Delimiter>/</Delimiter><IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>2015/02/</Prefix></CommonPrefixes></ListBucketResult>
"#);
}

#[tokio::test]
async fn version_2_of_a_list() {
    let emulated = Emulated::start().await;
    let query = [
        ("list-type", "2"),
        ("prefix", "albums/"),
        ("max-keys", "2"),
        ("start-after", "albums/2015/s"),
    ];
    let first = emulated.root(OssRequest::list(&query)).await;
    insta::assert_snapshot!(first.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult><Name>sample-bucket</Name><Prefix>albums/</Prefix><StartAfter>albums/2015/s</StartAfter><MaxKeys>2</MaxKeys><Delimiter/><IsTruncated>true</IsTruncated><NextContinuationToken>YWxidW1zLzIwMTUvc3VtbWVyLmpwZw==</NextContinuationToken><Contents><Key>albums/2015/spring.jpg</Key><LastModified>2016-01-13T14:02:37.000Z</LastModified><ETag>"32FD6922C5CF8DCD1A6BD2AF8BAB7EDC"</ETag><Type>Normal</Type><Size>5268</Size><StorageClass>Standard</StorageClass></Contents><Contents><Key>albums/2015/summer.jpg</Key><LastModified>2016-01-13T14:02:37.000Z</LastModified><ETag>"BF50B1980A6EAA84C4C7E65675AF1FFE"</ETag><Type>Normal</Type><Size>5519</Size><StorageClass>Standard</StorageClass></Contents><KeyCount>2</KeyCount></ListBucketResult>
"#);
    let token = first.tag("NextContinuationToken");
    let query = [
        ("list-type", "2"),
        ("prefix", "albums/"),
        ("continuation-token", token.as_str()),
        ("fetch-owner", "true"),
    ];
    // V1 signs the token, of all queries of a list.
    let second = OssRequest::list(&query).signed(Scheme::V1, &SigningKeys::root());
    insta::assert_snapshot!(emulated.send(&second).await.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult><Name>sample-bucket</Name><Prefix>albums/</Prefix><ContinuationToken>YWxidW1zLzIwMTUvc3VtbWVyLmpwZw==</ContinuationToken><MaxKeys>100</MaxKeys><Delimiter/><IsTruncated>false</IsTruncated><Contents><Key>albums/2016/autumn.jpg</Key><LastModified>2016-01-13T14:02:37.000Z</LastModified><ETag>"79DE1A6C7FF4621EB8A31A818560FC10"</ETag><Type>Normal</Type><Size>5152</Size><StorageClass>Standard</StorageClass><Owner><ID>11223344</ID><DisplayName>11223344</DisplayName></Owner></Contents><KeyCount>1</KeyCount></ListBucketResult>
"#);
}

#[tokio::test]
async fn names_are_url_encoded_on_request() {
    let emulated = Emulated::start().await;
    emulated.root(OssRequest::put("x y/\u{1}é&.txt", "")).await;
    let plain = emulated.root(OssRequest::list(&[("prefix", "x")])).await;
    assert_eq!(plain.tag("Key"), "x y/\u{FFFD}é&amp;.txt");
    let query = [("prefix", "x y/"), ("encoding-type", "url"), ("delimiter", "&")];
    insta::assert_snapshot!(emulated.root(OssRequest::list(&query)).await.text(), @r#"
<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult><Name>sample-bucket</Name><Prefix>x%20y%2F</Prefix><Marker/><MaxKeys>100</MaxKeys><Delimiter>%26</Delimiter><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>x%20y%2F%01%C3%A9%26</Prefix></CommonPrefixes></ListBucketResult>
"#);
    let unknown = emulated.root(OssRequest::list(&[("encoding-type", "base64")])).await;
    assert_eq!(unknown.outcome(), "400 InvalidArgument");
}

#[tokio::test]
async fn pages_hold_up_to_a_thousand_and_by_default_a_hundred() {
    let emulated = Emulated::start().await;
    for n in 0..101 {
        emulated.send(&OssRequest::put(&format!("k{n:03}"), "").of("open-bucket")).await;
    }
    let list = |query: &[(&'static str, &str)]| OssRequest::list(query).of("open-bucket");
    let count = |response: OssResponse| {
        (response.text().matches("<Contents>").count(), response.tag("NextMarker"))
    };
    assert_eq!(count(emulated.send(&list(&[])).await), (100, "k099".to_owned()));
    let all = emulated.send(&list(&[("max-keys", "1000")])).await;
    assert_eq!(count(all), (101, String::new()));
    for most in ["0", "1001", "-1", "many"] {
        let refused = emulated.send(&list(&[("max-keys", most)])).await;
        assert_eq!(refused.outcome(), "400 InvalidArgument", "{most}");
    }
    let mut marker = String::new();
    let mut seen = Vec::new();
    loop {
        let page = emulated.send(&list(&[("max-keys", "7"), ("marker", marker.as_str())])).await;
        let text = page.text();
        let keys =
            text.split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
        seen.extend(keys);
        assert!(seen.len() <= 101, "{seen:?}");
        marker = page.tag("NextMarker");
        if page.tag("IsTruncated") == "false" {
            break;
        }
    }
    let expected: Vec<String> = (0..101).map(|n| format!("k{n:03}")).collect();
    assert_eq!(seen, expected);
}
