//! Rejects request heads that two servers in a row could read differently (request smuggling).
//!
//! hyper is lenient, as HTTP allows, and does not report it: of `Content-Length` beside `Transfer-Encoding` it drops the
//! first, and of two equal lengths one. A proxy in front may decide otherwise, and then bytes that it forwards as a body
//! are a request here.

use axum::extract::Request;
use axum::http::header;
use memchr::memchr;

/// Why a head is rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FramingError {
    BareLineFeed,
    NoHost,
    SeveralHosts,
    InvalidHost,
    DifferingHost,
    DifferingTarget,
    SeveralLengths,
    LengthAndEncoding,
    Encoding,
}

impl FramingError {
    /// The message for the caller.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::BareLineFeed => "a line of the head does not end in CR LF",
            Self::NoHost => "it has no `Host`",
            Self::SeveralHosts => "it has more than one `Host`",
            Self::InvalidHost => "`Host` is not a host with an optional port",
            Self::DifferingHost => "`Host` differs from `:authority`",
            Self::DifferingTarget => "`Host` differs from the host in the request's first line",
            Self::SeveralLengths => "it has more than one `Content-Length`",
            Self::LengthAndEncoding => "it has both `Content-Length` and `Transfer-Encoding`",
            Self::Encoding => "`Transfer-Encoding` must be `chunked`, once and alone",
        }
    }
}

/// The result of scanning received bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scan {
    /// The head is not complete.
    Incomplete,
    /// A head of `length` bytes, with an error that hyper would not report.
    Complete { length: usize, error: Option<FramingError> },
    /// No HTTP, such as a TLS handshake; hyper rejects it.
    Unreadable,
}

/// Finds the end of an HTTP/1 head, and checks the fields that decide where its body ends and which host it names.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    // Empty lines before a request are ignored (RFC 9112 §2.2).
    let Some(start) = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')) else {
        return Scan::Incomplete;
    };
    if !bytes[start].is_ascii_graphic() {
        return Scan::Unreadable;
    }
    let (mut at, mut head) = (start, Head::default());
    while let Some(length) = memchr(b'\n', &bytes[at..]) {
        let line = &bytes[at..at + length];
        at += length + 1;
        let line = line.strip_suffix(b"\r").unwrap_or_else(|| {
            head.bare_line_feeds = true;
            line
        });
        match head.version_1_0 {
            None => {
                head.version_1_0 = Some(line.ends_with(b" HTTP/1.0"));
                head.authority = authority(line);
            }
            Some(_) if line.is_empty() => {
                return Scan::Complete { length: at, error: head.error() };
            }
            Some(_) => head.field(line),
        }
    }
    Scan::Incomplete
}

#[derive(Default)]
struct Head<'a> {
    /// None before the request line.
    version_1_0: Option<bool>,
    /// The host and port of a target in absolute form, such as `GET http://a/ HTTP/1.1`.
    authority: Option<&'a [u8]>,
    differing_target: bool,
    bare_line_feeds: bool,
    hosts: usize,
    invalid_host: bool,
    lengths: usize,
    encodings: usize,
    other_encoding: bool,
}

impl Head<'_> {
    fn field(&mut self, line: &[u8]) {
        match line[0] {
            b'h' | b'H' => {
                if let Some(host) = value(line, b"host") {
                    self.hosts += 1;
                    self.invalid_host |= !is_host(host);
                    let differs = |authority: &[u8]| !authority.eq_ignore_ascii_case(host);
                    self.differing_target |= self.authority.is_some_and(differs);
                }
            }
            b'c' | b'C' => self.lengths += usize::from(value(line, b"content-length").is_some()),
            b't' | b'T' => {
                if let Some(encoding) = value(line, b"transfer-encoding") {
                    self.encodings += 1;
                    self.other_encoding |= !encoding.eq_ignore_ascii_case(b"chunked");
                }
            }
            _ => {}
        }
    }

    fn error(&self) -> Option<FramingError> {
        let table = [
            (self.bare_line_feeds, FramingError::BareLineFeed),
            (self.encodings > 0 && self.lengths > 0, FramingError::LengthAndEncoding),
            (self.encodings > 1 || self.other_encoding, FramingError::Encoding),
            (self.lengths > 1, FramingError::SeveralLengths),
            (self.hosts > 1, FramingError::SeveralHosts),
            // HTTP/1.0 has no `Host`.
            (self.hosts == 0 && self.version_1_0 == Some(false), FramingError::NoHost),
            (self.invalid_host, FramingError::InvalidHost),
            (self.differing_target, FramingError::DifferingTarget),
        ];
        table.into_iter().find_map(|(is, error)| is.then_some(error))
    }
}

/// The host and port of a request line in absolute form.
fn authority(line: &[u8]) -> Option<&[u8]> {
    let target = line.split(|byte| *byte == b' ').nth(1)?;
    // In a path or query, `://` has no meaning.
    if target.first() == Some(&b'/') {
        return None;
    }
    let start = target.windows(3).position(|three| three == b"://")? + 3;
    let rest = &target[start..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    Some(&rest[..end.unwrap_or(rest.len())])
}

/// The value, if the line is the header field `name`. White space after the name does not match: hyper rejects it.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// Whether all characters are allowed in a host with a port. An empty one is valid (RFC 9112 §3.2).
fn is_host(host: &[u8]) -> bool {
    let delimits =
        |byte| matches!(byte, b',' | b'/' | b'@' | b'?' | b'#' | b'\\' | b'"' | b'<' | b'>');
    host.iter().all(|byte| byte.is_ascii_graphic() && !delimits(*byte))
}

/// The same check for HTTP/2, whose frames delimit the body.
pub(super) fn check_http2<B>(request: &Request<B>) -> Option<FramingError> {
    let headers = request.headers();
    if headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some() {
        return Some(FramingError::SeveralLengths);
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, authority) = (hosts.next(), request.uri().authority());
    if hosts.next().is_some() {
        return Some(FramingError::SeveralHosts);
    }
    match (host, authority) {
        (None, None) => Some(FramingError::NoHost),
        (None, Some(_)) => None,
        (Some(host), _) if !is_host(host.as_bytes()) => Some(FramingError::InvalidHost),
        (Some(host), Some(authority)) => {
            let same = host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
            (!same).then_some(FramingError::DifferingHost)
        }
        (Some(_), None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_complete_with_its_empty_line() {
        for head in [
            "GET /v1/token HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a:8080\r\nX: \r\n\r\n",
            "POST / HTTP/1.1\r\nHost: [::1]:8080\r\nContent-Length: 3\r\n\r\n",
            "POST / HTTP/1.1\r\nhost:\r\nTRANSFER-ENCODING:\tChunked \r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHosts: b\r\nContent-Lengths: 1\r\nTransfer-Encodings: x\r\n\r\n",
        ] {
            for so_far in 0..head.len() {
                assert_eq!(
                    scan(&head.as_bytes()[..so_far]),
                    Scan::Incomplete,
                    "{so_far}: {head:?}"
                );
            }
            let complete = Scan::Complete { length: head.len(), error: None };
            for rest in ["", "{}", "\r\n", "GET / HTTP/1.1\r\n\r\n"] {
                assert_eq!(scan(format!("{head}{rest}").as_bytes()), complete, "{head:?}");
            }
        }
        for unreadable in [&b"\x16\x03\x01"[..], b"\r\n\x00", b" GET / HTTP/1.1\r\n\r\n", b"\xff"] {
            assert_eq!(scan(unreadable), Scan::Unreadable);
        }
    }

    #[test]
    fn an_ambiguous_head_is_an_error() {
        for (fields, expected) in [
            ("", FramingError::NoHost),
            ("X: Host: a\r\n", FramingError::NoHost),
            ("Host: a\r\nHost: a\r\n", FramingError::SeveralHosts),
            ("Host: a\r\nhOST: b\r\n", FramingError::SeveralHosts),
            ("Host: a, b\r\n", FramingError::InvalidHost),
            ("Host: a b\r\n", FramingError::InvalidHost),
            ("Host: user@a\r\n", FramingError::InvalidHost),
            ("Host: a/b\r\n", FramingError::InvalidHost),
            ("Host: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n", FramingError::SeveralLengths),
            ("Host: a\r\nContent-Length: 3\r\ncontent-length: 4\r\n", FramingError::SeveralLengths),
            (
                "Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                FramingError::LengthAndEncoding,
            ),
            (
                "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: x\r\n",
                FramingError::LengthAndEncoding,
            ),
            ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", FramingError::Encoding),
            ("Host: a\r\nTransfer-Encoding: chunked, chunked\r\n", FramingError::Encoding),
            (
                "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                FramingError::Encoding,
            ),
            ("Host: a\r\nTransfer-Encoding: \x0bchunked\r\n", FramingError::Encoding),
            ("Host: a\r\nTransfer-Encoding: identity\r\n", FramingError::Encoding),
            ("Host: a\r\nTransfer-Encoding:\r\n", FramingError::Encoding),
            ("Host: a\nX: b\r\n", FramingError::BareLineFeed),
        ] {
            let head = format!("POST / HTTP/1.1\r\n{fields}\r\n");
            let complete = Scan::Complete { length: head.len(), error: Some(expected) };
            assert_eq!(scan(head.as_bytes()), complete, "{fields:?}");
        }
        let bare = "GET / HTTP/1.1\nHost: a\n\n";
        let error = Some(FramingError::BareLineFeed);
        assert_eq!(scan(bare.as_bytes()), Scan::Complete { length: bare.len(), error });
    }

    #[test]
    fn a_target_in_absolute_form_must_match_host() {
        let error = |target: &str, host: &str| {
            let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            match scan(head.as_bytes()) {
                Scan::Complete { error, .. } => error,
                other => panic!("{other:?}"),
            }
        };
        for (target, host) in [
            ("http://a/v1/token", "a"),
            ("HTTP://A:80?x=1", "a:80"),
            ("https://a", "a"),
            ("/v1/token?next=http://b/", "a"),
            ("/http://b/", "a"),
        ] {
            assert_eq!(error(target, host), None, "{target} {host}");
        }
        for (target, host) in [("http://b/v1/token", "a"), ("http://a:81/", "a"), ("x://b", "a")] {
            assert_eq!(error(target, host), Some(FramingError::DifferingTarget), "{target} {host}");
        }
    }

    #[test]
    fn an_http2_request_has_one_host_and_one_length() {
        let of = |uri: &str, headers: &[(&str, &str)]| {
            let mut request = Request::post(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            check_http2(&request.body(()).unwrap())
        };
        assert_eq!(of("https://a:8443/v1/token", &[]), None);
        assert_eq!(of("https://a:8443/v1/token", &[("host", "A:8443")]), None);
        assert_eq!(of("/v1/token", &[("host", "a")]), None);
        assert_eq!(of("/v1/token", &[]), Some(FramingError::NoHost));
        assert_eq!(of("https://a/", &[("host", "b")]), Some(FramingError::DifferingHost));
        assert_eq!(of("https://a/", &[("host", "a, b")]), Some(FramingError::InvalidHost));
        let two = [("host", "a"), ("host", "a")];
        assert_eq!(of("https://a/", &two), Some(FramingError::SeveralHosts));
        let lengths = [("content-length", "1"), ("content-length", "1")];
        assert_eq!(of("https://a/", &lengths), Some(FramingError::SeveralLengths));
    }
}
