//! The head of a request: bucket, key, query and headers.

use std::net::IpAddr;

use super::error::OssError;
use super::query::{Query, decode};
use crate::percent::encode;
use axum::http::{HeaderMap, Method, header, request::Parts};

/// The longest key, in bytes of UTF-8.
const LONGEST_KEY_BYTES: usize = 1023;

/// A request without its body, decoded once.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) bucket: Option<String>,
    /// Whether the host is bound to the bucket.
    pub(crate) is_custom_domain: bool,
    /// Whether the host is an endpoint inside Alibaba Cloud.
    pub(crate) is_internal: bool,
    pub(crate) key: Option<String>,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
}

impl Head {
    /// Reads the head. `is_bucket` tells which names are buckets, because a Host such as `photos.localhost.example` may
    /// begin with one or be a name of this machine; `bucket_of_domain` the bucket that a host is bound to.
    pub(crate) fn read(
        parts: Parts,
        is_bucket: impl Fn(&str) -> bool,
        bucket_of_domain: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or(parts.uri.authority().map(axum::http::uri::Authority::as_str));
        let path = parts.uri.path();
        let path = path.strip_prefix('/').unwrap_or(path);
        let name = name_of(host.unwrap_or_default()).to_ascii_lowercase();
        let bound = bucket_of_domain(&name);
        let is_custom_domain = bound.is_some();
        let is_internal = name.ends_with("-internal.aliyuncs.com");
        let (bucket, key) = if let Some(bucket) = bound.or_else(|| bucket_of_host(&name, is_bucket))
        {
            (Some(bucket), path)
        } else {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            (Some(decode(bucket)).filter(|bucket| !bucket.is_empty()), key)
        };
        let key = Some(decode(key)).filter(|key| !key.is_empty());
        let query = Query::read(parts.uri.query());
        let (method, headers) = (parts.method, parts.headers);
        Self { method, bucket, is_custom_domain, is_internal, key, query, headers }
    }

    /// The URL of an object, at the address that the request used.
    pub(crate) fn url_of(&self, bucket: &str, key: &str) -> String {
        let host = self.header("host").unwrap_or_default();
        let key = encode(key).replace("%2F", "/");
        if self.is_custom_domain
            || host.strip_prefix(bucket).is_some_and(|rest| rest.starts_with('.'))
        {
            format!("http://{host}/{key}")
        } else {
            format!("http://{host}/{bucket}/{key}")
        }
    }

    /// The value of a header, if present, not empty and valid text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?;
        std::str::from_utf8(value.as_bytes()).ok().map(str::trim).filter(|value| !value.is_empty())
    }
}

/// Checks the key of an object. `a/../b` is a valid key.
pub(crate) fn check_key(key: &str) -> Result<(), OssError> {
    let is_good = key.len() <= LONGEST_KEY_BYTES
        && !key.starts_with(['/', '\\'])
        && !key.contains(char::REPLACEMENT_CHARACTER);
    if is_good { Ok(()) } else { Err(OssError::InvalidObjectName) }
}

/// A Host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// The bucket at the start of a Host, which is in lower case and without a port: `BUCKET.oss-cn-hangzhou.aliyuncs.com` at any address,
/// `BUCKET.localhost`, or any name whose first label is a bucket.
fn bucket_of_host(name: &str, is_bucket: impl Fn(&str) -> bool) -> Option<String> {
    if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return None;
    }
    let (label, rest) = name.split_once('.')?;
    let is_endpoint = |name: &str| name.starts_with("oss-") || name.starts_with("oss.");
    let names_a_bucket =
        is_endpoint(rest) || rest == "localhost" || (!is_endpoint(name) && is_bucket(label));
    // ali-oss lists buckets of an IP endpoint at `.oss-cn-hangzhou.aliyuncs.com`.
    (names_a_bucket && !label.is_empty()).then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn address(host: &str, path: &str) -> (Option<String>, Option<String>) {
        let request = Request::builder().uri(path).header(header::HOST, host).body(()).unwrap();
        let head = Head::read(
            request.into_parts().0,
            |name| name == "photos",
            |host| (host == "pictures.example.test").then(|| "photos".to_owned()),
        );
        (head.bucket, head.key)
    }

    #[test]
    fn the_bucket_is_in_the_host_or_else_first_in_the_path() {
        let table = [
            ("127.0.0.1:8091", "/photos/a/b", Some("photos"), Some("a/b")),
            ("[::1]:8091", "/photos/a", Some("photos"), Some("a")),
            ("localhost:8091", "/photos", Some("photos"), None),
            ("localhost", "/", None, None),
            ("emulator:8091", "/photos/", Some("photos"), None),
            ("photos.localhost:8091", "/a/b", Some("photos"), Some("a/b")),
            ("nobodys.localhost", "/a", Some("nobodys"), Some("a")),
            ("photos.oss-cn-hangzhou.aliyuncs.com", "/a", Some("photos"), Some("a")),
            ("photos.oss.example", "/", Some("photos"), None),
            ("photos.example", "/a", Some("photos"), Some("a")),
            ("Pictures.Example.test:8091", "/a/b", Some("photos"), Some("a/b")),
            ("pictures.example.test.evil.example", "/a/b", Some("a"), Some("b")),
            ("host.docker.internal:8091", "/photos/a", Some("photos"), Some("a")),
            ("oss-cn-hangzhou.aliyuncs.com", "/", None, None),
            (".oss-cn-hangzhou.aliyuncs.com", "/", None, None),
            ("oss-cn-hangzhou.aliyuncs.com", "/photos/a", Some("photos"), Some("a")),
        ];
        for (host, path, bucket, key) in table {
            let expected = (bucket.map(str::to_owned), key.map(str::to_owned));
            assert_eq!(address(host, path), expected, "{host}{path}");
        }
    }

    #[test]
    fn a_path_is_decoded_once_and_nothing_in_it_is_resolved() {
        for (path, key) in [
            ("/photos/a%2Fb", "a/b"),
            ("/photos/a+b%2Bc", "a b+c"),
            ("/photos/a%252Fb", "a%2Fb"),
            ("/photos/a/../b//c/", "a/../b//c/"),
            ("/photos/%E4%B8%AD", "中"),
            ("/photos//a", "/a"),
        ] {
            assert_eq!(address("127.0.0.1", path).1.as_deref(), Some(key), "{path}");
        }
    }

    #[test]
    fn keys_are_limited_and_have_no_leading_slash() {
        let long = "k".repeat(LONGEST_KEY_BYTES);
        for good in ["a", "a/../b", "..", "a//b", " ", "中", &long] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        for bad in ["/a", "\\a", "a\u{FFFD}", &format!("{long}k")] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
    }
}
