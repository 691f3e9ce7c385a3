//! Fuzz targets of callbacks: what OSS reports, who signed it, and what is kept of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use form_urlencoded::Serializer;
use reqwest::Url;
use secrecy::ExposeSecret;

use super::claims::{ClaimsSeal, UploadClaims};
use super::key_url::KeySource;
use super::report::{UPLOAD_VARIABLE, UploadReport};
use super::signature::{CallbackKey, SignedParts};
use super::upload::ReportedUpload;
use crate::seal::SealKey;

/// The public half of a key of 512 bits, as OSS's own is.
const KEY: &[u8] = include_bytes!("../../crates/emulator/src/oss/callback/demo_key.pub.pem");

/// A body; before it, if a line begins with `/`, the path and query, and the values of the headers, each in a line.
///
/// A report is what a lenient parser of forms finds, no signature of nonsense is valid, and a key is fetched from OSS alone.
pub(crate) fn callback(bytes: &[u8]) {
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    if bytes.first() == Some(&b'/')
        && let (Some(target), Some(authorization), Some(key_url), Some(body)) =
            (lines.next(), lines.next(), lines.next(), lines.next())
    {
        check_signature(target, authorization, body);
        check_key_url(key_url);
        check_report(body);
    } else {
        check_report(bytes);
    }
}

/// What is kept of a report is read as it was written.
pub(crate) fn kept_upload(bytes: &[u8]) {
    if let Some(claims) = UploadClaims::from_json(bytes) {
        let again = UploadClaims::from_json(claims.to_json().expose_secret());
        assert_eq!(again.as_ref(), Some(&claims));
        assert!(claims.report_until() >= claims.expires_at, "the time of the report overflows");
    }
    if let Some(upload) = ReportedUpload::from_json(&bytes.to_vec().into()) {
        assert_eq!(ReportedUpload::from_json(&upload.to_json()), Some(upload));
    }
}

fn check_report(body: &[u8]) {
    let Ok(report) = UploadReport::parse(body) else { return };
    let mut members: Vec<_> = form_urlencoded::parse(body).into_owned().collect();
    members.sort();
    let fixed = [
        ("bucket", report.bucket.clone()),
        ("object", report.key.clone()),
        ("etag", report.etag.clone()),
        ("mimeType", report.content_type.clone()),
        (UPLOAD_VARIABLE, report.upload.clone()),
    ];
    for (name, value) in &fixed {
        let found: Vec<_> = members.iter().filter(|(other, _)| other == name).collect();
        assert_eq!(found.iter().map(|(_, value)| value).collect::<Vec<_>>(), [value], "{name}");
    }
    let vars = report.vars.iter().map(|(name, value)| (format!("x:{name}"), value.clone()));
    let details = report.details.iter().map(|(name, value)| (name.clone(), value.clone()));
    let others: Vec<_> = vars.chain(details).collect();
    // `size` is the one member that is neither text nor among the others.
    assert_eq!(others.len() + fixed.len() + 1, members.len(), "a member is lost");

    let mut written = Serializer::new(String::new());
    written.extend_pairs(&fixed).extend_pairs(&others);
    written.append_pair("size", &report.bytes.to_string());
    let again = UploadReport::parse(written.finish().as_bytes());
    assert_eq!(again.as_ref(), Ok(&report), "written and read again");
    // Only what was sealed names an upload.
    let opened = ClaimsSeal::new(&[SealKey::demo()]).open(&report.upload, DateTime::UNIX_EPOCH);
    assert!(opened.is_err(), "claims open that were not sealed");
}

fn check_signature(target: &[u8], authorization: &[u8], body: &[u8]) {
    let key = CallbackKey::from_pem(KEY).expect("it is a key");
    let Ok(target) = std::str::from_utf8(target) else { return };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let parts = SignedParts { path, query, body };
    assert!(!key.verifies(authorization, &parts), "a signature of nobody is valid");
    if let Ok(own) = CallbackKey::from_pem(body) {
        assert!(!own.verifies(authorization, &parts), "a signature of nobody is valid");
    }
}

fn check_key_url(header: &[u8]) {
    let Ok(name) = KeySource::Oss.parse(header) else { return };
    let named = STANDARD.decode(header).expect("it was decoded before");
    let named = Url::parse(std::str::from_utf8(&named).expect("it is text")).expect("it is a URL");
    assert_eq!(named.host_str(), Some("gosspublic.alicdn.com"), "{named}");
    assert!(named.username().is_empty() && named.port().is_none(), "{named}");
    let fetched = KeySource::Oss.url(name).expect("it is a key of OSS");
    assert_eq!((fetched.scheme(), fetched.host_str()), ("https", named.host_str()));
    assert_eq!(fetched.path(), named.path());
}
